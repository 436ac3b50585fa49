//! `mobzctl logs`.

use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use super::cloud::{Site, Stacks};
use super::interrupted;
use crate::args::deploy::{LogService, Logs};
use crate::aws::logs::{Line, Tail};
use crate::config::EnvironmentName;
use crate::deploy::environment::{Part, lambda_log_group};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// How often the logs are asked for more.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A line, as scripts read it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    at: String,
    service: &'static str,
    container: &'a str,
    task: &'a str,
    text: &'a str,
}

/// Shows what the services logged, and goes on with it where asked to.
pub async fn run(args: &Logs, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, None).await?;
    let stacks = site.find().await?;
    let from = Timestamp::now() - args.since;
    let mut tails = tails(args, &site.config.environment, &stacks, from);
    if tails.is_empty() {
        return Err(Failure::not_found(
            format!("environment {} has no logs", site.config.environment),
            "no stack of it tells of a log group",
            "deploy it with `mobzctl deploy`",
        ));
    }
    let interrupted = interrupted()?;
    let work = async {
        loop {
            let reads = tails.iter_mut().map(async |(service, tail)| {
                let lines = site.cloud.lines(tail).await?;
                Ok::<_, Failure>(lines.into_iter().map(|line| (*service, line)).collect::<Vec<_>>())
            });
            let mut lines: Vec<(LogService, Line)> =
                try_join_all(reads).await?.into_iter().flatten().collect();
            lines.sort_by_key(|(_, line)| line.at);
            for (service, line) in &lines {
                show(*service, line, output)?;
            }
            if !args.follow {
                return Ok(Exit::Done);
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = interrupted => Ok(Exit::Done),
    }
}

impl LogService {
    const ALL: [Self; 4] = [Self::Munit, Self::Signaling, Self::Origin, Self::Coturn];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Munit => "munit",
            Self::Signaling => "signaling",
            Self::Origin => "origin",
            Self::Coturn => "coturn",
        }
    }

    /// The output that tells its log group.
    const fn output(self) -> &'static str {
        match self {
            Self::Munit => "MunitLogGroup",
            Self::Signaling => "SignalingLogGroup",
            Self::Origin => "OriginLogGroup",
            Self::Coturn => "CoturnLogGroup",
        }
    }
}

fn tails(
    args: &Logs,
    environment: &EnvironmentName,
    stacks: &Stacks,
    from: Timestamp,
) -> Vec<(LogService, Tail)> {
    let is_asked = |service: &LogService| args.services.is_empty() || args.services.contains(service);
    let mut tails = Vec::new();
    for service in LogService::ALL.into_iter().filter(is_asked) {
        if let Some(group) = Site::output(stacks, service.output()) {
            tails.push((service, Tail::new(group, from)));
        }
        if service == LogService::Signaling && stacks.contains_key(&Part::SignalingServerless) {
            tails.push((service, Tail::new(&lambda_log_group(environment), from)));
        }
    }
    tails
}

fn show(service: LogService, line: &Line, output: &Output) -> Result<()> {
    let (container, task) = source(&line.stream).unwrap_or((service.as_str(), &line.stream));
    let told = Told { at: line.at.to_string(), service: service.as_str(), container, task, text: &line.text };
    output.object(&told, |output| {
        let short = task.get(..8).unwrap_or(task);
        let (at, who) = (output.dim(&told.at), output.bold(&format!("{container}/{short}")));
        format!("{at}  {who}  {}", line.text)
    })
}

/// What logged to a stream, and which of them: ECS names streams `prefix/container/task`, Lambda
/// `2026/11/25/[version]instance`.
fn source(stream: &str) -> Option<(&str, &str)> {
    if let Some((_, instance)) = stream.split_once(']') {
        return Some(("lambda", instance));
    }
    let (rest, task) = stream.rsplit_once('/')?;
    Some((rest.rsplit('/').next().unwrap_or(rest), task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_tells_container_and_task_or_the_instance_of_the_lambda() {
        assert_eq!(source("munit/regulator/0123abcd"), Some(("regulator", "0123abcd")));
        assert_eq!(source("2026/11/25/[$LATEST]0123abcd"), Some(("lambda", "0123abcd")));
        assert_eq!(source("odd"), None);
    }
}
