//! What a load test may do to this machine and to others.

use reqwest::Url;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::control::is_on_loopback;
use crate::error::{Failure, Result};

/// Files a process has open beside its clients' sockets.
const FILES_BESIDE: u64 = 64;

/// What is refused here.
pub(super) const WHAT: &str = "cannot run this load test";

/// Refuses a server that is not on this machine, unless that was asked for.
pub(super) fn check_remote(url: &Url, yes: bool) -> Result<()> {
    if yes || is_on_loopback(url) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    Err(Failure::refused(
        format!("did not load {host}"),
        "it is not on this machine, and a load test harms whoever else uses it",
        "add --yes-remote if it is yours",
    ))
}

/// Lets this process, and those it starts, open as many files as the test needs.
pub(super) fn allow_files(sockets: u64, fewer: &str) -> Result<()> {
    let needed = sockets + FILES_BESIDE;
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if most < needed {
        let why = format!("it needs {needed} open files, and this process may have {most}");
        return Err(Failure::refused(
            WHAT,
            why,
            format!("raise the hard limit (ulimit -Hn), or use fewer {fewer}"),
        ));
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| Failure::failed(WHAT, error.to_string(), "raise the limit (ulimit -n)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_loaded_only_when_told() {
        let remote: Url = "ws://192.0.2.1/signal".parse().unwrap();
        assert!(check_remote(&remote, false).is_err());
        assert!(check_remote(&remote, true).is_ok());
        for here in ["ws://127.0.0.1:7880/signal", "ws://localhost/signal", "ws://[::1]:7880/signal"] {
            assert!(check_remote(&here.parse().unwrap(), false).is_ok(), "{here}");
        }
    }
}
