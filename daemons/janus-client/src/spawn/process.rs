//! The process of a Janus.
//!
//! A thread of its own starts it and waits for it: what dies with its parent dies with the very thread
//! that started it, and the threads of a runtime come and go.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use super::{TAIL_LINES_MAX, on_path};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, if it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("nobody knows how"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Held while it is signalled and while it is reaped: its id is nobody else's meanwhile.
    reaped: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<Ended>>,
    log: Log,
}

/// What a process has said.
#[derive(Clone, Debug)]
enum Log {
    Kept(Arc<Mutex<VecDeque<String>>>),
    Written(PathBuf),
}

impl Process {
    pub(super) fn run(program: &Path, directory: &Path, outlives_us: bool) -> io::Result<Self> {
        let mut command = match on_path("setpriv") {
            Some(setpriv) if !outlives_us => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.arg("-F").arg(directory).arg("-C").arg(directory.join("janus.jcfg")).stdin(Stdio::null());
        let log = if outlives_us {
            let path = directory.join("janus.log");
            let file = File::create(&path)?;
            command.stdout(file.try_clone()?).stderr(file);
            Log::Written(path)
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            Log::Kept(Arc::default())
        };
        let reaped = Arc::new(Mutex::new(false));
        let (tell, ended) = watch::channel(None);
        let (started, starting) = std::sync::mpsc::channel();
        let theirs = (log.clone(), reaped.clone());
        thread::Builder::new().name("janus".to_owned()).spawn(move || {
            let (log, reaped) = theirs;
            match command.spawn() {
                Ok(mut child) => {
                    let pid = Pid::from_child(&child);
                    let _given_up = started.send(Ok(pid));
                    read_out(&mut child, &log);
                    // Waits without reaping: until then its id stays its own.
                    while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                        .is_err_and(|error| error == rustix::io::Errno::INTR)
                    {}
                    let mut reaped = lock(&reaped);
                    let status = child.wait();
                    *reaped = true;
                    let ended = status.map_or(Ended { code: None, signal: None }, Ended::from);
                    tell.send_replace(Some(ended));
                }
                Err(error) => {
                    let _given_up = started.send(Err(error));
                }
            }
        })?;
        let pid = starting.recv().unwrap_or_else(|_| Err(io::Error::other("its thread has ended")))?;
        Ok(Self { pid, reaped, ended, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub(super) fn try_ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(Ended { code: None, signal: None }),
            Err(_) => Ended { code: None, signal: None },
        }
    }

    pub(super) fn tail(&self) -> String {
        match &self.log {
            Log::Kept(lines) => lock(lines).iter().map(String::as_str).collect::<Vec<_>>().join("\n"),
            Log::Written(path) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let lines: Vec<_> = text.lines().collect();
                lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join("\n")
            }
        }
    }

    pub(super) fn has_said(&self, word: &str) -> bool {
        self.tail().contains(word)
    }

    fn signal(&self, signal: Signal) {
        let reaped = lock(&self.reaped);
        if !*reaped {
            let _gone_already = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads all that a process says until it is done with it, so that it never waits for a reader.
fn read_out(child: &mut Child, log: &Log) {
    let Log::Kept(lines) = log else { return };
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as Box<dyn Read + Send>),
        child.stderr.take().map(|output| Box::new(output) as Box<dyn Read + Send>),
    ];
    for output in outputs.into_iter().flatten() {
        let lines = lines.clone();
        // Without a thread the pipe is closed, and Janus goes on.
        let _logs_less = thread::Builder::new().name("janus-log".to_owned()).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                tracing::debug!(target: "janus", "{line}");
                let mut lines = lock(&lines);
                if lines.len() == TAIL_LINES_MAX {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
