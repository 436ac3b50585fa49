//! Who may do what, and who owns the room: PROTOCOL.md §1 and §3.

use mobz_tests::{End, Stack};
use serde_json::json;

use crate::{entry, sync, users};

#[tokio::test]
async fn the_owner_kicks_in_every_mode() {
    let stack = Stack::up();
    for mode in ["p2p", "p2m", "m2m"] {
        let mut ann = stack.join(mode, mode, "ann").await;
        let mut bob = stack.join(mode, mode, "bob").await;
        ann.done(json!({ "type": "Kick", "user": "bob", "reason": "enough" })).await;
        assert_eq!(bob.end().await, End::Closed(1008), "{mode}");
        assert_eq!(bob.expect("Kick").await["reason"], "enough");
        let state = ann.done(sync()).await;
        assert_eq!(users(&state["participants"]), ["ann"], "{mode}");
    }
}

#[tokio::test]
async fn the_others_hear_of_a_kick() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let _bob = stack.join("g", "m2m", "bob").await;
    let mut cem = stack.join("g", "m2m", "cem").await;
    ann.done(json!({ "type": "Kick", "user": "bob" })).await;
    let change = cem.expect_that("bob's leaving", |signal| signal["left"][0]["user"] == "bob").await;
    assert_eq!(change["left"][0]["reason"], "kicked");
}

#[tokio::test]
async fn who_is_not_the_owner_kicks_nobody() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    bob.refused(json!({ "type": "Kick", "user": "ann" }), "forbidden").await;
    ann.refused(json!({ "type": "Kick", "user": "nobody" }), "no_such_user").await;
    ann.done(sync()).await;
}

#[tokio::test]
async fn ownership_passes_to_the_longest_present_publisher_then_viewer() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let mut viewer = stack.join("g", "m2m", "viewer").await;
    let mut publisher = stack.connect().await;
    let join = json!({ "room": "g", "mode": "m2m", "user": { "id": "publisher" }, "publish": true });
    publisher.join_with(join).await;
    ann.done(json!({ "type": "Leave" })).await;
    let change = viewer.expect_that("ann's leaving", |signal| signal["left"][0]["user"] == "ann").await;
    assert_eq!(change["owner"], "publisher", "a publisher before a viewer who came earlier");
    publisher.done(json!({ "type": "Leave" })).await;
    let change = viewer.expect_that("leaving", |signal| signal["left"][0]["user"] == "publisher").await;
    assert_eq!(change["owner"], "viewer");
}

#[tokio::test]
async fn update_video_is_told_to_everyone_and_echoed_to_the_sender() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    let echo = ann.done(json!({ "type": "UpdateVideo", "audio": false })).await;
    assert_eq!(echo["type"], "UpdateVideo", "the echo is the answer");
    assert_eq!((&echo["from"], &echo["audio"], &echo["video"]), (&json!("ann"), &json!(false), &json!(true)));
    let told = bob.expect("UpdateVideo").await;
    assert_eq!((&told["from"], &told["version"]), (&json!("ann"), &echo["version"]));
    assert!(told["re"].is_null(), "{told}");
    let state = bob.done(sync()).await;
    assert_eq!(entry(&state["publishers"], "ann")["audio"], false);
    assert_eq!(entry(&state["participants"], "ann")["audio"], false);
}

#[tokio::test]
async fn a_viewer_has_no_video_to_update() {
    let stack = Stack::up();
    let _ann = stack.join("live", "p2m", "ann").await;
    let mut bob = stack.join("live", "p2m", "bob").await;
    bob.refused(json!({ "type": "UpdateVideo", "video": false }), "not_publisher").await;
}
