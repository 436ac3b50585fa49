//! A child process with its whole process group, ended when its guard is dropped.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, kill_process_group, setrlimit};
use tempfile::TempDir;

/// How long to wait between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The environment variable that marks a process tree, so that strays are found wherever they went.
const MARK: &str = "MOBZ_TEST_MARK";

/// A running program: its own process group, its output kept.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watchdog: Child,
    stdout: Receiver<String>,
    directory: TempDir,
    mark: String,
    ended: Option<Ended>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, if it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl Process {
    /// Starts a program without standard input.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null(), Stdio::piped())
    }

    /// Starts a program with these as its standard input and output; lines are read of a piped output.
    pub fn start_with(command: &mut Command, stdin: Stdio, stdout: Stdio) -> Self {
        let name = program_name(command.get_program());
        let directory =
            tempfile::Builder::new().prefix("mobz-process-").tempdir().expect("a temporary directory");
        let mark = directory.path().display().to_string();
        let log = File::create(directory.path().join("stderr")).expect("a log in the temporary directory");
        command.stdin(stdin).stdout(stdout).stderr(log).env(MARK, &mark).process_group(0);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name} (is it installed?): {error}"));
        let stdout = lines(child.stdout.take());
        let watchdog = watchdog(child.id());
        Self { name, child, watchdog, stdout, directory, mark, ended: None }
    }

    /// The process id; its process group has the same.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, where it was started with a piped one.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap_or_else(|| panic!("{} has no standard input to write to", self.name))
    }

    /// The next line of its standard output; `None` when it was closed.
    pub fn line(&mut self, within: Duration) -> Option<String> {
        match self.stdout.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} printed no further line within {within:?}; it logged:\n{}", self.name, self.log())
            }
        }
    }

    /// What it has logged on standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// A directory that lives as long as this process' guard.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Sends a signal to the process alone, not to what it started.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        loop {
            if let Some(ended) = self.try_wait() {
                return ended;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not end within {within:?}; it logged:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            let status = self.child.try_wait().unwrap_or_else(|error| panic!("{}: {error}", self.name));
            self.ended = status.map(|status| Ended { code: status.code(), signal: status.signal() });
        }
        self.ended.clone()
    }

    /// The processes it started, however deep and wherever they moved to, that are still there.
    pub fn strays(&self) -> Vec<u32> {
        let wanted = format!("{MARK}={}", self.mark);
        let marked = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        let entries = std::fs::read_dir("/proc").expect("/proc is there");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(marked).filter(|pid| *pid != self.child.id()).collect()
    }

    /// The Janus that it started, however many, in no order.
    pub fn januses(&self) -> Vec<u32> {
        let named = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.strays().into_iter().filter(|pid| named(pid).trim() == "janus").collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "the test's output is where its reader looks")]
    fn drop(&mut self) {
        // The watchdog first: it must not outlive the group and kill whoever gets its id next. The group
        // is ended also after its leader exited: that is how strays of a failed test go.
        drop(self.watchdog.kill());
        drop(self.watchdog.wait());
        if self.try_wait().is_none() || !self.strays().is_empty() {
            let _gone_already = kill_process_group(self.pid(), Signal::KILL);
        }
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("---- what {} logged ----\n{}", self.name, self.log());
        }
    }
}

/// Looks every now and then until `look` returns something, for [`crate::SOON`] at most.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + crate::SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "within {:?} it never came that {what}", crate::SOON);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Lets this process open as many files and sockets as the system allows it. Daemons that were started
/// before keep the limit that they were given, and see to it themselves.
pub fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a soft limit may be raised to the hard one");
}

fn program_name(program: &OsStr) -> String {
    let path = PathBuf::from(program);
    path.file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// Kills the process group when this process is gone, killed or not: the watchdog's input ends then.
fn watchdog(group: u32) -> Child {
    Command::new("sh")
        .args(["-c", "read _; kill -9 \"-$0\"", &group.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("there is a shell")
}

fn lines(output: Option<ChildStdout>) -> Receiver<String> {
    let (send, receive) = channel();
    if let Some(output) = output {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Whoever no longer listens has dropped the guard; the pipe is read on so that nobody blocks.
                drop(send.send(line));
            }
        });
    }
    receive
}
