//! `mobzctl load webrtc`: every viewer gets the media of every publisher, and all of it is reported. Never how
//! fast.

use std::process::Output;

use mobz_tests::{Stack, is_inside, mobzctl};
use serde_json::{Value, json};

use crate::load::{number, report};

#[test]
fn every_viewer_gets_what_every_publisher_sends_and_the_report_adds_up() {
    let name = "load_webrtc::every_viewer_gets_what_every_publisher_sends_and_the_report_adds_up";
    if !is_inside(name) {
        return;
    }
    let stack = Stack::up_with(&["--munits", "2"]);
    let pid = stack.process.id().to_string();
    let report = report(&load(&stack, &["--duration", "3s", "--pid", &pid]));
    assert_eq!((&report["joined"], &report["asked"], &report["feeds"]), (&json!(5), &json!(5), &json!(6)));
    assert_eq!(report["publishing"], 2, "{report}");
    assert_eq!((&report["flowing"], &report["flowingAtEnd"]), (&json!(6), &json!(6)), "{report}");
    // One for each client, publisher, feed and viewer.
    for (times, count) in [
        ("connectMs", 5),
        ("joinMs", 5),
        ("offerMs", 2),
        ("publishMs", 2),
        ("firstMediaMs", 6),
        ("viewerMediaMs", 3),
    ] {
        assert_eq!(report[times]["count"], count, "{times}: {report}");
        for percentile in ["p50", "p90", "p99", "p999", "max"] {
            assert!(number(&report[times][percentile]) > 0.0, "{times}: {report}");
        }
    }
    assert!(
        (number(&report["offeredInline"]) + number(&report["watchMs"]["count"]) - 6.0).abs() < 0.5,
        "{report}"
    );
    let (packets, pictures) = (number(&report["packets"]), number(&report["pictures"]));
    assert!(pictures >= 6.0 && packets > pictures && number(&report["bytes"]) > packets, "{report}");
    assert!(number(&report["jitterMs"]["count"]) >= 6.0 && report["lost"].is_u64(), "{report}");
    let servers = report["servers"].as_array().unwrap();
    let named = |name: &str| servers.iter().filter(|server| server["name"] == name).count();
    assert_eq!((&servers[0]["pid"], named("mobzctl"), named("janus")), (&json!(stack.process.id()), 1, 2));
    for server in servers {
        assert!(number(&server["memoryPeakBytes"]) >= number(&server["memoryBeforeBytes"]), "{report}");
        assert!(server["cpuCores"].is_number(), "{report}");
    }
    let series = report["series"].as_array().unwrap();
    let steady: Vec<_> = series.iter().filter(|sample| sample["doing"] == "steady").collect();
    assert!(
        steady.len() >= 2 && steady.iter().any(|sample| sample["packets"].as_u64() > Some(0)),
        "{report}"
    );
    assert_eq!((&report["floor"], &report["ratios"]), (&Value::Null, &Value::Null));
}

#[test]
fn who_came_first_watches_whom_comes_and_the_floor_is_measured_in_the_same_run() {
    let name = "load_webrtc::who_came_first_watches_whom_comes_and_the_floor_is_measured_in_the_same_run";
    if !is_inside(name) {
        return;
    }
    let stack = Stack::up_with(&["--munits", "1"]);
    let report = report(&load(&stack, &["--duration", "1s", "--viewers-first", "--trickle", "--floor"]));
    assert_eq!((&report["offeredInline"], &report["watchMs"]["count"]), (&json!(0), &json!(6)), "{report}");
    assert_eq!(
        (&report["flowingAtEnd"], &report["viewerMediaMs"]["count"]),
        (&json!(6), &json!(3)),
        "{report}"
    );
    let floor = &report["floor"];
    let counts = (number(&floor["watchMs"]["count"]), number(&floor["attachAndJoinMs"]["count"]));
    assert!(counts.0 >= 2.0 && (counts.0 - counts.1).abs() < 0.5, "{report}");
    for ratio in ["watchP50", "watchP90", "watchP99"] {
        assert!(number(&report["ratios"][ratio]) > 0.0, "{ratio}: {report}");
    }
}

#[test]
fn another_machine_is_not_loaded_by_mistake_and_what_a_room_cannot_hold_is_refused() {
    let url = "ws://192.0.2.1/signal";
    let remote = mobzctl().args(["load", "webrtc", "--signal-url", url]).output().unwrap();
    let said = String::from_utf8_lossy(&remote.stderr);
    assert_eq!(remote.status.code(), Some(4), "{said}");
    assert!(said.contains("192.0.2.1") && said.contains("--yes-remote"), "{said}");
    let crowded = mobzctl().args(["load", "webrtc", "--publishers", "10", "--rooms", "1"]).output().unwrap();
    assert_eq!(crowded.status.code(), Some(2), "{}", String::from_utf8_lossy(&crowded.stderr));
}

/// 2 publishers and 3 viewers in one room.
fn load(stack: &Stack, flags: &[&str]) -> Output {
    let mut command = stack.mobzctl();
    command.args(["load", "webrtc", "--publishers", "2", "--viewers", "3", "--ramp", "500ms"]);
    command.args(["--output", "json"]).args(flags).output().unwrap()
}
