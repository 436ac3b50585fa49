//! Refusals of signals that cannot be taken as they are: PROTOCOL.md §2 and §3.

use mobz_tests::{End, Stack};
use serde_json::{Value, json};

use crate::{candidate, sync};

#[tokio::test]
async fn a_bad_signal_is_refused_with_its_path() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    for (signal, path) in [
        (json!({ "type": "Offer" }), "sdp"),
        (json!({ "type": "Offer", "sdp": 5 }), "sdp"),
        (json!({ "type": "Kick", "user": "a b" }), "user"),
        (json!({ "type": "UpdateVideo", "video": "yes" }), "video"),
        (json!({ "type": "iceCandidate" }), "candidate"),
        (json!({ "type": "iceCandidate", "candidate": "c", "sdpMLineIndex": -1 }), "sdpMLineIndex"),
        (json!({ "type": "SimulcastUpdate", "station": "s", "substream": 3 }), "substream"),
        (json!({ "type": "Join", "room": "r", "mode": "x2x" }), "mode"),
        (json!({ "type": "Join", "room": "no spaces", "mode": "p2p" }), "room"),
        (json!({ "type": "Join", "room": "r", "mode": "p2p", "user": { "id": "ü" } }), "user.id"),
        (
            json!({ "type": "Join", "room": "r", "mode": "p2p", "user": { "name": "n".repeat(129) } }),
            "user.name",
        ),
    ] {
        let refusal = ann.refused(signal, "bad_signal").await;
        assert_eq!(refusal["path"], path, "{refusal}");
    }
    ann.send(json!({ "type": "Sync", "id": "i".repeat(65) })).await;
    assert_eq!(ann.expect_refusal("bad_signal").await["path"], "id");
    for text in ["", "hello", "[]", "{", "null", r#"{"id":"1"}"#, r#"{"type":7}"#] {
        ann.send_text(text).await;
        ann.expect_refusal("bad_signal").await;
    }
    ann.done(sync()).await;
}

#[tokio::test]
async fn bytes_that_are_no_data_signal_are_refused() {
    let stack = Stack::up();
    let mut ann = stack.join("live", "p2m", "ann").await;
    for bytes in [vec![], vec![0, 0], vec![255; 64], vec![0, 0, 0, 2, b'h', b'i'], vec![0, 0, 0, 0]] {
        ann.send_bytes(bytes).await;
        ann.expect_refusal("bad_signal").await;
    }
    ann.done(sync()).await;
}

#[tokio::test]
async fn an_unknown_signal_is_refused_names_are_case_sensitive() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    for kind in ["Dance", "sync", "IceCandidate", "JoinAck", ""] {
        ann.refused(json!({ "type": kind }), "unknown_signal").await;
    }
}

#[tokio::test]
async fn before_join_nothing_else_is_taken() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    for signal in [
        sync(),
        candidate(1),
        json!({ "type": "Heartbeat" }),
        json!({ "type": "Leave" }),
        json!({ "type": "Data", "kind": "end", "track": "main" }),
    ] {
        ann.refused(signal, "not_joined").await;
    }
    let answer = ann.request_data(json!({ "type": "Data", "kind": "init", "track": "main" }), b"x").await;
    assert_eq!(answer["code"], "not_joined", "{answer}");
    ann.refused(json!({ "type": "Dance" }), "unknown_signal").await;
    ann.join("demo", "p2p", "ann").await;
}

#[tokio::test]
async fn a_second_join_is_refused() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let again = json!({ "type": "Join", "room": "other", "mode": "p2p", "user": { "id": "ann" } });
    ann.refused(again, "already_joined").await;
    assert_eq!(ann.done(sync()).await["owner"], "ann");
}

#[tokio::test]
async fn a_room_keeps_its_mode_and_its_size() {
    let stack = Stack::up();
    let _ann = stack.join("demo", "p2p", "ann").await;
    let mut other = stack.connect().await;
    let join = |mode: &str| json!({ "type": "Join", "room": "demo", "mode": mode, "user": { "id": "cem" } });
    other.refused(join("m2m"), "mode_mismatch").await;
    let _bob = stack.join("demo", "p2p", "bob").await;
    other.refused(join("p2p"), "room_full").await;
    other.refused(join("p2m"), "mode_mismatch").await;
}

#[tokio::test]
async fn a_message_of_one_mebibyte_is_taken_and_a_larger_one_is_not() {
    const LARGEST: usize = 1 << 20;
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    let offer = |size: usize| {
        let empty = json!({ "type": "Offer", "sdp": "" }).to_string().len();
        json!({ "type": "Offer", "sdp": "x".repeat(size - empty) }).to_string()
    };
    ann.send_text(&offer(LARGEST)).await;
    assert!(bob.expect("Offer").await["sdp"].as_str().is_some_and(|sdp| sdp.len() > LARGEST - 100));
    ann.send_text(&offer(LARGEST + 1)).await;
    assert_eq!(ann.end().await, End::Closed(1009));
    ann.expect_refusal("too_large").await;
}

#[tokio::test]
async fn a_fragmented_message_is_counted_whole() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    let text = json!({ "type": "Offer", "sdp": "x".repeat(600_000) }).to_string();
    ann.send_fragmented(&text, 100_000).await;
    assert_eq!(bob.expect("Offer").await["from"], "ann");
    let text = json!({ "type": "Offer", "sdp": "x".repeat(1_200_000) }).to_string();
    ann.send_fragmented(&text, 100_000).await;
    assert_eq!(ann.end().await, End::Closed(1009));
}

#[tokio::test]
async fn past_a_burst_of_2000_signals_the_rate_is_limited() {
    const ROUND: usize = 50;
    const ROUNDS_MAX: usize = 400;
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut taken = 0;
    let refused = 'sending: {
        for _ in 0..ROUNDS_MAX {
            for number in 0..ROUND {
                ann.send(json!({ "type": "Heartbeat", "id": format!("r{number}") })).await;
            }
            for number in 0..ROUND {
                let answer = ann.answer(&format!("r{number}")).await;
                if answer["type"] == "Error" {
                    break 'sending answer;
                }
                taken += 1;
            }
        }
        Value::Null
    };
    assert_eq!(refused["code"], "rate_limited", "after {taken} signals");
    assert!(taken >= 1_999, "a burst of 2,000 is allowed, with the Join; {taken} were taken");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    ann.done(sync()).await;
}

#[tokio::test]
async fn a_hundred_bad_signals_close_the_connection_and_99_do_not() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let bad = [
        json!({ "type": "Dance" }),
        json!({ "type": "Offer" }),
        json!({ "type": "Kick", "user": "ann", "reason": 5 }),
    ];
    for signal in bad.iter().cycle().take(99) {
        let answer = ann.request(signal.clone()).await;
        assert_eq!(answer["type"], "Error");
    }
    ann.done(sync()).await;
    ann.send(json!({ "type": "Dance" })).await;
    assert_eq!(ann.end().await, End::Closed(1008));
    ann.expect_refusal("unknown_signal").await;
}

#[tokio::test]
async fn refusals_of_other_kinds_never_close_the_connection() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    for _ in 0..150 {
        ann.refused(candidate(1), "no_such_user").await;
    }
    ann.done(sync()).await;
}
