//! `mobzctl hls probe` passes on our own origin, whatever is published and however it is reached.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobz_tests::{Key, Media, Process, Redis, SOON, Signal, Stack, mobzctl};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// How much media there is before a probe looks: some segments.
const SECONDS_BEFORE: f64 = 9.0;

fn push(stack: &Stack, flags: &[&str]) -> Process {
    let mut command = stack.mobzctl();
    command.args(["hls", "push", "live"]).arg(Media::file()).args(["--loop", "--output", "json"]).args(flags);
    let mut push = Process::start(&mut command);
    line(&mut push, |line| line["mediaSeconds"].as_f64() >= Some(SECONDS_BEFORE));
    push
}

fn line(push: &mut Process, wanted: impl Fn(&Value) -> bool) {
    loop {
        let line = push.line(SOON).unwrap_or_else(|| unreachable!("the push ended: {}", push.log()));
        if wanted(&serde_json::from_str(&line).unwrap()) {
            return;
        }
    }
}

/// Probes; → the report, in which no rule fails.
async fn passes(stack: &Stack, url: &str, flags: &[&str]) -> Value {
    let mut command = stack.mobzctl();
    command.args(["hls", "probe", url, "--duration", "12s", "--output", "json"]).args(flags);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| unreachable!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
    let broken: Vec<_> = report["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["verdict"] == "fail")
        .map(|rule| format!("{} {}", rule["rule"], rule["seen"]))
        .collect();
    assert!(broken.is_empty() && ran.status.success(), "{broken:#?}");
    report
}

fn verdict<'a>(report: &'a Value, rule: &str) -> &'a str {
    let rules = report["rules"].as_array().unwrap();
    rules.iter().find(|ruling| ruling["rule"] == rule).unwrap()["verdict"].as_str().unwrap()
}

fn url(stack: &Stack) -> String {
    format!("{}/hls/live/index.m3u8", stack.origin)
}

#[tokio::test]
async fn one_track_passes_live_after_a_publisher_restart_and_after_its_end() {
    let stack = Stack::up();
    let mut first = push(&stack, &["--no-end"]);
    passes(&stack, &url(&stack), &[]).await;

    first.signal(Signal::INT);
    first.wait(SOON);
    let mut second = push(&stack, &["--user", "another"]);
    let report = passes(&stack, &url(&stack), &[]).await;
    assert_eq!(verdict(&report, "date-time-at-break"), "pass", "the restart is listed");

    second.signal(Signal::INT);
    line(&mut second, |line| line["state"] == "ended");
    let report = passes(&stack, &url(&stack), &[]).await;
    assert_eq!((verdict(&report, "end-directives"), verdict(&report, "end-final")), ("pass", "pass"));
}

#[tokio::test]
async fn two_renditions_pass() {
    let stack = Stack::up();
    let _push = push(&stack, &["--renditions", "180p,90p"]);
    let report = passes(&stack, &url(&stack), &["--track", "180p"]).await;
    for rule in ["report-true", "renditions-dates", "renditions-control", "renditions-discontinuities"] {
        assert_eq!(verdict(&report, rule), "pass", "{rule}");
    }
}

#[tokio::test]
async fn whole_segments_pass() {
    let stack = Stack::up();
    let _push = push(&stack, &["--parts", "off"]);
    let report = passes(&stack, &url(&stack), &[]).await;
    assert_eq!(
        (verdict(&report, "block-segment"), verdict(&report, "block-part")),
        ("pass", "notApplicable")
    );
}

#[tokio::test]
async fn sound_alone_passes() {
    let stack = Stack::up();
    let mut command = stack.mobzctl();
    command.args(["hls", "push", "live"]).arg(Media::sound()).args(["--loop", "--output", "json"]);
    let mut push = Process::start(&mut command);
    line(&mut push, |line| line["mediaSeconds"].as_f64() >= Some(SECONDS_BEFORE));
    let report = passes(&stack, &url(&stack), &[]).await;
    assert_eq!(verdict(&report, "parts-make-segment"), "pass");
}

#[tokio::test]
async fn two_origin_nodes_in_turn_pass_as_one() {
    let redis = Redis::start().unwrap();
    let here = Stack::origin(&redis.url(), &[]).await;
    let there = Stack::origin(&redis.url(), &[]).await;
    let address = |stack: &Stack| stack.origin.trim_start_matches("http://").parse().unwrap();
    let front = in_turn([address(&here), address(&there)]).await;
    let signaling = Stack::signaling(&redis.url(), &["--origin-url", &format!("http://{front}")]).await;
    let _push = push(&signaling, &[]);
    passes(&signaling, &format!("http://{front}/hls/live/index.m3u8"), &[]).await;
}

#[tokio::test]
async fn a_private_stream_passes_under_its_token_and_is_refused_without() {
    let keys = Key::test().environment();
    let mut up = mobzctl();
    let stack = Stack::up_by(up.env("MOBZ_KEYS", &keys).arg("--private-playback"));
    let mut command = stack.mobzctl();
    command.env("MOBZ_KEYS", &keys).args(["hls", "push", "live"]).arg(Media::file());
    let mut push = Process::start(command.args(["--loop", "--output", "json"]));
    line(&mut push, |line| line["mediaSeconds"].as_f64() >= Some(SECONDS_BEFORE));
    let log = push.log();
    let private =
        log.split_whitespace().find(|word| word.contains("/~")).unwrap_or_else(|| unreachable!("{log}"));
    passes(&stack, private, &[]).await;

    let without = stack.mobzctl().args(["hls", "probe", &url(&stack)]).output().unwrap();
    assert_eq!(without.status.code(), Some(4), "{}", String::from_utf8_lossy(&without.stderr));
}

/// A TCP proxy whose connections go to each server in turn; the probe asks several things at once, and so
/// over several connections.
async fn in_turn(servers: [SocketAddr; 2]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let next = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = servers[next.fetch_add(1, Ordering::Relaxed) % servers.len()];
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    // Either side may go whenever it likes.
                    drop(copy_bidirectional(&mut client, &mut server).await);
                }
            });
        }
    });
    address
}
