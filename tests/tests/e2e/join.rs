//! `Join`, `JoinAck`, `Leave`: PROTOCOL.md §2 and §3.

use mobz_tests::{Client, End, Stack};
use serde_json::json;

use crate::{entry, sync, users};

#[tokio::test]
async fn the_first_in_a_p2p_room_owns_it_and_publishes() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let ack = ann.join("demo", "p2p", "ann").await;
    assert_eq!(ack["room"], "demo");
    assert_eq!(ack["mode"], "p2p");
    assert_eq!(ack["user"], "ann");
    assert_eq!(ack["participantType"], "publisher");
    assert_eq!(ack["owner"], "ann");
    assert!(ack["resume"].as_str().is_some_and(|secret| secret.len() >= 16), "{ack}");
    assert!(ack["iceServers"].is_array(), "{ack}");
    assert!(ack["version"].is_u64(), "{ack}");
    assert_eq!(ack["limits"], json!({ "publishers": 2, "viewers": 0 }));
    assert_eq!(ack["heartbeatInterval"], 10_000);
    assert_eq!(ack["heartbeatTimeout"], 30_000);
    let own = entry(&ack["participants"], "ann");
    assert_eq!(own["participantType"], "publisher");
    assert_eq!((&own["video"], &own["audio"], &own["away"]), (&json!(true), &json!(true), &json!(false)));
    let publisher = entry(&ack["publishers"], "ann");
    assert_eq!((&publisher["video"], &publisher["audio"]), (&json!(true), &json!(true)));
    for absent in ["playbackUrl", "ingest", "viewers"] {
        assert!(ack[absent].is_null(), "p2p has no {absent}: {ack}");
    }
    assert!(ack["missed"].is_null() || ack["missed"] == false, "{ack}");
}

#[tokio::test]
async fn the_first_in_a_p2m_room_publishes_and_the_next_watches() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let ack = ann.join("live", "p2m", "ann").await;
    assert_eq!(ack["participantType"], "publisher");
    assert_eq!(ack["limits"], json!({ "publishers": 1, "viewers": null }));
    assert_eq!(ack["playbackUrl"], format!("{}/hls/live/index.m3u8", stack.origin));
    assert_eq!(ack["ingest"]["maxFrame"], 1_048_576);
    assert!(ack["ingest"]["partTarget"].as_f64().is_some_and(|seconds| seconds > 0.0), "{ack}");
    assert_eq!(ack["viewers"], 0);

    let mut first = stack.connect().await;
    first.join("live", "p2m", "bob").await;
    let mut second = stack.connect().await;
    let ack = second.join("live", "p2m", "cem").await;
    assert_eq!(ack["participantType"], "viewer");
    assert_eq!(users(&ack["participants"]), ["ann", "cem"], "the publisher and oneself");
    let own = entry(&ack["participants"], "cem");
    assert_eq!((&own["video"], &own["audio"]), (&json!(false), &json!(false)));
    assert_eq!(users(&ack["publishers"]), ["ann"]);
    assert_eq!(ack["viewers"], 2);
    assert!(ack["ingest"].is_null(), "{ack}");
    assert_eq!(ack["playbackUrl"], format!("{}/hls/live/index.m3u8", stack.origin));
}

#[tokio::test]
async fn the_first_in_an_m2m_room_publishes_and_the_next_watches() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let ack = ann.join("group", "m2m", "ann").await;
    assert_eq!(ack["participantType"], "publisher");
    assert_eq!(ack["limits"], json!({ "publishers": 9, "viewers": 200 }));
    assert!(entry(&ack["publishers"], "ann")["station"].is_null(), "no station before the first Offer");

    let mut bob = stack.connect().await;
    let ack = bob.join("group", "m2m", "bob").await;
    assert_eq!(ack["participantType"], "viewer");
    assert_eq!(users(&ack["participants"]), ["ann", "bob"]);
    let change = ann.expect("ParticipantChange").await;
    assert_eq!(entry(&change["joined"], "bob")["participantType"], "viewer");
    assert_eq!(change["version"], ack["version"]);
}

