//! `mobzctl load signaling`: what it counts is what happened. Never how fast.

use std::process::Output;

use mobz_tests::{Stack, mobzctl};
use serde_json::{Value, json};

#[test]
fn a_load_in_p2p_loses_nothing_and_reports_all_of_it() {
    let stack = Stack::up();
    let flags = ["--connections", "200", "--duration", "3s", "--messages-per-second", "400", "--saturate"];
    let report = report(&load(&stack, &flags));
    let server = &report["server"];
    assert_eq!((&server["asked"], &server["joined"]), (&json!(200), &json!(200)), "{report}");
    assert_eq!(server["errors"], json!({}), "{report}");
    assert_eq!(server["sent"], server["received"], "{report}");
    assert_eq!(server["joinMs"]["count"], 200, "{report}");
    assert!(server["relayMs"]["count"].as_u64().is_some_and(|count| count > 0), "{report}");
    for percentile in ["p50", "p90", "p99", "p999", "max"] {
        for times in ["connectMs", "joinMs", "relayMs"] {
            assert!(server[times][percentile].as_f64().is_some_and(|time| time > 0.0), "{times}: {report}");
        }
    }
    for round in server["saturated"].as_array().unwrap() {
        assert!(round["relaysPerSecond"].as_u64().is_some_and(|relays| relays > 0), "{report}");
    }
    assert!(report["series"].as_array().is_some_and(|series| series.len() >= 3), "{report}");
    assert_eq!((&report["floor"], &report["ratios"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_floor_is_measured_in_the_same_run() {
    let stack = Stack::up();
    let pid = stack.process.id().to_string();
    let flags = ["--connections", "40", "--duration", "1s", "--floor", "--pid", &pid];
    let report = report(&load(&stack, &flags));
    for side in ["server", "floor"] {
        assert_eq!((&report[side]["joined"], &report[side]["errors"]), (&json!(40), &json!({})), "{report}");
        assert!(report[side]["memory"]["idleBytes"].as_u64().is_some_and(|bytes| bytes > 0), "{report}");
    }
    for ratio in ["relaysPerSecond", "relayP50", "relayP99"] {
        assert!(report["ratios"][ratio].as_f64().is_some_and(|ratio| ratio > 0.0), "{ratio}: {report}");
    }
}

#[test]
fn a_group_hears_every_change_of_its_publisher() {
    let stack = Stack::up();
    for mode in ["p2m", "m2m"] {
        let flags = ["--mode", mode, "--connections", "60", "--rooms", "3", "--duration", "2s"];
        let report = report(&load(&stack, &[&flags[..], &["--messages-per-second", "30"]].concat()));
        let server = &report["server"];
        assert_eq!((&server["joined"], &server["errors"]), (&json!(60), &json!({})), "{report}");
        let count = |key: &str| server[key].as_u64().unwrap();
        assert_eq!(count("received"), count("sent") * 20, "{report}");
    }
}

#[test]
fn refusals_are_counted_by_code_and_make_it_fail() {
    let stack = Stack::up_with(&["--keys-inline", "k:0123456789abcdef0123456789abcdef"]);
    let output = load(&stack, &["--connections", "10", "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["server"]["errors"], json!({ "unauthorized": 10 }), "{report}");
    assert_eq!(report["server"]["joined"], 0);
}

#[test]
fn another_machine_is_not_loaded_by_mistake() {
    let url = "ws://192.0.2.1/signal";
    let output = mobzctl().args(["load", "signaling", "--signal-url", url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("192.0.2.1") && said.contains("--yes-remote"), "{said}");
}

fn load(stack: &Stack, flags: &[&str]) -> Output {
    let mut command = stack.mobzctl();
    command.args(["load", "signaling", "--signal-url", &stack.signal, "--output", "json"]).args(flags);
    command.output().unwrap()
}

/// The report of a test without errors.
pub(crate) fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A figure of a report; 0 where there is none.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}
