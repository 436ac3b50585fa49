//! `mobzctl` in a home of its own, and stacks that end with their test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything that should happen soon may take before a test fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A home folder with nothing in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// `mobzctl` in this home, without any setting of whoever runs the tests.
    pub(crate) fn mobzctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobzctl"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MOBZ_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.mobzctl(arguments).output().unwrap())
    }

    /// Runs it with `input` on stdin.
    pub(crate) fn pipe(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.mobzctl(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Starts it, to be read line by line.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::of(&mut self.mobzctl(arguments))
    }

    /// A stack on free ports, with further flags.
    pub(crate) fn up(&self, flags: &[&str]) -> Stack {
        let arguments = [&["up", "--port-base", "0", "--output", "json"], flags].concat();
        let mut process = self.start(&arguments);
        let ready = process.json();
        Stack { process, ready }
    }
}

/// How a run came out.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that it failed with this code, in three parts.
    pub(crate) fn failed(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(
            self.err.contains("error: ") && self.err.contains("why: ") && self.err.contains("do:  "),
            "{self:?}"
        );
        assert_eq!(self.out, "", "data on stdout");
        self
    }

    /// Asserts that it did what it should.
    pub(crate) fn done(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A process that goes on; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line of stdout; waits.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line).unwrap();
        assert!(length > 0, "it ended: {:?}", self.child.wait());
        line.trim_end().to_owned()
    }

    /// The next line as JSON.
    pub(crate) fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Its exit code, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running stack.
pub(crate) struct Stack {
    pub(crate) process: Running,
    pub(crate) ready: Value,
}

impl Stack {
    pub(crate) fn url(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
