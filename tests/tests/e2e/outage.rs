//! Redis going away and coming back.

use mobz_tests::{Redis, SOON, Stack, eventually};
use reqwest::StatusCode;
use serde_json::json;

use crate::{candidate, sync, users};

#[tokio::test]
async fn a_frozen_redis_fails_requests_and_all_resumes() {
    let redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut bob = there.join("demo", "p2p", "bob").await;
    ann.forget().await;

    redis.freeze().unwrap();
    fails_clearly(&here, &mut ann).await;
    redis.thaw().unwrap();

    resumes(&here, &mut ann, &mut bob).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_what_the_nodes_hold() {
    let mut redis = Redis::start().unwrap();
    let (here, there) = Stack::two_nodes(&redis.url());
    let mut ann = here.join("demo", "p2p", "ann").await;
    let mut bob = there.join("demo", "p2p", "bob").await;
    ann.forget().await;

    redis.kill();
    fails_clearly(&here, &mut ann).await;
    redis.restart().unwrap();

    resumes(&here, &mut ann, &mut bob).await;
}

async fn fails_clearly(stack: &Stack, client: &mut mobz_tests::Client) {
    let refusal = client.request(json!({ "type": "UpdateVideo", "video": false })).await;
    let code = refusal["code"].as_str().unwrap_or_default();
    assert!(["internal", "timeout"].contains(&code), "{refusal}");
    assert!(refusal["message"].as_str().is_some_and(|text| text.len() > 10), "{refusal}");
    eventually("/readyz says why it cannot serve", async || {
        let (status, body) = stack.api().call(reqwest::Method::GET, "/readyz").await;
        let says_why = body.to_string().contains("store");
        (status == StatusCode::SERVICE_UNAVAILABLE && says_why).then_some(())
    })
    .await;
    let (status, _) = stack.api().call(reqwest::Method::GET, "/healthz").await;
    assert_eq!(status, StatusCode::OK, "alive all the while");
    client.done(json!({ "type": "Heartbeat" })).await;
}

async fn resumes(stack: &Stack, ann: &mut mobz_tests::Client, bob: &mut mobz_tests::Client) {
    eventually("ready again", async || stack.api().is_ready().await.then_some(())).await;
    let deadline = tokio::time::Instant::now() + SOON;
    let state = loop {
        let state = ann.request(sync()).await;
        if state["type"] == "RoomState" && users(&state["participants"]) == ["ann", "bob"] {
            break state;
        }
        assert!(tokio::time::Instant::now() < deadline, "the room did not come back: {state}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(state["owner"], "ann");
    let echo = ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    let version = echo["version"].clone();
    bob.expect_that("the new flags", |signal| {
        signal["type"] == "UpdateVideo" && signal["version"] == version
    })
    .await;
    ann.done(candidate(1)).await;
    assert_eq!(bob.expect("iceCandidate").await["candidate"], "candidate:1");
    bob.done(candidate(2)).await;
    assert_eq!(ann.expect("iceCandidate").await["candidate"], "candidate:2");
}
