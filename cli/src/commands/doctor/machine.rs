//! What this machine has: tools, ports, limits.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::process::Command;
use tokio::time::timeout;

use super::Check;
use crate::stack;

/// How long a tool may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Open files that 10,000 connections on one node need, with room to spare.
const OPEN_FILES_WANTED: u64 = 16_384;
/// Fewer open files than this and little more than a demo runs.
const OPEN_FILES_MIN: u64 = 1024;

struct Tool {
    names: &'static [&'static str],
    version: &'static str,
    needed_for: &'static str,
    remedy: &'static str,
}

const TOOLS: [Tool; 5] = [
    Tool {
        names: &["ffmpeg"],
        version: "-version",
        needed_for: "`hls push` of a file",
        remedy: "install it: apt-get install ffmpeg",
    },
    Tool {
        names: &["redis-server"],
        version: "--version",
        needed_for: "a Redis of your own beside `up --redis`",
        remedy: "install it: apt-get install redis-server",
    },
    Tool {
        names: &["turnserver"],
        version: "--version",
        needed_for: "`up --turn-server`",
        remedy: "install it: apt-get install coturn",
    },
    Tool {
        names: &["janus"],
        version: "--version",
        needed_for: "media of group calls (m2m)",
        remedy: "install it: apt-get install janus (p2p and p2m run without it)",
    },
    Tool {
        names: &["chromium", "chromium-browser", "google-chrome"],
        version: "--version",
        needed_for: "the browser tests",
        remedy: "install it: apt-get install chromium",
    },
];

/// The tools that commands start.
pub(super) async fn tools() -> Vec<Check> {
    futures_util::future::join_all(TOOLS.iter().map(look)).await
}

async fn look(tool: &Tool) -> Check {
    let usual = tool.names[0];
    for name in tool.names {
        let mut command = Command::new(name);
        command.arg(tool.version).stdin(Stdio::null()).kill_on_drop(true);
        let Ok(Ok(said)) = timeout(VERSION_TIMEOUT, command.output()).await else { continue };
        let text = String::from_utf8_lossy(if said.stdout.is_empty() { &said.stderr } else { &said.stdout })
            .into_owned();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("is there");
        let short = line.split(" Copyright").next().unwrap_or(line);
        return Check::ok(usual, short);
    }
    Check::warn(usual, format!("is not on PATH; {} needs it", tool.needed_for), tool.remedy)
}

/// The limit on open files.
pub(super) fn open_files() -> Check {
    let name = "open files";
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Check::ok(name, "no limit") };
    let detail = format!("at most {limit} (ulimit -n)");
    let remedy = format!("raise it for many connections: ulimit -n {OPEN_FILES_WANTED}");
    match limit {
        ..OPEN_FILES_MIN => Check::fail(name, detail, remedy),
        OPEN_FILES_MIN..OPEN_FILES_WANTED => Check::warn(name, detail, remedy),
        _ => Check::ok(name, detail),
    }
}

/// The ports that `up` takes from `base` on.
pub(super) fn ports(base: u16) -> Vec<Check> {
    if base == 0 {
        return Vec::new();
    }
    let ours = stack::living().into_iter().find(|stack| stack.port == base);
    if let Some(stack) = ours {
        return vec![Check::ok("ports", format!("a stack of yours runs on {base} (process {})", stack.pid))];
    }
    let range = base..=base.saturating_add(2);
    let taken: Vec<String> =
        range.clone().filter(|port| !is_free(*port)).map(|port| port.to_string()).collect();
    vec![if taken.is_empty() {
        Check::ok("ports", format!("{base} to {} are free", range.end()))
    } else {
        Check::warn(
            "ports",
            format!("{} taken: `mobzctl up` cannot listen there", taken.join(", ")),
            "start it on other ports with --port-base N, or on any free ones with --port-base 0",
        )
    }]
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    #[test]
    fn a_taken_port_is_named() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let checks = ports(port);
        assert_eq!(checks[0].verdict, Verdict::Warn);
        assert!(checks[0].detail.starts_with(&port.to_string()), "{}", checks[0].detail);
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_a_warning_with_its_remedy() {
        let tool =
            Tool { names: &["no-such-tool-here"], version: "", needed_for: "nothing", remedy: "make it" };
        let check = look(&tool).await;
        assert_eq!((check.verdict, check.remedy.as_deref()), (Verdict::Warn, Some("make it")));
    }
}
