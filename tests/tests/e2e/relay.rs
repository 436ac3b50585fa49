//! Relayed WebRTC signals in p2p: PROTOCOL.md §3.

use mobz_tests::Stack;
use serde_json::json;

use crate::candidate;

#[tokio::test]
async fn offer_answer_and_candidates_reach_the_peer_with_from() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    let offered = ann.done(json!({ "type": "Offer", "sdp": "v=0 a\r\n" })).await;
    assert_eq!(offered["type"], "Ack");
    let offer = bob.expect("Offer").await;
    assert_eq!((&offer["from"], &offer["sdp"]), (&json!("ann"), &json!("v=0 a\r\n")));
    assert!(offer["re"].is_null() && offer["id"].is_null(), "an id is the sender's own: {offer}");

    bob.done(json!({ "type": "Answer", "sdp": "v=0 b\r\n", "to": "ann" })).await;
    let answer = ann.expect("Answer").await;
    assert_eq!((&answer["from"], &answer["sdp"]), (&json!("bob"), &json!("v=0 b\r\n")));

    ann.send(candidate(7)).await;
    ann.send(json!({ "type": "iceCandidate", "candidate": null })).await;
    let received = bob.expect("iceCandidate").await;
    assert_eq!(received["candidate"], "candidate:7");
    assert_eq!(
        (&received["sdpMid"], &received["sdpMLineIndex"], &received["from"]),
        (&json!("0"), &json!(0), &json!("ann"))
    );
    let end = bob.expect("iceCandidate").await;
    assert!(end["candidate"].is_null() && end.as_object().unwrap().contains_key("candidate"), "{end}");
}

#[tokio::test]
async fn a_thousand_signals_arrive_in_order() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    for number in 0..1000 {
        ann.send(candidate(number)).await;
    }
    for number in 0..1000 {
        assert_eq!(bob.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
    }
    ann.assert_none("Error").await;
}

#[tokio::test]
async fn a_signal_to_nobody_is_refused() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    ann.refused(json!({ "type": "Offer", "sdp": "v=0" }), "no_such_user").await;
    ann.refused(json!({ "type": "Answer", "sdp": "v=0" }), "no_such_user").await;
    ann.refused(candidate(1), "no_such_user").await;
    let _bob = stack.join("demo", "p2p", "bob").await;
    ann.refused(json!({ "type": "Offer", "sdp": "v=0", "to": "cem" }), "no_such_user").await;
    ann.done(json!({ "type": "Offer", "sdp": "v=0", "to": "bob" })).await;
}

#[tokio::test]
async fn rooms_do_not_hear_each_other() {
    let stack = Stack::up();
    let mut ann = stack.join("a", "p2p", "ann").await;
    let mut bob = stack.join("a", "p2p", "bob").await;
    let mut cem = stack.join("b", "p2p", "ann").await;
    let mut dan = stack.join("b", "p2p", "bob").await;
    ann.done(candidate(1)).await;
    cem.done(candidate(2)).await;
    assert_eq!(bob.expect("iceCandidate").await["candidate"], "candidate:1");
    assert_eq!(dan.expect("iceCandidate").await["candidate"], "candidate:2");
    bob.assert_none("iceCandidate").await;
    dan.assert_none("iceCandidate").await;
}
