//! `mobzctl launch regulator`.

use mobz_regulator::{RegulatorError, Settings, serve};
use mobz_runtime::lifecycle::shutdown_on_signals;
use tokio::sync::oneshot;

use super::{listen, redis};
use crate::commands::{daemon_failed, open_store, regulator_failed};
use crate::error::Result;
use crate::exit::Exit;

/// Serves until it is asked to end, or until its munit is stopped.
pub(super) async fn run(settings: Settings) -> Result<Exit> {
    let failed = |error: &(dyn std::error::Error + 'static)| daemon_failed("the regulator", error);
    let shutdown = shutdown_on_signals().map_err(|error| failed(&error))?;
    let munit = settings.munit().await.map_err(|error| failed(&error))?;
    let redis = redis(&settings.common, "the regulator")?;
    let listener = match settings.listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let store = open_store(Some(&redis)).await?;
    let (ready, _) = oneshot::channel();
    let served = serve(munit, store, listener, ready, shutdown).await;
    served.map_err(|error: RegulatorError| regulator_failed("the regulator", &error))?;
    Ok(Exit::Done)
}
