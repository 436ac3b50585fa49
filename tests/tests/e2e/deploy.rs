//! `plan`, `deploy`, `destroy` and what goes with them, against a stand-in for AWS that evaluates the templates.

mod failures;
mod images;
mod life;
mod moto;
mod operating;
mod pipeline;
mod rolling;
mod terminal;
mod troubles;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use mobz_tests::{Aws, Ended, Process, SOON, Snapshot};
use serde_json::Value;
use tempfile::TempDir;

/// The images of an environment without TURN.
const IMAGES: [&str; 4] = ["janus-media-server", "regulator", "signaling", "origin"];
/// A configuration that says nothing but the name.
const PLAIN: &str = "environment: demo\n";

/// An account, and a folder with a configuration.
struct Site {
    aws: Aws,
    folder: TempDir,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    /// An account that has nothing but images in a registry that is to come.
    fn new() -> Self {
        let aws = Aws::start();
        for image in IMAGES {
            aws.has_image(&format!("demo/{image}"), env!("CARGO_PKG_VERSION"));
        }
        Self::with(aws)
    }

    /// An account in which the environment stands.
    fn deployed() -> Self {
        static DEPLOYED: OnceLock<Snapshot> = OnceLock::new();
        let snapshot = DEPLOYED.get_or_init(|| {
            let site = Self::new();
            site.run(&["deploy", "--yes"]).done();
            site.aws.snapshot()
        });
        Self::with(Aws::from(snapshot))
    }

    fn with(aws: Aws) -> Self {
        let site = Self { aws, folder: tempfile::tempdir().expect("a temporary directory") };
        site.configure(PLAIN);
        site
    }

    fn configure(&self, text: &str) {
        fs::write(self.folder.path().join("mobz.yaml"), text).expect("a folder that can be written to");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.aws.mobzctl(self.path());
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&ran.out).expect(&ran.err)
    }

    /// Starts a command that is to be waited for; its words on stderr are its log.
    fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Waits until a stack is in this state.
    fn becomes(&self, stack: &str, status: &str) {
        sync_eventually(&format!("{stack} is {status}, not {}", self.aws.status(stack)), || {
            self.aws.status(stack) == status
        });
    }
}

impl Ran {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("mobzctl starts");
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn done(&self) -> &Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn failed(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        let parts = ["error: ", "\n  why: ", "\n  do:  "];
        assert!(parts.iter().all(|part| self.err.contains(part)), "{}", self.err);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "no {text:?} in\n{}\n{}",
            self.out,
            self.err
        );
        self
    }
}

fn ended(process: &mut Process) -> Option<i32> {
    let Ended { code, .. } = process.wait(SOON * 2);
    code
}

fn sync_eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + SOON;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
