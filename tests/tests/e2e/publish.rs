//! m2m decisions that need no media: PROTOCOL.md §3.

use mobz_tests::{Client, Stack};
use serde_json::{Value, json};

use crate::users;

fn request() -> Value {
    json!({ "type": "PublishRequest" })
}

async fn room_with_nine_publishers(stack: &Stack) -> Vec<Client> {
    let mut publishers = Vec::new();
    for number in 1..=9 {
        let mut client = stack.connect().await;
        let user = format!("p{number}");
        client
            .join_with(json!({ "room": "g", "mode": "m2m", "user": { "id": user }, "publish": true }))
            .await;
        publishers.push(client);
    }
    publishers
}

#[tokio::test]
async fn an_accepted_viewer_is_a_publisher() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let mut bob = stack.join("g", "m2m", "bob").await;
    let mut cem = stack.join("g", "m2m", "cem").await;
    bob.done(request()).await;
    assert_eq!(ann.expect("PublishRequest").await["user"], "bob");
    ann.done(json!({ "type": "PublishAccept", "user": "bob" })).await;
    assert_eq!(bob.expect("PublishAccept").await["user"], "bob");
    for client in [&mut ann, &mut bob, &mut cem] {
        let list = client.expect("PublishListChangeAck").await;
        assert_eq!(list["added"], json!(["bob"]));
        assert_eq!(users(&list["publishers"]), ["ann", "bob"]);
    }
    bob.done(json!({ "type": "UpdateVideo", "video": false })).await;
}

#[tokio::test]
async fn a_rejected_viewer_hears_why_and_stays_a_viewer() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let mut bob = stack.join("g", "m2m", "bob").await;
    bob.done(request()).await;
    ann.expect("PublishRequest").await;
    ann.done(json!({ "type": "PublishReject", "user": "bob", "reason": "later" })).await;
    assert_eq!(bob.expect("PublishReject").await["reason"], "later");
    bob.refused(json!({ "type": "UpdateVideo", "video": false }), "not_publisher").await;
}

#[tokio::test]
async fn only_the_owner_accepts_and_rejects() {
    let stack = Stack::up();
    let _ann = stack.join("g", "m2m", "ann").await;
    let mut bob = stack.join("g", "m2m", "bob").await;
    bob.done(request()).await;
    bob.refused(json!({ "type": "PublishAccept", "user": "bob" }), "forbidden").await;
    bob.refused(json!({ "type": "PublishReject", "user": "bob" }), "forbidden").await;
}

#[tokio::test]
async fn an_answer_for_nobody_is_refused() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    ann.refused(json!({ "type": "PublishAccept", "user": "nobody" }), "no_such_user").await;
    ann.refused(json!({ "type": "PublishReject", "user": "nobody" }), "no_such_user").await;
}

#[tokio::test]
async fn a_tenth_publisher_is_refused_at_once() {
    let stack = Stack::up();
    let mut publishers = room_with_nine_publishers(&stack).await;
    let mut viewer = stack.join("g", "m2m", "viewer").await;
    viewer.refused(request(), "publishers_full").await;
    publishers[0].assert_none("PublishRequest").await;
    publishers[0].refused(json!({ "type": "PublishAccept", "user": "viewer" }), "publishers_full").await;
    publishers.pop().unwrap().close(1000).await;
    viewer.expect("PublishListChangeAck").await;
    viewer.done(request()).await;
    publishers[0].expect("PublishRequest").await;
}

#[tokio::test]
async fn an_offer_without_a_munit_is_told_to_try_later() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let refusal = ann.refused(json!({ "type": "Offer", "sdp": "v=0" }), "no_capacity").await;
    assert!(refusal["retryAfter"].as_u64().is_some_and(|millis| millis > 0), "{refusal}");
    let mut bob = stack.join("g", "m2m", "bob").await;
    bob.refused(json!({ "type": "Offer", "sdp": "v=0" }), "not_publisher").await;
}

#[tokio::test]
async fn stations_that_are_not_there_are_refused() {
    let stack = Stack::up();
    let mut ann = stack.join("g", "m2m", "ann").await;
    let mut bob = stack.join("g", "m2m", "bob").await;
    for signal in [
        json!({ "type": "Watch", "station": "nowhere" }),
        json!({ "type": "Watch", "user": "ann" }),
        json!({ "type": "Unwatch", "station": "nowhere" }),
        json!({ "type": "SimulcastUpdate", "station": "nowhere", "substream": 0 }),
        json!({ "type": "Answer", "station": "nowhere", "sdp": "v=0" }),
        json!({ "type": "iceCandidate", "station": "nowhere", "candidate": null }),
    ] {
        bob.refused(signal, "no_such_station").await;
    }
    bob.refused(json!({ "type": "Watch", "user": "nobody" }), "no_such_user").await;
    ann.assert_none("Error").await;
}

#[tokio::test]
async fn m2m_signals_in_another_mode_are_a_mode_mismatch() {
    let stack = Stack::up();
    for mode in ["p2p", "p2m"] {
        let mut ann = stack.join(mode, mode, "ann").await;
        for signal in [
            json!({ "type": "Watch", "station": "s" }),
            json!({ "type": "Unwatch", "station": "s" }),
            json!({ "type": "SimulcastUpdate", "station": "s", "substream": 0 }),
            json!({ "type": "PublishRequest" }),
            json!({ "type": "PublishAccept", "user": "ann" }),
            json!({ "type": "PublishReject", "user": "ann" }),
        ] {
            ann.refused(signal, "mode_mismatch").await;
        }
    }
}
