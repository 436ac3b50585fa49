//! Losing a connection and coming back: PROTOCOL.md §2.

use mobz_tests::{Client, End, Redis, Stack};
use serde_json::{Value, json};

use crate::{candidate, sync, users};

/// The most relayed signals kept for somebody who is away.
const KEPT: u32 = 256;

async fn resume(stack: &Stack, ack: &Value) -> (Client, Value) {
    let mut client = stack.connect().await;
    let fields = json!({ "room": ack["room"], "mode": ack["mode"], "resume": ack["resume"], "user": { "id": ack["user"] } });
    let ack = client.join_with(fields).await;
    (client, ack)
}

async fn is_away(peer: &mut Client, user: &str) {
    let user = user.to_owned();
    let change =
        peer.expect_that("a change that says who is away", |signal| signal["away"] == json!([user])).await;
    assert_eq!((&change["left"], &change["back"]), (&json!([]), &json!([])));
}

async fn comes_back_to_what_was_kept(here: &Stack, there: &Stack) {
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut bob = here.connect().await;
    let joined = bob.join("demo", "p2p", "bob").await;
    bob.done(json!({ "type": "UpdateVideo", "audio": false })).await;
    bob.cut();
    is_away(&mut ann, "bob").await;
    assert_eq!(ann.done(json!({ "type": "Offer", "sdp": "v=0 kept" })).await["type"], "Ack");
    for number in 1..KEPT {
        ann.send(candidate(number)).await;
    }
    ann.done(sync()).await;

    let (mut bob, ack) = resume(there, &joined).await;
    assert_eq!(
        (&ack["user"], &ack["participantType"], &ack["owner"]),
        (&json!("bob"), &json!("publisher"), &json!("ann"))
    );
    assert_eq!(crate::entry(&ack["participants"], "bob")["audio"], false, "it goes on as it was: {ack}");
    assert_eq!(crate::entry(&ack["participants"], "bob")["away"], false);
    assert!(ack["missed"].is_null() || ack["missed"] == false, "{ack}");
    assert_ne!(ack["resume"], joined["resume"], "the secret changes with every JoinAck");
    assert_eq!(bob.expect("Offer").await["sdp"], "v=0 kept");
    for number in 1..KEPT {
        assert_eq!(bob.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
    }
    let change = ann.expect_that("who is back", |signal| signal["back"] == json!(["bob"])).await;
    assert_eq!(change["version"], ack["version"]);

    bob.done(candidate(9000)).await;
    assert_eq!(ann.expect("iceCandidate").await["candidate"], "candidate:9000");
    ann.done(candidate(9001)).await;
    assert_eq!(bob.expect("iceCandidate").await["candidate"], "candidate:9001");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_kept_in_order() {
    let stack = Stack::up();
    Box::pin(comes_back_to_what_was_kept(&stack, &stack)).await;
}

#[tokio::test]
async fn who_comes_back_on_another_node_gets_what_was_kept_in_order() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    Box::pin(comes_back_to_what_was_kept(&here, &there)).await;
}

#[tokio::test]
async fn who_missed_more_than_was_kept_is_told() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.connect().await;
    let joined = bob.join("demo", "p2p", "bob").await;
    bob.cut();
    is_away(&mut ann, "bob").await;
    for number in 0..=KEPT {
        ann.send(candidate(number)).await;
    }
    ann.done(sync()).await;
    let (_bob, ack) = resume(&stack, &joined).await;
    assert_eq!(ack["missed"], true);
}

#[tokio::test]
async fn room_state_is_not_kept_the_join_ack_carries_it() {
    let stack = Stack::up();
    let mut ann = stack.join("group", "m2m", "ann").await;
    let mut bob = stack.connect().await;
    let joined = bob.join("group", "m2m", "bob").await;
    bob.cut();
    is_away(&mut ann, "bob").await;
    let _cem = stack.join("group", "m2m", "cem").await;
    ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    let (mut bob, ack) = resume(&stack, &joined).await;
    assert_eq!(users(&ack["participants"]), ["ann", "bob", "cem"]);
    assert_eq!(crate::entry(&ack["publishers"], "ann")["video"], false);
    bob.assert_none("UpdateVideo").await;
    assert_eq!(bob.done(sync()).await["version"], ack["version"]);
}

#[tokio::test]
async fn a_live_connection_that_is_resumed_elsewhere_closes_with_4000() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut old = here.connect().await;
    let joined = old.join("demo", "p2p", "bob").await;
    let (mut new, _) = resume(&there, &joined).await;
    assert_eq!(old.end().await, End::Closed(4000));
    ann.done(candidate(1)).await;
    assert_eq!(new.expect("iceCandidate").await["candidate"], "candidate:1");
    let left = ann.received().await.into_iter().find(|signal| signal["left"][0]["user"] == "bob");
    assert_eq!(left, None, "bob has never left");
}

#[tokio::test]
async fn a_wrong_or_used_secret_is_refused() {
    let stack = Stack::up();
    let _ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.connect().await;
    let joined = bob.join("demo", "p2p", "bob").await;
    bob.cut();
    let with = |secret: &Value| json!({ "type": "Join", "room": "demo", "mode": "p2p", "resume": secret, "user": { "id": "bob" } });
    let mut thief = stack.connect().await;
    thief.refused(with(&json!("not-the-secret")), "resume_failed").await;
    let (_bob, _) = resume(&stack, &joined).await;
    thief.refused(with(&joined["resume"]), "resume_failed").await;
    let nowhere = json!({ "type": "Join", "room": "nowhere", "mode": "p2p", "resume": joined["resume"] });
    thief.refused(nowhere, "resume_failed").await;
}

#[tokio::test]
async fn who_was_kicked_cannot_resume() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.connect().await;
    let joined = bob.join("demo", "p2p", "bob").await;
    ann.done(json!({ "type": "Kick", "user": "bob" })).await;
    let mut again = stack.connect().await;
    let join = json!({ "type": "Join", "room": "demo", "mode": "p2p", "resume": joined["resume"], "user": { "id": "bob" } });
    again.refused(join, "resume_failed").await;
}

#[tokio::test]
async fn who_stays_away_past_the_grace_is_lost() {
    let stack = Stack::up_with(&["--resume-grace", "1s"]);
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.connect().await;
    let joined = bob.join("demo", "p2p", "bob").await;
    bob.cut();
    is_away(&mut ann, "bob").await;
    let change = ann.expect_that("bob's leaving", |signal| signal["left"][0]["user"] == "bob").await;
    assert_eq!(change["left"][0]["reason"], "lost");
    let mut late = stack.connect().await;
    let join = json!({ "type": "Join", "room": "demo", "mode": "p2p", "resume": joined["resume"], "user": { "id": "bob" } });
    late.refused(join, "resume_failed").await;
    assert_eq!(users(&ann.done(sync()).await["participants"]), ["ann"]);
}

#[tokio::test]
async fn an_owner_who_is_away_is_still_the_owner() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let joined = ann.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    ann.cut();
    is_away(&mut bob, "ann").await;
    let state = bob.done(sync()).await;
    assert_eq!(state["owner"], "ann");
    assert_eq!(crate::entry(&state["participants"], "ann")["away"], true);
    let (_ann, ack) = resume(&stack, &joined).await;
    assert_eq!(ack["owner"], "ann");
}
