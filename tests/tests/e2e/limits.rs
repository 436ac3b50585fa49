//! Limits that hold when many come at once.

use futures_util::future::join_all;
use mobz_tests::{Client, Redis, Stack};
use serde_json::{Value, json};

use crate::{sync, users};

#[tokio::test]
async fn of_260_viewers_at_two_nodes_exactly_200_are_admitted() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut owner = here.join("storm", "m2m", "owner").await;
    let connecting = (0..260).map(|number| if number % 2 == 0 { here.connect() } else { there.connect() });
    let clients = join_all(connecting).await;
    let joining = clients.into_iter().enumerate().map(async |(number, mut client): (usize, Client)| {
        let user = format!("viewer{number}");
        let join = json!({ "type": "Join", "room": "storm", "mode": "m2m", "user": { "id": user } });
        (client.request(join).await, client)
    });
    let answers: Vec<(Value, Client)> = join_all(joining).await;
    let admitted = answers.iter().filter(|(answer, _)| answer["type"] == "JoinAck").count();
    let full = answers.iter().filter(|(answer, _)| answer["code"] == "room_full").count();
    assert_eq!((admitted, full), (200, 60));
    let viewers = answers.iter().filter(|(answer, _)| answer["participantType"] == "viewer").count();
    assert_eq!(viewers, 200);
    let state = owner.done(sync()).await;
    assert_eq!(users(&state["participants"]).len(), 201);

    let mut versions: Vec<_> = answers.iter().filter_map(|(answer, _)| answer["version"].as_u64()).collect();
    versions.sort_unstable();
    let first = versions[0];
    assert_eq!(versions, (first..first + 200).collect::<Vec<_>>(), "one version for each who joined");
}

#[tokio::test]
async fn viewers_of_p2m_are_counted_once_a_second_at_most() {
    const VIEWERS: u64 = 40;
    let stack = Stack::up();
    let mut ann = stack.join("live", "p2m", "ann").await;
    let started = tokio::time::Instant::now();
    let version = ann.done(sync()).await["version"].clone();
    let viewers =
        join_all((0..VIEWERS).map(async |number| stack.join("live", "p2m", &format!("v{number}")).await))
            .await;
    let mut counts = Vec::new();
    while counts.last() != Some(&VIEWERS) {
        counts.push(ann.expect("ViewerCount").await["viewers"].as_u64().unwrap());
    }
    let seconds = started.elapsed().as_secs();
    assert!(counts.len() as u64 <= seconds + 2, "{} counts in {seconds} s: {counts:?}", counts.len());
    assert_eq!(ann.done(sync()).await["version"], version, "viewers make no version");
    drop(viewers);
}

#[tokio::test]
async fn who_does_not_read_is_away_and_costs_no_memory() {
    let stack = Stack::up();
    let mut ann = stack.join("flood", "p2p", "ann").await;
    let bob = stack.join("flood", "p2p", "bob").await;
    let offer = json!({ "type": "Offer", "sdp": "x".repeat(500_000) });
    let before = resident(stack.process.id());
    // More than the kernel's buffers and the server's queue hold together, many times.
    for _ in 0..160 {
        ann.send(offer.clone()).await;
    }
    let gone = |signal: &Value| signal["away"] == json!(["bob"]);
    ann.expect_that("bob is away, for he does not read", gone).await;
    let grown = resident(stack.process.id()).saturating_sub(before);
    assert!(grown < 40 << 20, "the server grew by {grown} bytes for 80 MB that nobody reads");
    drop(bob);
}

/// The resident memory of a process, in bytes (proc(5), `VmRSS`).
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
