//! What operators see of live media and of munits as they come and go, over real Janus.

use std::process::Command;

use mobz_tests::{Client, Peer, Redis, SOON, Stack, eventually, is_inside};
use serde_json::{Value, json};

use crate::munit::{ROOM, joined, publish_somewhere, spawning, watch};

/// What `mobzctl … --output json` prints.
async fn mobzctl(stack: &Stack, arguments: &[&str]) -> Value {
    let mut command = stack.mobzctl();
    command.args(["--output", "json"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn publish_in_layers(client: &mut Client) -> (Peer, String) {
    let (peer, offer) = Peer::publisher_in_layers().await;
    let answer = client.done(json!({ "type": "Offer", "sdp": offer })).await;
    peer.accept(answer["sdp"].as_str().unwrap());
    (peer, answer["station"].as_str().unwrap().to_owned())
}

fn video(media: &Value) -> &Value {
    let streams = media["streams"].as_array().into_iter().flatten();
    streams.into_iter().find(|stream| stream["kind"] == "video").unwrap_or(&Value::Null)
}

fn layers(media: &Value) -> Vec<u64> {
    video(media)["layers"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

#[tokio::test]
async fn bitrates_losses_layers_and_viewers_are_those_of_the_media() {
    if !is_inside("figures::bitrates_losses_layers_and_viewers_are_those_of_the_media") {
        return;
    }
    let stack = Stack::up_with(&["--munits", "1"]);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_sends, station) = publish_in_layers(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(60).await;

    let room = eventually("all three layers come", async || {
        let room = mobzctl(&stack, &["room", "inspect", ROOM]).await;
        (layers(&room["stations"][0]["media"]).iter().filter(|bits| **bits > 0).count() == 3).then_some(room)
    })
    .await;
    let media = &room["stations"][0]["media"];
    let rates = layers(media);
    assert!(rates.is_sorted(), "the smallest picture first: {media}");
    assert_eq!((&video(media)["codec"], &video(media)["muted"]), (&json!("vp8"), &json!(false)), "{media}");
    assert_eq!(media["bitrate"].as_u64().unwrap(), rates.iter().sum::<u64>(), "there is no sound: {media}");
    assert_eq!((&media["packetsLost"], &room["stations"][0]["viewers"]), (&json!(0), &json!(1)));
    assert_eq!(media["viewers"], Value::Null, "each viewer's are asked for by `station inspect`");

    let viewer = async |what: &str, is: &dyn Fn(&Value) -> bool| {
        eventually(what, async || {
            let station = mobzctl(&stack, &["station", "inspect", &station]).await;
            let viewer = station["media"]["viewers"][0].clone();
            (viewer["user"] == "bob" && is(&viewer)).then_some(viewer)
        })
        .await
    };
    let largest = viewer("the largest picture goes to bob", &|viewer| {
        viewer["substream"] == 2 && viewer["bitrate"].as_u64().is_some_and(|bits| bits > rates[1])
    })
    .await;
    assert_eq!((&largest["packetsLost"], &largest["temporal"]), (&json!(0), &Value::Null), "{largest}");
    bob.done(json!({ "type": "SimulcastUpdate", "station": station, "substream": 0 })).await;
    viewer("the smallest picture goes to bob", &|viewer| {
        viewer["substream"] == 0
            && viewer["bitrate"].as_u64().is_some_and(|bits| (1..rates[1]).contains(&bits))
    })
    .await;

    let list = mobzctl(&stack, &["station", "list"]).await;
    assert_eq!(
        (&list["stations"][0]["station"], &list["stations"][0]["viewers"]),
        (&json!(station), &json!(1))
    );
    let munit = mobzctl(&stack, &["munit", "inspect", "m1"]).await;
    assert_eq!(munit["assigned"][0]["viewers"], 1);
    assert_eq!(layers(&munit["assigned"][0]["media"]).len(), 3, "{munit}");
    let unasked = stack.api().get("/v1/munits/m1?media=false").await;
    assert_eq!(unasked["assigned"][0]["media"], Value::Null);

    ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    eventually("it is told that ann is muted", async || {
        let room = stack.api().get(&format!("/v1/rooms/{ROOM}")).await;
        (video(&room["stations"][0]["media"])["muted"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_becomes_of_a_munit_is_told_as_it_happens() {
    if !is_inside("figures::whatever_becomes_of_a_munit_is_told_as_it_happens") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let mut events = stack.api().events(None).await;
    let mut regulator = spawning(&redis);
    let (mut names, mut lost) = (Vec::new(), None);
    let mut until = async |name: &str| {
        while names.last().is_none_or(|last| last != name) {
            let (name, _, data) = events.next().await;
            if name == "station.lost" {
                lost = Some(data["station"].clone());
            } else if name.starts_with("munit.") {
                assert_eq!(data["munit"], "m1", "{name}");
                names.push(name);
            }
        }
    };
    until("munit.active").await;
    mobzctl(&stack, &["munit", "drain", "m1", "--yes"]).await;
    until("munit.drained").await;
    mobzctl(&stack, &["munit", "revive", "m1", "--yes"]).await;
    until("munit.revived").await;
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;

    let janus = regulator.januses().pop().unwrap();
    assert!(Command::new("kill").args(["-9", &janus.to_string()]).status().unwrap().success());
    until("munit.starting").await;
    until("munit.active").await;
    ann.expect("StationLost").await;
    mobzctl(&stack, &["munit", "stop", "m1", "--force", "--wait", "--yes"]).await;
    until("munit.stopped").await;
    assert_eq!(tokio::task::spawn_blocking(move || regulator.wait(SOON)).await.unwrap().code, Some(0));

    // The operator's wishes and what the munit makes of them are told by two, each in its own order: the
    // munit may have read of a wish before the log has it.
    let (wished, became): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(|name| name.trim_start_matches("munit."))
        .partition(|name| ["draining", "revived", "stopping"].contains(name));
    assert_eq!(wished, ["draining", "revived", "stopping"]);
    assert_eq!(became, ["registered", "active", "drained", "starting", "active", "stopped"]);
    assert_eq!(lost, Some(json!(station)));
}
