//! Access by token: PROTOCOL.md §2 and §7.

use mobz_tests::{Client, End, Key, Stack, mobzctl};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sync;

fn guarded() -> (Stack, Key) {
    let key = Key::test();
    let stack = Stack::up_by(mobzctl().env("MOBZ_KEYS", key.environment()));
    (stack, key)
}

fn join(token: &str) -> Value {
    json!({ "type": "Join", "room": "demo", "mode": "m2m", "token": token })
}

async fn joined(stack: &Stack, token: &str) -> (Client, Value) {
    let mut client = stack.connect().await;
    let ack = client.join_with(join(token)).await;
    (client, ack)
}

#[tokio::test]
async fn with_keys_a_join_needs_a_good_token() {
    let (stack, key) = guarded();
    let mut client = stack.connect().await;
    let trusted = json!({ "type": "Join", "room": "demo", "mode": "m2m", "user": { "id": "ann" } });
    client.refused(trusted, "unauthorized").await;
    let stranger = Key { secret: "another secret that is long enough to sign".into(), ..Key::test() };
    let unknown = Key { kid: "k2".into(), ..Key::test() };
    let unsigned =
        "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.eyJzdWIiOiJhbm4iLCJyb29tIjoiZGVtbyIsImV4cCI6OTk5OTk5OTk5OX0.";
    for token in [
        stranger.participant("demo", "ann", &["publish"]),
        unknown.participant("demo", "ann", &["publish"]),
        unsigned.to_owned(),
        "nonsense".to_owned(),
        key.sign(json!({ "sub": "ann", "room": "demo", "exp": 1_700_000_000 })),
        key.sign(json!({ "sub": "ann", "room": "demo", "nbf": 4_000_000_000_u64 })),
    ] {
        client.refused(join(&token), "unauthorized").await;
    }
    let (_, ack) = joined(&stack, &key.sign(json!({ "sub": "ann", "room": "demo", "name": "Ann" }))).await;
    assert_eq!((&ack["user"], &ack["participantType"]), (&json!("ann"), &json!("publisher")));
    assert_eq!(crate::entry(&ack["participants"], "ann")["name"], "Ann");
}

#[tokio::test]
async fn a_token_is_good_for_its_room_and_its_grants_only() {
    let (stack, key) = guarded();
    let mut client = stack.connect().await;
    client.refused(join(&key.participant("other", "ann", &["publish", "watch"])), "forbidden").await;
    let mut wish = join(&key.participant("demo", "ann", &["watch"]));
    wish["publish"] = json!(true);
    client.refused(wish, "forbidden").await;
    let (mut owner, _) = joined(&stack, &key.participant("demo", "own", &["publish", "watch"])).await;
    let (mut cem, _) = joined(&stack, &key.participant("demo", "cem", &["publish"])).await;
    cem.refused(json!({ "type": "Watch", "user": "own" }), "forbidden").await;
    let (mut viewer, ack) = joined(&stack, &key.participant("demo", "dan", &["watch"])).await;
    assert_eq!(ack["participantType"], "viewer");
    viewer.refused(json!({ "type": "Kick", "user": "own" }), "forbidden").await;
    owner.done(sync()).await;
}

#[tokio::test]
async fn the_first_with_the_grant_owner_takes_over_and_the_next_displaces_nobody() {
    let (stack, key) = guarded();
    let (mut ann, ack) = joined(&stack, &key.participant("demo", "ann", &["publish", "watch"])).await;
    assert_eq!(ack["owner"], "ann");
    let (mut bob, ack) = joined(&stack, &key.participant("demo", "bob", &["watch", "owner"])).await;
    assert_eq!(ack["owner"], "bob");
    assert_eq!(ann.expect("ParticipantChange").await["owner"], "bob");
    let (mut cem, ack) = joined(&stack, &key.participant("demo", "cem", &["watch", "owner"])).await;
    assert_eq!(ack["owner"], "bob");
    cem.done(json!({ "type": "Kick", "user": "ann" })).await;
    assert_eq!(ann.end().await, End::Closed(1008), "a later one may do all an owner may");
    let (_dan, _) = joined(&stack, &key.participant("demo", "dan", &["publish", "watch"])).await;
    bob.done(json!({ "type": "Leave" })).await;
    let change = cem.expect_that("bob's leaving", |signal| signal["left"][0]["user"] == "bob").await;
    assert_eq!(change["owner"], "cem", "the longest-present with the grant");
}

#[tokio::test]
async fn the_grant_kick_is_enough_to_kick() {
    let (stack, key) = guarded();
    let (mut ann, _) = joined(&stack, &key.participant("demo", "ann", &["publish", "watch"])).await;
    let (mut bob, _) = joined(&stack, &key.participant("demo", "bob", &["watch", "kick"])).await;
    bob.done(json!({ "type": "Kick", "user": "ann" })).await;
    assert_eq!(ann.end().await, End::Closed(1008));
}

#[tokio::test]
async fn the_control_api_needs_an_admin_token() {
    let (stack, key) = guarded();
    let api = stack.api();
    let paths = ["/v1/rooms", "/v1/rooms/demo", "/v1/events", "/v1/rooms/demo/hls"];
    for path in paths {
        api.refused(Method::GET, path, 401, "unauthorized").await;
        api.with_token("nonsense").refused(Method::GET, path, 401, "unauthorized").await;
        let expired = key.sign(json!({ "exp": 1_700_000_000, "grants": { "admin": true } }));
        api.with_token(&expired).refused(Method::GET, path, 401, "unauthorized").await;
        let participant = key.participant("demo", "ann", &["publish", "watch", "owner", "kick"]);
        api.with_token(&participant).refused(Method::GET, path, 403, "forbidden").await;
    }
    api.refused(Method::DELETE, "/v1/rooms/demo", 401, "unauthorized").await;
    api.refused(Method::DELETE, "/v1/rooms/demo/participants/ann", 401, "unauthorized").await;
    assert_eq!(api.with_token(&key.admin()).get("/v1/rooms").await["rooms"], json!([]));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(api.call(Method::GET, path).await.0, 200, "{path} is for machines");
    }
}

#[tokio::test]
async fn beyond_loopback_a_server_wants_keys() {
    let output = mobzctl()
        .args(["launch", "signaling", "--listen", "0.0.0.0:0", "--redis", "redis://127.0.0.1:1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("--keys") && said.contains("--insecure-open"), "says what to do: {said}");
}
