//! The process of a Janus.
//!
//! A thread of its own starts it and waits for it: what dies with its parent dies with the very thread
//! that started it, and the threads of a runtime come and go.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::sync::watch;

use super::{TAIL_LINES_MAX, on_path};

/// How often it is looked whether a process that another one started still runs.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, if it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// Nobody was told how.
const UNKNOWN: Ended = Ended { code: None, signal: None };

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

/// Runs Janus, and ends it once nobody has held the lock for long enough: who looks after it holds it, and a
/// process that is killed lets go of it. It leads a process group, whose rest goes with it.
const GUARD: &str = r#"
lock=$1 grace=$2
shift 2
"$@" & janus=$!
while kill -0 "$janus" 2>/dev/null; do
  sleep 1
  if [ ! -e "$lock" ] || flock --nonblock "$lock" true; then free=$((free + 1)); else free=0; fi
  if [ "$free" -gt "$grace" ]; then kill -s TERM "$janus"; fi
done &
trap 'kill -s TERM "$janus"' TERM
wait "$janus"
code=$?
while kill -0 "$janus" 2>/dev/null; do
  wait "$janus"
  code=$?
done
trap '' TERM
kill -s TERM 0
exit "$code"
"#;

/// A running process; killed when dropped, unless it was left.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Whether it leads a process group that ends with it.
    leads: bool,
    /// Held while it is signalled and while it is reaped: its id is nobody else's meanwhile.
    reaped: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<Ended>>,
    log: Log,
    left: AtomicBool,
}

/// What a process has said.
#[derive(Clone, Debug)]
enum Log {
    Kept(Arc<Mutex<VecDeque<String>>>),
    Written(PathBuf),
}

/// The file whose lock is held by who looks after a Janus that outlives its starter.
pub(super) fn lock_in(directory: &Path) -> PathBuf {
    directory.join("lock")
}

fn log_in(directory: &Path) -> PathBuf {
    directory.join("janus.log")
}

impl Process {
    pub(super) fn run(program: &Path, directory: &Path, outlives_us: Option<Duration>) -> io::Result<Self> {
        let setpriv = on_path("setpriv");
        let dies =
            setpriv.iter().flat_map(|setpriv| [setpriv.as_os_str(), "--pdeathsig".as_ref(), "KILL".as_ref()]);
        let words = dies.chain([program.as_os_str()]);
        let mut command = if let Some(grace) = outlives_us {
            let mut command = Command::new("sh");
            command.args(["-c", GUARD, "janus-guard"]).arg(lock_in(directory));
            command.arg(grace.as_secs().to_string()).args(words).process_group(0);
            command
        } else {
            let mut words = words;
            let mut command = Command::new(words.next().unwrap_or(program.as_os_str()));
            command.args(words);
            command
        };
        command.arg("-F").arg(directory).arg("-C").arg(directory.join("janus.jcfg")).stdin(Stdio::null());
        // Where it crashes its core goes with the rest of it, and not to where this process happens to be.
        command.current_dir(directory);
        let log = if outlives_us.is_some() {
            let path = log_in(directory);
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
                    let ended = status.map_or(UNKNOWN, Ended::from);
                    tell.send_replace(Some(ended));
                }
                Err(error) => {
                    let _given_up = started.send(Err(error));
                }
            }
        })?;
        let pid = starting.recv().unwrap_or_else(|_| Err(io::Error::other("its thread has ended")))?;
        let left = AtomicBool::new(false);
        Ok(Self { pid, leads: outlives_us.is_some(), reaped, ended, log, left })
    }

    /// One that another process has started in `directory`, if it still runs.
    pub(super) fn adopt(id: u32, directory: &Path) -> Option<Self> {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw)?;
        let is_it = {
            let lock = lock_in(directory).into_os_string();
            move || {
                let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
                line.split(|byte| *byte == 0).any(|word| word == lock.as_encoded_bytes())
            }
        };
        if !is_it() {
            return None;
        }
        let reaped = Arc::new(Mutex::new(false));
        let (tell, ended) = watch::channel(None);
        let theirs = reaped.clone();
        let watching = thread::Builder::new().name("janus".to_owned()).spawn(move || {
            // It is nobody's child who could be told.
            while !tell.is_closed() {
                thread::sleep(WATCH_EVERY);
                let mut reaped = lock(&theirs);
                if !is_it() {
                    *reaped = true;
                    tell.send_replace(Some(UNKNOWN));
                    return;
                }
            }
        });
        watching.ok()?;
        let log = Log::Written(log_in(directory));
        Some(Self { pid, leads: true, reaped, ended, log, left: AtomicBool::new(false) })
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn terminate(&self) {
        self.signal(|pid| kill_process(pid, Signal::TERM));
    }

    pub(super) fn kill(&self) {
        let leads = self.leads;
        self.signal(|pid| {
            if leads { kill_process_group(pid, Signal::KILL) } else { kill_process(pid, Signal::KILL) }
        });
    }

    pub(super) fn try_ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(UNKNOWN),
            Err(_) => UNKNOWN,
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

    fn signal(&self, send: impl FnOnce(Pid) -> rustix::io::Result<()>) {
        let reaped = lock(&self.reaped);
        if !*reaped {
            let _gone_already = send(self.pid);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.left.load(Ordering::Relaxed) {
            self.kill();
        }
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
