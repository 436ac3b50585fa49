//! Two and more nodes on one Redis: PROTOCOL.md §2.

use std::process::{Command, Stdio};

use mobz_tests::{Process, Redis, SOON, Stack, eventually};
use serde_json::json;

use crate::{candidate, sync, users};

#[tokio::test]
async fn peers_on_two_nodes_talk_as_on_one() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut bob = there.join("demo", "p2p", "bob").await;
    assert_eq!(users(&ann.expect("ParticipantChange").await["joined"]), ["bob"]);
    for number in 0..200 {
        ann.send(candidate(number)).await;
        bob.send(candidate(1000 + number)).await;
    }
    for number in 0..200 {
        assert_eq!(bob.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
        assert_eq!(ann.expect("iceCandidate").await["candidate"], format!("candidate:{}", 1000 + number));
    }
    let echo = bob.done(json!({ "type": "UpdateVideo", "video": false })).await;
    assert_eq!(ann.expect("UpdateVideo").await["version"], echo["version"]);
    let there_state = bob.done(sync()).await;
    let here_state = ann.done(sync()).await;
    assert_eq!(here_state["participants"], there_state["participants"]);
    ann.done(json!({ "type": "Kick", "user": "bob" })).await;
    assert_eq!(bob.end().await, mobz_tests::End::Closed(1008));
}

#[tokio::test]
async fn a_relay_that_the_other_node_does_not_answer_times_out() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut ann = here.join("demo", "p2p", "ann").await;
    let _bob = there.join("demo", "p2p", "bob").await;
    ann.expect("ParticipantChange").await;
    there.process.signal(mobz_tests::Signal::STOP);
    ann.refused(candidate(0), "timeout").await;
    there.process.signal(mobz_tests::Signal::CONT);
}

#[tokio::test]
async fn a_signal_for_another_node_reaches_that_node_alone() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let elsewhere = Stack::up_with(&["--redis", &redis.url()]);
    let _other_room = elsewhere.join("other", "p2p", "cem").await;
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut bob = there.join("demo", "p2p", "bob").await;

    let mut spy = Process::start(redis_cli(&redis).arg("monitor"));
    assert_eq!(spy.line(SOON).as_deref(), Some("OK"));
    ann.done(json!({ "type": "Offer", "sdp": "the-needle" })).await;
    assert_eq!(bob.expect("Offer").await["sdp"], "the-needle");
    let end = "spy-ends-here";
    run(redis_cli(&redis).args(["echo", end]));

    let mut channels = Vec::new();
    loop {
        let line = spy.line(SOON).unwrap();
        if line.contains(end) {
            break;
        }
        let words: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        if line.contains("the-needle") && words[0].to_lowercase().contains("publish") {
            channels.push((words[0].to_lowercase(), words[1].to_owned()));
        }
    }
    assert_eq!(channels.len(), 1, "published once: {channels:?}");
    let (command, channel) = &channels[0];
    let count = if command == "spublish" { "shardnumsub" } else { "numsub" };
    let listeners = run(redis_cli(&redis).args(["pubsub", count, channel]));
    assert_eq!(listeners.lines().last(), Some("1"), "{listeners}");
}

#[tokio::test]
async fn a_room_outlives_the_node_it_began_on() {
    let redis = Redis::start().unwrap();
    let (mut here, there) = Stack::two_nodes_with(&redis.url(), &["--resume-grace", "1s"]);
    let _ann = here.join("demo", "p2p", "ann").await;
    let mut bob = there.join("demo", "p2p", "bob").await;
    here.process.signal(mobz_tests::Signal::KILL);
    here.process.wait(SOON);
    let change = bob.expect_that("ann's leaving", |signal| signal["left"][0]["user"] == "ann").await;
    assert_eq!((&change["left"][0]["reason"], &change["owner"]), (&json!("lost"), &json!("bob")));
    let rooms = eventually("one participant is left", async || {
        let room = there.api().get("/v1/rooms/demo").await;
        (users(&room["participants"]) == ["bob"]).then_some(room)
    });
    assert_eq!(rooms.await["owner"], "bob");
}

fn redis_cli(redis: &Redis) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &redis.port().to_string()]);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
