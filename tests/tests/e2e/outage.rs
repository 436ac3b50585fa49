//! Redis going away and coming back.

use std::time::Duration;

use mobz_tests::{Client, Redis, SOON, Stack, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

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

    resumes([&here, &there], &mut ann, &mut bob).await;
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

    resumes([&here, &there], &mut ann, &mut bob).await;
}

async fn fails_clearly(stack: &Stack, client: &mut Client) {
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

async fn resumes(stacks: [&Stack; 2], ann: &mut Client, bob: &mut Client) {
    for stack in stacks {
        eventually("ready again", async || stack.api().is_ready().await.then_some(())).await;
    }
    let state = again_until(ann, sync(), |answer| users(&answer["participants"]) == ["ann", "bob"]).await;
    assert_eq!(state["owner"], "ann");
    // Each node listens again when its own connection to Redis is back; until then it says that it cannot.
    again_until(ann, candidate(1), |answer| answer["type"] == "Ack").await;
    assert_eq!(bob.expect("iceCandidate").await["candidate"], "candidate:1");
    again_until(bob, candidate(2), |answer| answer["type"] == "Ack").await;
    assert_eq!(ann.expect("iceCandidate").await["candidate"], "candidate:2");
    let echo = ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    let version = echo["version"].clone();
    let flags = |signal: &Value| signal["type"] == "UpdateVideo" && signal["version"] == version;
    bob.expect_that("the new flags", flags).await;
}

/// Sends a signal, and again for as long as it is refused or answered otherwise, until `SOON` has passed.
async fn again_until(client: &mut Client, signal: Value, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = client.request(signal.clone()).await;
        if is(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{signal} was answered {answer} to the end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
