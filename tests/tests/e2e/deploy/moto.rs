//! The plain paths once more on moto, another's stand-in for AWS: so that ours does not only agree with itself.
//!
//! moto knows less: it tells no output of a stack that came by a change set, and of no resource's way. So the stacks
//! here are small ones that need nothing of each other.

use std::fs;
use std::process::Command;

use mobz_tests::{Process, mobzctl_at};
use serde_json::Value;
use tempfile::TempDir;

use super::{PLAIN, Ran, sync_eventually};

/// The parts of an environment without TURN.
const PARTS: [&str; 9] =
    ["network", "secrets", "redis", "registry", "cluster", "origin", "signaling-daemon", "munit", "watch"];

struct Moto {
    url: String,
    folder: TempDir,
    _server: Process,
}

impl Moto {
    fn start() -> Self {
        let mut command = Command::new("moto_server");
        let server = Process::start(command.args(["--host", "127.0.0.1", "--port", "0"]));
        let mut url = String::new();
        sync_eventually("moto serves", || {
            let log = server.log();
            let found = log.split_once("Running on ").and_then(|(_, rest)| rest.split_once('\n'));
            url = found.map(|(url, _)| url.trim().to_owned()).unwrap_or_default();
            !url.is_empty()
        });
        let moto = Self { url, folder: tempfile::tempdir().unwrap(), _server: server };
        fs::write(moto.folder.path().join("mobz.yaml"), PLAIN).unwrap();
        moto.templates(30);
        moto
    }

    /// Writes a template for each part: a log group that keeps what is logged for so many days.
    fn templates(&self, days: u32) {
        let folder = self.folder.path().join("stacks");
        fs::create_dir_all(&folder).unwrap();
        for part in PARTS {
            let text = format!(
                "Parameters:\n  Environment: {{ Type: String }}\nResources:\n  Logs:\n    Type: AWS::Logs::LogGroup\n    \
                 Properties: {{ LogGroupName: !Sub \"/mobz/${{Environment}}/{part}\", RetentionInDays: {days} }}\n"
            );
            fs::write(folder.join(format!("{part}.yaml")), text).unwrap();
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(mobzctl_at(&self.url, self.folder.path()).args(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&ran.done().out).unwrap()
    }
}

#[test]
fn on_moto_too_stacks_are_planned_created_left_alone_updated_shown_and_deleted() {
    let moto = Moto::start();
    let plan = moto.run(&["plan", "--templates", "stacks", "--detailed-exitcode"]);
    assert_eq!(plan.code, 10, "{plan:?}");
    plan.says("9 to add, 0 to change, 0 to replace, 0 to remove");
    moto.run(&["deploy", "--templates", "stacks", "--yes"]).done().says("demo-watch created");
    moto.run(&["deploy", "--templates", "stacks"]).done().says("nothing to change");

    moto.templates(7);
    moto.run(&["plan", "--templates", "stacks"]).done().says("demo-network  to update").says("  ~ Logs");
    let report = moto.json(&["deploy", "--templates", "stacks", "--yes"]);
    let updated = report["stacks"].as_array().unwrap().iter().filter(|stack| stack["outcome"] == "updated");
    assert_eq!(updated.count(), 9, "{report}");

    let stacks = moto.json(&["status"])["environment"]["stacks"].take();
    let statuses: Vec<&Value> = stacks.as_array().unwrap().iter().map(|stack| &stack["status"]).collect();
    assert_eq!(statuses, ["UPDATE_COMPLETE"; 9]);
    let destroyed = moto.json(&["destroy", "--yes"]);
    assert_eq!(destroyed["destroyed"].as_array().unwrap().len(), 9);
    moto.run(&["destroy"]).done().says("nothing to destroy");
}
