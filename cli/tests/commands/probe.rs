//! `hls probe` against a server with seeded mistakes, and against our own.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};

use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::seeded;
use crate::support::{Home, Ran, Running};

/// How many probes run at once.
const AT_ONCE: usize = 14;
/// How long each follows.
const LOOK: &str = "6s";

/// A runtime with the server on it.
fn server() -> (Runtime, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let address = runtime.block_on(seeded::serve());
    (runtime, address)
}

fn probe(address: SocketAddr, fault: &str) -> Ran {
    let url = format!("http://{address}/{fault}/index.m3u8");
    Home::new().run(&["hls", "probe", &url, "--duration", LOOK, "--output", "json"])
}

fn verdict<'a>(report: &'a Value, rule: &str) -> &'a str {
    let rules = report["rules"].as_array().unwrap();
    rules.iter().find(|ruling| ruling["rule"] == rule).unwrap()["verdict"].as_str().unwrap()
}

fn with(report: &Value, verdict: &str) -> Vec<String> {
    let rules = report["rules"].as_array().unwrap();
    let those = rules.iter().filter(|ruling| ruling["verdict"] == verdict);
    those.map(|ruling| format!("{}: {}", ruling["rule"], ruling["seen"])).collect()
}

/// What else fails where one mistake breaks several rules.
const ALSO: &[(&str, &[&str])] = &[
    ("target-duration", &["part-durations-sum"]),
    ("part-duration-min", &["part-durations-sum"]),
    // A part that is hinted at may be listed by the time it is asked for.
    ("listed-available", &["hint-available"]),
    // Two renditions are not read at the same moment.
    ("discontinuity-sequence", &["renditions-discontinuities"]),
    ("target-constant", &["renditions-target"]),
    ("daterange-unchanged", &["renditions-dateranges"]),
];

/// The rules that fail, but for the one that is meant and those that must go with it.
fn failed(report: &Value, rule: &str, also: &[&str]) -> Vec<String> {
    let failed = with(report, "fail");
    let is_meant = |text: &str, name: &str| text.starts_with(&format!("\"{name}\":"));
    failed
        .into_iter()
        .filter(|text| !is_meant(text, rule) && !also.iter().any(|name| is_meant(text, name)))
        .collect()
}

