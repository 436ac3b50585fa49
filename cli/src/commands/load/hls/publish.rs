//! Who tells when parts were published: a publisher of this test's own, or a file that somebody writes.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::clock::{Clock, Line};
use crate::args::load::Hls;
use crate::endpoint::Where;
use crate::error::{Failure, Result, os};

/// How often a file is looked at for further lines.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the publisher may take to end its stream.
const END_MAX: Duration = Duration::from_secs(8);

/// `mobzctl hls push` as a process of its own, so that what it costs counts as nobody else's.
#[derive(Debug)]
pub(super) struct Publisher {
    child: Child,
}

impl Publisher {
    /// Starts publishing.
    pub(super) fn start(args: &Hls, file: &Path, place: &Where) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Failure::failed("cannot publish", os(&error), "publish with `mobzctl hls push`, and use --clock")
        };
        if !file.exists() {
            let what = format!("cannot publish {}", file.display());
            return Err(Failure::not_found(what, "there is no such file", "name a media file"));
        }
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["--quiet", "--output", "json", "hls", "push", &args.source]).arg(file);
        command.args(["--loop", "--acks", "--part-ms", &args.part_ms.to_string(), "--user", "mobzctl-load"]);
        let flags = [
            ("--endpoint", &place.endpoint),
            ("--context", &place.context),
            ("--token", &place.token),
            ("--signal-url", &args.signal_url),
        ];
        for (flag, value) in flags {
            if let Some(value) = value {
                command.args([flag, value]);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for this test, which ends the publisher last.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child })
    }

    /// Tells the clock of each part from now on.
    pub(super) fn tell(&mut self, clock: Arc<Clock>) {
        if let Some(lines) = self.child.stdout.take() {
            tokio::spawn(follow(BufReader::new(lines), clock, false));
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the stream, and waits for that.
    pub(super) async fn end(mut self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        if let Some(pid) = pid
            && kill_process(pid, Signal::INT).is_ok()
        {
            // One that does not end is killed as it is dropped.
            let _ = timeout(END_MAX, self.child.wait()).await;
        }
    }
}

/// Reads a clock's file as it grows.
pub(super) async fn read_clock(path: &Path, clock: Arc<Clock>) -> Result<()> {
    if path.as_os_str() == "-" {
        tokio::spawn(follow(BufReader::new(tokio::io::stdin()), clock, false));
        return Ok(());
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| {
        let what = format!("cannot read the clock {}", path.display());
        Failure::failed(what, os(&error), "name the file that whatever publishes writes its lines to")
    })?;
    tokio::spawn(follow(BufReader::new(file), clock, true));
    Ok(())
}

/// Hands on lines; other lines of JSON, as `hls push` prints them, tell nothing.
async fn follow(mut lines: impl AsyncBufRead + Unpin, clock: Arc<Clock>, grows: bool) {
    let mut line = String::new();
    loop {
        match lines.read_line(&mut line).await {
            Ok(0) if grows => sleep(LOOK_EVERY).await,
            Ok(0) | Err(_) => return,
            // The rest of a line may not be written yet.
            Ok(_) if grows && !line.ends_with('\n') => {}
            Ok(_) => {
                if let Ok(line) = serde_json::from_str::<Line>(&line) {
                    clock.published(line);
                }
                line.clear();
            }
        }
    }
}
