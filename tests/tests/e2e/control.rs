//! The control API: PROTOCOL.md §7.

use std::collections::BTreeSet;

use mobz_tests::{End, Stack, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{entry, sync, users};

#[tokio::test]
async fn rooms_are_listed_page_by_page_each_once() {
    let stack = Stack::up();
    let mut clients = Vec::new();
    let mut expected = BTreeSet::new();
    for number in 0..25 {
        let (room, mode) = (format!("room{number}"), ["p2p", "p2m", "m2m"][number % 3]);
        clients.push(stack.join(&room, mode, "ann").await);
        expected.insert(room);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = stack.api().get(&format!("/v1/rooms?limit=10{cursor}")).await;
        let rooms = page["rooms"].as_array().unwrap().clone();
        assert!(rooms.len() <= 20, "about ten a page");
        seen.extend(rooms);
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let names: Vec<_> = seen.iter().map(|room| room["room"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 25);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
    let p2m = stack.api().get("/v1/rooms?mode=p2m&limit=1000").await;
    let p2m = p2m["rooms"].as_array().unwrap();
    assert_eq!(p2m.len(), 8);
    assert!(p2m.iter().all(|room| room["mode"] == "p2m"));
}

#[tokio::test]
async fn a_listed_room_tells_its_numbers() {
    let stack = Stack::up();
    let _ann = stack.join("live", "p2m", "ann").await;
    let _bob = stack.join("live", "p2m", "bob").await;
    let page = stack.api().get("/v1/rooms").await;
    let room = &page["rooms"][0];
    assert_eq!(
        (&room["room"], &room["mode"], &room["owner"]),
        (&json!("live"), &json!("p2m"), &json!("ann"))
    );
    assert_eq!((&room["publishers"], &room["viewers"], &room["stations"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(room["participants"], 2);
    assert!(is_rfc3339(room["createdAt"].as_str().unwrap()), "{room}");
    assert!(page["cursor"].is_null());
}

#[tokio::test]
async fn a_room_is_inspected() {
    let stack = Stack::up();
    let mut ann = stack.connect().await;
    ann.join_with(json!({ "room": "demo", "mode": "p2p", "user": { "id": "ann", "name": "Ann" } })).await;
    let _bob = stack.join("demo", "p2p", "bob").await;
    ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    let room = stack.api().get("/v1/rooms/demo").await;
    assert_eq!(
        (&room["room"], &room["mode"], &room["owner"]),
        (&json!("demo"), &json!("p2p"), &json!("ann"))
    );
    assert!(is_rfc3339(room["createdAt"].as_str().unwrap()), "{room}");
    assert_eq!(users(&room["participants"]), ["ann", "bob"]);
    let own = entry(&room["participants"], "ann");
    assert_eq!((&own["name"], &own["participantType"]), (&json!("Ann"), &json!("publisher")));
    assert_eq!((&own["video"], &own["audio"]), (&json!(false), &json!(true)));
    assert!(is_rfc3339(own["since"].as_str().unwrap()), "{own}");
    assert_eq!(room["stations"], json!([]));
    assert!(room["hls"].is_null(), "{room}");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_a_code() {
    let stack = Stack::up();
    let api = stack.api();
    let _ann = stack.join("demo", "p2p", "ann").await;
    api.refused(Method::GET, "/v1/rooms/nowhere", 404, "no_such_room").await;
    api.refused(Method::DELETE, "/v1/rooms/nowhere/participants/ann", 404, "no_such_room").await;
    api.refused(Method::DELETE, "/v1/rooms/demo/participants/nobody", 404, "no_such_user").await;
    api.refused(Method::GET, "/v1/rooms/nowhere/hls", 404, "no_such_room").await;
    api.refused(Method::GET, "/v1/nothing", 404, "not_found").await;
}

#[tokio::test]
async fn a_closed_room_is_gone_and_all_are_told() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "bob").await;
    stack.api().delete("/v1/rooms/demo").await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.end().await, End::Closed(1008));
        assert_eq!(client.expect("Kick").await["reason"], "closed");
    }
    stack.api().refused(Method::GET, "/v1/rooms/demo", 404, "no_such_room").await;
    let mut cem = stack.connect().await;
    assert_eq!(cem.join("demo", "m2m", "cem").await["owner"], "cem");
}

#[tokio::test]
async fn a_participant_is_kicked_with_a_reason() {
    let stack = Stack::up();
    let mut ann = stack.join("demo", "p2p", "ann").await;
    let mut bob = stack.join("demo", "p2p", "b@b.org").await;
    stack.api().delete("/v1/rooms/demo/participants/b@b.org?reason=too%20loud").await;
    assert_eq!(bob.end().await, End::Closed(1008));
    assert_eq!(bob.expect("Kick").await["reason"], "too loud");
    assert_eq!(users(&ann.done(sync()).await["participants"]), ["ann"]);
}

#[tokio::test]
async fn events_come_as_they_happen_and_are_replayed_from_any_of_them() {
    let stack = Stack::up();
    let mut events = stack.api().events(None).await;
    let mut ann = stack.join("demo", "p2p", "ann").await;
    ann.done(json!({ "type": "Leave" })).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.push(events.next().await);
    }
    let mut last = None;
    for (name, id, data) in &seen {
        assert!(!name.is_empty());
        assert_eq!(data["seq"].to_string(), *id, "{data}");
        assert!(is_rfc3339(data["at"].as_str().unwrap()), "{data}");
        assert_eq!(data["room"], "demo");
        let seq = data["seq"].as_u64().unwrap();
        assert!(last.is_none_or(|last| seq == last + 1), "no gap: {seen:?}");
        last = Some(seq);
    }
    let mut replay = stack.api().events(Some(&seen[0].1)).await;
    for event in &seen[1..] {
        assert_eq!(replay.next().await, *event);
    }
}

#[tokio::test]
async fn health_and_metrics_are_there() {
    let stack = Stack::up();
    let api = stack.api();
    assert_eq!(api.call(Method::GET, "/healthz").await.0, StatusCode::OK);
    assert_eq!(api.call(Method::GET, "/readyz").await.0, StatusCode::OK);
    let _ann = stack.join("demo", "p2p", "ann").await;
    eventually("the metrics count a connection", async || {
        let (status, body) = api.call(Method::GET, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        let text = body.as_str().unwrap().to_owned();
        let connections =
            |line: &&str| line.starts_with("mobz_") && line.contains("connections") && line.ends_with(" 1");
        (text.contains("# TYPE ") && text.lines().any(|line| connections(&line))).then_some(())
    })
    .await;
}

fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && (text.ends_with('Z') || text.contains('+'))
}
