//! `mobzctl doctor`.

mod cloud;
mod machine;
mod network;

use std::path::Path;

use serde::Serialize;

use crate::args::stack::Doctor;
use crate::config::FILE;
use crate::endpoint::Where;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something will not work that not everybody needs.
    Warn,
    /// Something is broken.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    name: String,
    /// How it came out.
    verdict: Verdict,
    /// What was seen.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    fn warn(name: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        Self { name, verdict: Verdict::Warn, detail, remedy: Some(remedy.into()) }
    }

    fn fail(name: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(name, detail, remedy) }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    healthy: bool,
    checks: Vec<Check>,
}

/// Looks at this machine and at the endpoint.
pub async fn run(args: &Doctor, place: &Where, output: &Output) -> Result<Exit> {
    let progress = Progress::waiting(output, "looking at this machine and the endpoint");
    let mut checks = machine::tools().await;
    checks.push(machine::open_files());
    checks.extend(machine::ports(args.port_base));
    checks.extend(network::endpoint(place).await);
    if let Some(url) = &args.redis {
        checks.push(network::redis(url).await);
    }
    let default = Some(Path::new(FILE)).filter(|file| file.exists());
    if let Some(file) = args.file.as_deref().or(default) {
        checks.extend(cloud::environment(file).await);
    }
    for url in &args.turn {
        checks.push(network::stun(url).await);
    }
    drop(progress);
    let healthy = checks.iter().all(|check| check.verdict != Verdict::Fail);
    let report = Report { healthy, checks };
    output.document(&report, |output| table(output, &report.checks))?;
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

fn table(output: &Output, checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let lines = checks.iter().map(|check| {
        let verdict = match check.verdict {
            Verdict::Ok => output.good("ok  "),
            Verdict::Warn => output.warn("warn"),
            Verdict::Fail => output.bad("fail"),
        };
        let remedy = match &check.remedy {
            Some(remedy) => format!("\n{:indent$}{remedy}", "", indent = width + 8),
            None => String::new(),
        };
        format!("{verdict}  {:<width$}  {}{remedy}", check.name, check.detail)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    #[test]
    fn a_check_is_a_line_and_its_remedy_stands_below_it() {
        let checks =
            [Check::ok("ffmpeg", "version 5.1"), Check::fail("ports", "7880 is taken", "use --port-base")];
        let text = table(&Output::new(Format::Json, true, 0), &checks);
        assert_eq!(
            text,
            "ok    ffmpeg  version 5.1\nfail  ports   7880 is taken\n              use --port-base"
        );
    }
}
