//! The demo site's specs in real Chromium, each on the stack it is about.
//!
//! They share two cores with video encoders: run them with `--test-threads 1`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mobz_tests::{Coturn, Media, Process, Redis, SOON, Stack, eventually, is_inside, mobzctl};

/// How long one spec file may take.
const SPEC_MAX: Duration = Duration::from_secs(400);
const LIVE: &str = "live";

#[test]
fn two_pages_talk_p2p_on_one_node() {
    let stack = Stack::up();
    spec("p2p", &[("MOBZ_DEMO_URL", &stack.demo)]);
}

#[test]
fn two_pages_talk_p2p_across_two_nodes_with_one_redis() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let nodes = [("MOBZ_SIGNAL_A", &*here.signal), ("MOBZ_SIGNAL_B", &there.signal)];
    spec("nodes", &[&[("MOBZ_DEMO_URL", &*here.demo)], &nodes[..]].concat());
}

#[test]
fn two_pages_talk_p2p_through_coturn_alone() {
    let coturn = Coturn::start();
    let secret = coturn.secret_file();
    let secret = secret.to_str().unwrap();
    let stack = Stack::up_with(&["--turn", &coturn.url(), "--turn-secret-file", secret]);
    spec("relay", &[("MOBZ_DEMO_URL", &stack.demo)]);
    assert!(coturn.allocations() >= 2, "both pages were given a relay address");
}

#[tokio::test]
async fn a_pushed_file_plays_in_hls_js() {
    let stack = Stack::up();
    let _push = Process::start(stack.mobzctl().args(["hls", "push", LIVE, "--loop"]).arg(Media::file()));
    plays(stack).await;
}

#[tokio::test]
async fn a_piped_encoder_plays_in_hls_js() {
    let stack = Stack::up();
    let _processes = Media::live_into(stack.mobzctl().args(["hls", "push", LIVE, "-"]));
    plays(stack).await;
}

#[test]
fn every_player_plays_and_goes_on_after_restarts() {
    let server = Redis::start().unwrap();
    published("players", &[("MOBZ_REDIS_URL", &server.url())]);
}

#[test]
fn every_player_and_the_watch_page_choose_among_renditions() {
    published("renditions", &[]);
}

#[test]
fn the_watch_page_plays_one_stream_after_the_other() {
    published("stream", &[]);
}

#[test]
fn a_browser_publishes_and_another_plays_in_sync() {
    let stack = Stack::up();
    spec("publish", &[("MOBZ_DEMO_URL", &stack.demo)]);
    spec("sync", &[("MOBZ_DEMO_URL", &stack.demo)]);
}

#[test]
fn pages_meet_over_two_munits() {
    if !is_inside("pages_meet_over_two_munits") {
        return;
    }
    let stack = Stack::up_with(&["--munits", "2"]);
    let ctl = stack.mobzctl();
    let settings = [
        ("MOBZ_DEMO_URL", &*stack.demo),
        ("MOBZ_CTL", ctl.get_program().to_str().unwrap()),
        ("MOBZ_ENDPOINT", &stack.control),
    ];
    spec("m2m", &settings);
}

#[tokio::test]
async fn a_call_goes_on_when_a_munit_dies() {
    if !is_inside("a_call_goes_on_when_a_munit_dies") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let munits = ["m1", "m2"].map(|munit| (munit, regulator(&redis, munit)));
    eventually("both munits take stations", async || {
        let munits = stack.api().get("/v1/munits").await;
        let active = munits["munits"].as_array()?.iter().filter(|munit| munit["state"] == "active");
        (active.count() == 2).then_some(())
    })
    .await;
    let pids = |regulator: &Process| [vec![regulator.id()], regulator.januses()].concat();
    let pids: BTreeMap<_, _> = munits.iter().map(|(munit, process)| (munit, pids(process))).collect();
    let pids = serde_json::to_string(&pids).unwrap();
    tokio::task::spawn_blocking(move || {
        let ctl = stack.mobzctl();
        let settings = [
            ("MOBZ_DEMO_URL", &*stack.demo),
            ("MOBZ_CTL", ctl.get_program().to_str().unwrap()),
            ("MOBZ_ENDPOINT", &stack.control),
            ("MOBZ_MUNIT_PIDS", &pids),
        ];
        spec("failover", &settings);
    })
    .await
    .unwrap();
}

#[test]
fn every_page_shows_as_it_should() {
    let stack = Stack::up();
    let shots = stack.process.directory();
    spec("screens", &[("MOBZ_DEMO_URL", &stack.demo), ("MOBZ_SHOTS", shots.to_str().unwrap())]);
}

/// `launch regulator` with a Janus of its own: a munit that can be killed alone.
fn regulator(redis: &Redis, munit: &str) -> Process {
    let mut command = mobzctl();
    command.args(["launch", "regulator", "--munit", munit, "--redis", &redis.url(), "--spawn-janus"]);
    command.env("XDG_RUNTIME_DIR", redis.directory());
    Process::start(&mut command)
}

async fn plays(stack: Stack) {
    eventually("the room has a stream", async || {
        let room = stack.api().try_get(&format!("/v1/rooms/{LIVE}")).await?;
        room["hls"]["tracks"][0]["part"].as_u64()
    })
    .await;
    let settings = move || spec("p2m", &[("MOBZ_DEMO_URL", &stack.demo), ("MOBZ_LIVE_ROOM", LIVE)]);
    tokio::task::spawn_blocking(settings).await.unwrap();
}

/// Runs a spec that publishes the sample itself, on a stack of its own.
fn published(name: &str, more: &[(&str, &str)]) {
    let stack = Stack::up();
    let (ctl, sample) = (stack.mobzctl(), Media::file());
    let settings = [
        ("MOBZ_DEMO_URL", &*stack.demo),
        ("MOBZ_CTL", ctl.get_program().to_str().unwrap()),
        ("MOBZ_ENDPOINT", &stack.control),
        ("MOBZ_ORIGIN", &stack.origin),
        ("MOBZ_SAMPLE", sample.to_str().unwrap()),
    ];
    spec(name, &[&settings[..], more].concat());
}

/// Runs one spec file with node's own test runner; all of its tests must run, and pass.
fn spec(name: &str, settings: &[(&str, &str)]) {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap", &format!("e2e/{name}.spec.js")]).current_dir(site);
    let mut node = Process::start(command.envs(settings.iter().copied()));
    let mut report = Vec::new();
    while let Some(line) = node.line(SPEC_MAX) {
        report.push(line);
    }
    let ended = node.wait(SOON);
    let total = |what: &str| -> usize {
        let line = report.iter().rev().find_map(|line| line.strip_prefix(&format!("# {what} ")));
        line.and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let (ran, passed) = (total("tests"), total("pass"));
    // Set off, so that nobody counts node's totals beside cargo's.
    assert!(ended.code == Some(0) && ran > 0 && passed == ran, "{name}:\n  | {}", report.join("\n  | "));
}