#[tokio::test]
async fn a_wish_to_publish_is_granted_while_there_is_room() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let ack =
        ann.join_with(json!({ "room": "a", "mode": "p2m", "user": { "id": "ann" }, "publish": false })).await;
    assert_eq!((&ack["participantType"], &ack["owner"]), (&json!("viewer"), &json!("ann")));
    let mut bob = stack.connect().await;
    let ack =
        bob.join_with(json!({ "room": "a", "mode": "p2m", "user": { "id": "bob" }, "publish": true })).await;
    assert_eq!((&ack["participantType"], &ack["owner"]), (&json!("publisher"), &json!("ann")));
    let mut cem = stack.connect().await;
    let ack =
        cem.join_with(json!({ "room": "a", "mode": "p2m", "user": { "id": "cem" }, "publish": true })).await;
    assert_eq!(ack["participantType"], "viewer", "one publishes in p2m");

    let mut nine = Vec::new();
    for number in 0..9 {
        let mut client = stack.connect().await;
        let user = format!("p{number}");
        let fields = json!({ "room": "b", "mode": "m2m", "user": { "id": user }, "publish": true });
        assert_eq!(client.join_with(fields).await["participantType"], "publisher");
        nine.push(client);
    }
    let mut tenth = stack.connect().await;
    let ack = tenth.join_with(json!({ "room": "b", "mode": "m2m", "publish": true })).await;
    assert_eq!(ack["participantType"], "viewer", "nine publish in m2m");
}

#[tokio::test]
async fn a_user_without_id_is_given_one_and_a_name_is_told() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut other = stack.connect().await;
    let ack = other.join_with(json!({ "room": "demo", "mode": "p2p", "user": { "name": "Böb 🎥" } })).await;
    let user = ack["user"].as_str().unwrap_or_default();
    assert!(!user.is_empty() && user != "ann", "{ack}");
    let change = ann.expect("ParticipantChange").await;
    assert_eq!(entry(&change["joined"], user)["name"], "Böb 🎥");
    assert_eq!((&change["left"], &change["away"], &change["back"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(change["owner"], "ann");
}

#[tokio::test]
async fn unknown_keys_are_ignored_and_the_root_path_works() {
    let stack = Stack::up();
    let mut ann = Client::connect(stack.signal.trim_end_matches("signal")).await;
    let ack = ann.join_with(json!({ "room": "demo", "mode": "p2p", "colour": { "a": [1, null] } })).await;
    assert_eq!(ack["room"], "demo");
    ann.done(json!({ "type": "Heartbeat", "mood": "good" })).await;
}

#[tokio::test]
async fn versions_rise_by_one_and_a_change_has_one_version() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    let mut version = ann.join("g", "m2m", "ann").await["version"].as_u64().unwrap();
    let mut bob = stack.connect().await;
    let ack =
        bob.join_with(json!({ "room": "g", "mode": "m2m", "user": { "id": "bob" }, "publish": true })).await;
    version += 1;
    assert_eq!(ack["version"], version);
    assert_eq!(ann.expect("ParticipantChange").await["version"], version);
    let list = ann.expect("PublishListChangeAck").await;
    assert_eq!((&list["version"], &list["added"]), (&json!(version), &json!(["bob"])));
    assert_eq!(users(&list["publishers"]), ["ann", "bob"]);
    assert_eq!((&list["removed"], &list["moved"]), (&json!([]), &json!([])));

    for video in [false, true] {
        bob.done(json!({ "type": "UpdateVideo", "video": video })).await;
        version += 1;
        let update = ann.expect("UpdateVideo").await;
        assert_eq!(
            (&update["version"], &update["from"], &update["video"]),
            (&json!(version), &json!("bob"), &json!(video))
        );
        assert_eq!(update["audio"], true, "what was not said stays: {update}");
    }

    bob.done(json!({ "type": "Leave" })).await;
    version += 1;
    let change = ann.expect("ParticipantChange").await;
    assert_eq!(change["version"], version);
    assert_eq!(change["left"], json!([{ "user": "bob", "reason": "left" }]));
    let list = ann.expect("PublishListChangeAck").await;
    assert_eq!((&list["version"], &list["removed"]), (&json!(version), &json!(["bob"])));
    assert_eq!(ann.done(sync()).await["version"], version);
}

#[tokio::test]
async fn sync_tells_the_room() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let _bob = stack.join("demo", "p2p", "bob").await;
    let state = ann.done(sync()).await;
    assert_eq!(state["type"], "RoomState");
    assert_eq!(users(&state["participants"]), ["ann", "bob"]);
    assert_eq!(users(&state["publishers"]), ["ann", "bob"]);
    assert_eq!(state["owner"], "ann");
    assert!(state["version"].is_u64());
}