#[test]
fn every_rule_finds_the_mistake_that_was_seeded_for_it() {
    let (_runtime, address) = server();
    let clean = probe(address, "clean");
    clean.done();
    let report = clean.json();
    assert_eq!(with(&report, "fail"), [""; 0], "a server without fault");
    assert!(report["rules"].as_array().unwrap().iter().all(|ruling| ruling["group"].is_string()), "{report}");
    // A gap, an end and a stall are what a stream without fault need not have.
    let skipped = with(&report, "skipped");
    assert!(skipped.len() == 1 && skipped[0].contains("block-limit"), "{skipped:?}");
    let absent = with(&report, "notApplicable");
    assert_eq!(absent.len(), 5, "gap, delta-ignored and the three of the end: {absent:?}");
    assert_eq!(with(&report, "warn"), [""; 0], "a server without fault");

    let left = (Mutex::new(AT_ONCE), Condvar::new());
    let missed: Vec<String> = std::thread::scope(|scope| {
        let probes: Vec<_> = report["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ruling| {
                let left = &left;
                scope.spawn(move || {
                    let rule = ruling["rule"].as_str().unwrap();
                    *left.1.wait_while(left.0.lock().unwrap(), |left| *left == 0).unwrap() -= 1;
                    let ran = probe(address, rule);
                    *left.0.lock().unwrap() += 1;
                    left.1.notify_one();
                    let (expected, code) = if ruling["level"] == "must" { ("fail", 1) } else { ("warn", 0) };
                    let report = ran.json();
                    let also =
                        ALSO.iter().find(|(fault, _)| *fault == rule).map_or(&[][..], |(_, also)| also);
                    let more = failed(&report, rule, also);
                    let code = if also.is_empty() { code } else { 1 };
                    let is_right = verdict(&report, rule) == expected && ran.code == code && more.is_empty();
                    let seen = format!("{rule}: {}, exit {}, and {more:?}", verdict(&report, rule), ran.code);
                    (!is_right).then_some(seen)
                })
            })
            .collect();
        probes.into_iter().filter_map(|probe| probe.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "mistakes that were not found, or not alone:\n{}", missed.join("\n"));
}

#[test]
fn a_stream_that_is_over_is_looked_at_as_far_as_that_goes() {
    let (_runtime, address) = server();
    let ran = probe(address, "ended");
    ran.done();
    let report = ran.json();
    assert_eq!(with(&report, "fail"), [""; 0]);
    assert_eq!(verdict(&report, "end-directives"), "pass");
    assert_eq!(verdict(&report, "block-part"), "notApplicable");
}

#[test]
fn a_stream_without_parts_is_held_to_what_it_can_keep() {
    let (_runtime, address) = server();
    let ran = probe(address, "segments");
    ran.done();
    let report = ran.json();
    assert_eq!(with(&report, "fail"), [""; 0]);
    for rule in ["block-segment", "delta-equal", "report-true", "removed-segments-kept"] {
        assert_eq!(verdict(&report, rule), "pass", "{rule}");
    }
    for rule in ["block-part", "hint", "part-hold-back", "parts-make-segment"] {
        assert_eq!(verdict(&report, rule), "notApplicable", "{rule}");
    }
}

#[test]
fn a_stream_that_stalls_shows_the_limit_of_blocking_and_no_fault() {
    let (_runtime, address) = server();
    let ran = probe(address, "stalled");
    ran.done();
    let report = ran.json();
    assert_eq!(with(&report, "fail"), [""; 0]);
    assert_eq!(verdict(&report, "block-limit"), "pass");
    assert_eq!(verdict(&report, "block-segment"), "skipped");
}

#[test]
fn a_server_that_fails_is_told_in_three_parts_and_the_report_is_still_there() {
    let (_runtime, address) = server();
    let url = format!("http://{address}/hold-back/index.m3u8");
    let ran = Home::new().run(&["hls", "probe", &url, "--duration", "1s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("error: ") && ran.err.contains("why: ") && ran.err.contains("do:  "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1 of") && ran.err.contains("hold-back"), "{}", ran.err);
    let line = ran.out.lines().find(|line| line.starts_with("fail ")).unwrap();
    assert!(line.contains("hold-back") && line.contains("4.4.3.8") && line.contains("2 s"), "{line}");
    let headings = ["THE MULTIVARIANT PLAYLIST  ", "SERVER CONTROL  ", "BLOCKING RELOADS  ", "HTTP  "];
    let places: Vec<_> = headings.iter().filter_map(|heading| ran.out.find(heading)).collect();
    assert!(places.len() == headings.len() && places.is_sorted(), "{}", ran.out);
    let heading = ran.out.lines().find(|line| line.starts_with("SERVER CONTROL")).unwrap();
    assert!(heading.ends_with("1 fail"), "{heading}");
}

#[test]
fn what_is_not_there_has_the_exit_codes_of_every_command() {
    let (_runtime, address) = server();
    let home = Home::new();
    home.run(&["hls", "probe", "http://127.0.0.1:1/x.m3u8"]).failed(6);
    home.run(&["hls", "probe", &format!("http://{address}/clean/nothing")]).failed(3);
    home.run(&["hls", "probe", &format!("http://{address}/clean/high/init.mp4")]).failed(1);
    let lost = format!("http://{address}/clean/index.m3u8");
    home.run(&["hls", "probe", &lost, "--track", "middle"]).failed(3);
    assert_eq!(home.run(&["hls", "probe", "demo"]).code, 2);
}

#[test]
fn our_own_origin_keeps_every_rule_live_and_after_its_end() {
    let home = Home::new();
    let stack = home.up(&[]);
    let media = crate::streams::media(&home);
    let mut push = home.start(&["hls", "push", "demo", &media, "--loop", "--output", "json"]);
    wait_for_segments(&mut push);
    let url = format!("{}/hls/demo/index.m3u8", stack.url("origin"));
    let live = home.run(&["hls", "probe", &url, "--duration", "12s", "--output", "json"]);
    live.done();
    let report = live.json();
    assert_eq!(with(&report, "warn"), [""; 0]);
    assert!(report["counts"]["pass"].as_u64() > Some(40), "{report}");
    assert!(report["figuresMs"]["edgeAge"]["p50"].is_number(), "{report}");

    push.signal(Signal::INT);
    while push.json()["state"] != "ended" {}
    let ended = home.run(&["hls", "probe", &url, "--duration", "1s", "--output", "json"]);
    ended.done();
    assert_eq!(verdict(&ended.json(), "end-directives"), "pass");
}

/// Until a few segments are complete, so that the probe has something to compare.
fn wait_for_segments(push: &mut Running) {
    while push.json()["mediaSeconds"].as_f64().unwrap_or(0.0) < 9.0 {}
}
