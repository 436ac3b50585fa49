//! What a deployment needs: a configuration, credentials, a region, a container engine.

use std::path::Path;

use super::Check;
use crate::aws::Cloud;
use crate::config::Config;
use crate::deploy::environment::Part;
use crate::engine::Engine;

/// What the environment of this configuration needs.
pub(super) async fn environment(file: &Path) -> Vec<Check> {
    let name = file.display().to_string();
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(failure) => return vec![Check::fail(name, failure.why(), failure.remedy())],
    };
    let mut checks = vec![Check::ok(name, format!("environment {}", config.environment)), engine()];
    let cloud = match Cloud::open(&config).await {
        Ok(cloud) => cloud,
        Err(failure) => {
            checks.push(Check::fail("aws", failure.why(), failure.remedy()));
            return checks;
        }
    };
    checks.push(match cloud.identity().await {
        Ok(identity) => {
            Check::ok("aws", format!("{} in account {}, {}", identity.arn, identity.account, cloud.region))
        }
        Err(failure) => Check::fail("aws", failure.why(), failure.remedy()),
    });
    checks.push(match cloud.stack(&Part::Network.stack(&config.environment)).await {
        Ok(Some(stack)) => Check::ok("cloudformation", format!("{} is {}", stack.name, stack.status.words())),
        Ok(None) => Check::ok("cloudformation", "nothing is deployed"),
        Err(failure) => Check::fail("cloudformation", failure.why(), failure.remedy()),
    });
    checks
}

fn engine() -> Check {
    match Engine::find(None) {
        Ok(engine) => Check::ok("container engine", engine.as_str()),
        Err(failure) => Check::warn(
            "container engine",
            format!(
                "{}; `image build` needs one, and `deploy` for images that the registry lacks",
                failure.why()
            ),
            failure.remedy(),
        ),
    }
}
