//! A node that is told to end hands its clients over.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use mobz_tests::{Client, End, Redis, Stack, allow_many_files};
use serde_json::{Value, json};

use crate::{candidate, entry, sync};

const ROOMS: usize = 500;
/// How many clients connect or resume at a time.
const AT_ONCE: usize = 100;

struct Seat {
    client: Client,
    ack: Value,
}

#[tokio::test]
async fn a_thousand_clients_are_told_and_go_on_elsewhere_with_nothing_lost() {
    let redis = Redis::start().unwrap();
    let mut here = Stack::signaling(&redis.url(), &[]).await;
    let there = Stack::up_with(&["--redis", &redis.url()]);
    allow_many_files();
    let mut seats: Vec<_> =
        stream::iter(0..ROOMS * 2).map(|number| join(&here, number)).buffered(AT_ONCE).collect().await;
    for seat in seats.iter_mut().step_by(2) {
        let mut signal = candidate(1);
        signal["id"] = json!("last words");
        seat.client.send(signal).await;
    }

    let ending = tokio::task::spawn_blocking(move || here.terminate());
    for seat in &mut seats {
        assert_eq!(seat.client.end().await, End::Closed(1012));
    }
    let ended = ending.await.unwrap();
    assert_eq!((ended.code, ended.signal), (Some(0), None));

    let mut resumed: Vec<_> =
        stream::iter(&seats).map(|seat| resume(&there, seat)).buffered(AT_ONCE).collect().await;
    let mut delivered = 0;
    for (pair, again) in seats.chunks(2).zip(resumed.chunks_mut(2)) {
        let acknowledged =
            pair[0].client.left().any(|signal| signal["re"] == "last words" && signal["type"] == "Ack");
        let heard_before = pair[1].client.left().any(|signal| signal["type"] == "iceCandidate");
        if acknowledged && !heard_before {
            again[1].client.expect("iceCandidate").await;
        }
        delivered += usize::from(acknowledged);
    }
    assert!(delivered > 0, "at least one signal was acknowledged before the end");
    let states = join_all(resumed.iter_mut().map(|seat| seat.client.done(sync()))).await;
    for state in states {
        for user in ["ann", "bob"] {
            assert_eq!(entry(&state["participants"], user)["away"], false, "{state}");
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_answer_does_not_hold_up_the_end() {
    let mut stack = Stack::up();
    let _silent = stack.join("demo", "p2p", "ann").await;
    let ended = tokio::task::spawn_blocking(move || stack.terminate()).await.unwrap();
    assert_eq!(ended.code, Some(0));
}

async fn join(stack: &Stack, number: usize) -> Seat {
    let user = if number % 2 == 0 { "ann" } else { "bob" };
    let mut client = stack.connect().await;
    let ack = client.join(&format!("room{}", number / 2), "p2p", user).await;
    Seat { client, ack }
}

async fn resume(stack: &Stack, seat: &Seat) -> Seat {
    let mut client = stack.connect().await;
    let ack = &seat.ack;
    let fields =
        json!({ "room": ack["room"], "mode": "p2p", "resume": ack["resume"], "user": { "id": ack["user"] } });
    let ack = client.join_with(fields).await;
    Seat { client, ack }
}