#[tokio::test]
async fn who_left_may_join_again_on_the_same_connection() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    assert_eq!(bob.done(json!({ "type": "Leave" })).await["type"], "Ack");
    assert_eq!(
        ann.expect_that("bob's leaving", |signal| signal["left"][0]["user"] == "bob").await["left"][0]["reason"],
        "left"
    );
    bob.refused(sync(), "not_joined").await;
    let ack = bob.join("other", "p2m", "bob").await;
    assert_eq!(ack["owner"], "bob");
}

#[tokio::test]
async fn close_code_1000_is_a_leave() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let bob = stack.join("demo", "p2p", "bob").await;
    bob.close(1000).await;
    let change = ann.expect_that("bob's leaving", |signal| signal["left"][0]["user"] == "bob").await;
    assert_eq!(change["left"][0]["reason"], "left");
}

#[tokio::test]
async fn a_room_that_all_have_left_is_free_for_another_mode() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    ann.done(json!({ "type": "Leave" })).await;
    let mut bob = stack.connect().await;
    let ack = bob.join("demo", "m2m", "bob").await;
    assert_eq!((&ack["mode"], &ack["owner"]), (&json!("m2m"), &json!("bob")));
}

#[tokio::test]
async fn the_same_user_joining_anew_replaces_the_old_connection() {
    let stack = Stack::up();
    let mut old = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    old.done(json!({ "type": "UpdateVideo", "video": false })).await;
    let mut new = stack.connect().await;
    let ack = new.join("demo", "p2p", "ann").await;
    assert_eq!(ack["owner"], "ann", "still owner");
    assert_eq!(entry(&ack["participants"], "ann")["video"], true, "starts afresh");
    assert_eq!(old.end().await, End::Closed(4000));
    assert_eq!(old.expect("Kick").await["reason"], "replaced");
    let change = bob.expect_that("the replacement", |signal| signal["left"][0]["user"] == "ann").await;
    assert_eq!(change["left"][0]["reason"], "replaced");
    assert_eq!(users(&change["joined"]), ["ann"]);
    assert_eq!(users(&new.done(sync()).await["participants"]), ["ann", "bob"]);
}

#[tokio::test]
async fn a_connection_without_heartbeat_times_out() {
    let stack = Stack::up_with(&["--heartbeat-interval", "500ms", "--heartbeat-timeout", "1500ms"]);
    let mut ann = stack.connect().await;
    let ack = ann.join("demo", "p2p", "ann").await;
    assert_eq!((&ack["heartbeatInterval"], &ack["heartbeatTimeout"]), (&json!(500), &json!(1500)));
    let mut bob = stack.join("demo", "p2p", "bob").await;
    let change = loop {
        // Every signal counts as a heartbeat; bob's keep bob.
        bob.done(sync()).await;
        let received = bob.received().await;
        if let Some(change) = received.into_iter().find(|signal| signal["left"][0]["user"] == "ann") {
            break change;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(change["left"][0]["reason"], "timeout");
    assert_eq!(change["owner"], "bob");
    assert_eq!(ann.end().await, End::Closed(4001));
}

#[tokio::test]
async fn a_heartbeat_is_answered_with_the_servers_time() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let ack = ann.done(json!({ "type": "Heartbeat" })).await;
    assert_eq!(ack["type"], "HeartbeatAck");
    assert!(ack["serverTime"].as_u64().is_some_and(|millis| millis > 1_700_000_000_000), "{ack}");
}
