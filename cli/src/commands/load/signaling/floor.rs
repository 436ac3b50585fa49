//! The bare relay as a process of its own, so that it has what the server has: its own cores, its own memory.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::super::process::Process;
use crate::error::{Failure, Result, os};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(5);

/// A running relay; it ends with this, and with this process, for its stdin does.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) url: String,
    pub(super) process: Process,
    _child: Child,
}

impl Floor {
    pub(super) async fn start() -> Result<Self> {
        let failed = |why: String| {
            Failure::failed(
                "cannot start the bare relay",
                why,
                "leave --floor out, or check the machine's limits",
            )
        };
        let io = |error: std::io::Error| failed(os(&error));
        let mut child = Command::new(std::env::current_exe().map_err(io)?)
            .args(["load", "relay"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        let mut url = String::new();
        let Some(stdout) = child.stdout.take() else { return Err(failed("it has no stdout".to_owned())) };
        let mut stdout = BufReader::new(stdout);
        match timeout(START_MAX, stdout.read_line(&mut url)).await {
            Ok(read) => read.map_err(io)?,
            Err(_) => return Err(failed("it did not say its URL in time".to_owned())),
        };
        let pid = child.id().ok_or_else(|| failed("it ended at once".to_owned()))?;
        Ok(Self { url: url.trim().to_owned(), process: Process { pid }, _child: child })
    }
}
