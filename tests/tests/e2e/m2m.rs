//! m2m over WebSocket and Redis, with munits that have no media: PROTOCOL.md §3 and §4.

use std::process::Command;
use std::sync::Arc;

use mobz_core::signal::{Asker, MunitSignal, ServerSignal};
use mobz_core::store::Store;
use mobz_tests::{Client, End, Process, Redis, SOON, ScriptedMunit, Signal, Stack};
use serde_json::{Value, json};

use crate::{entry, sync, users};

/// Two nodes and a munit, on one Redis.
struct Call {
    here: Stack,
    there: Stack,
    munit: ScriptedMunit,
    store: Arc<dyn Store>,
    redis: Redis,
}

impl Call {
    async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let (here, there) = Stack::two_nodes(&redis.url());
        let store = mobz_store::open(Some(&redis.url())).await.unwrap();
        let munit = ScriptedMunit::start(&store, "m1", 10).await;
        Self { here, there, munit, store, redis }
    }
}

fn offer() -> Value {
    json!({ "type": "Offer", "sdp": "v=0" })
}

fn watch(station: &str) -> Value {
    json!({ "type": "Watch", "station": station })
}

async fn publish(client: &mut Client) -> String {
    let answer = client.done(offer()).await;
    assert_eq!((&answer["type"], &answer["sdp"]), (&json!("Answer"), &json!("answer to v=0")));
    answer["station"].as_str().unwrap().to_owned()
}

async fn publisher(stack: &Stack, user: &str) -> Client {
    let mut client = stack.connect().await;
    let fields = json!({ "room": "g", "mode": "m2m", "user": { "id": user }, "publish": true });
    client.join_with(fields).await;
    client
}

/// Who watches, as the munit heard it.
async fn watcher(munit: &ScriptedMunit) -> Asker {
    munit.hears("Watch", |signal| matches!(signal, MunitSignal::Watch { .. })).await.1.unwrap()
}

fn trickled(station: &str, number: u32) -> ServerSignal {
    ServerSignal::IceCandidate {
        from: None,
        candidate: Some(format!("candidate:{number}")),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        station: Some(station.parse().unwrap()),
    }
}

#[tokio::test]
async fn a_call_is_published_watched_switched_and_let_go() {
    let call = Call::start().await;
    let mut ann = publisher(&call.here, "ann").await;
    let mut bob = call.there.join("g", "m2m", "bob").await;
    let station = publish(&mut ann).await;
    let list =
        bob.expect_that("ann's station", |signal| signal["publishers"][0]["station"] == *station).await;
    assert_eq!((&list["added"], &list["removed"]), (&json!([]), &json!([])));

    let watched = bob.done(watch(&station)).await;
    assert_eq!((&watched["type"], &watched["user"]), (&json!("WatchAck"), &json!("ann")));
    assert_eq!(watched["sdp"], format!("offer of {station}"));
    bob.done(json!({ "type": "Answer", "station": station, "sdp": "v=1" })).await;
    for number in 0..20 {
        let candidate =
            json!({ "type": "iceCandidate", "station": station, "candidate": format!("candidate:{number}") });
        bob.send(candidate).await;
    }
    let end = json!({ "type": "iceCandidate", "station": station, "candidate": null });
    assert_eq!(bob.done(end).await["type"], "Ack");
    let asker = watcher(&call.munit).await;
    for number in 0..20 {
        call.munit.tells(&asker, trickled(&station, number)).await;
    }
    for number in 0..20 {
        assert_eq!(bob.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
    }
    let layer = bob.done(json!({ "type": "SimulcastUpdate", "station": station, "substream": 0 })).await;
    assert_eq!((&layer["type"], &layer["substream"]), (&json!("SimulcastUpdate"), &json!(0)));
    ann.done(json!({ "type": "UpdateVideo", "audio": false })).await;
    let muted = |signal: &MunitSignal| matches!(signal, MunitSignal::Mute { video: true, audio: false, .. });
    call.munit.hears("Mute", muted).await;
    bob.done(json!({ "type": "Unwatch", "station": station })).await;

    let sent: Vec<_> = call.munit.heard().into_iter().filter_map(candidate_of).collect();
    let expected: Vec<_> =
        (0..20).map(|number| format!("candidate:{number}")).chain(["the end".to_owned()]).collect();
    assert_eq!(sent, expected, "in order");
}

fn candidate_of(signal: MunitSignal) -> Option<String> {
    let MunitSignal::Candidate { candidate, .. } = signal else { return None };
    Some(candidate.candidate.unwrap_or_else(|| "the end".to_owned()))
}

#[tokio::test]
async fn a_join_brings_an_offer_of_every_publisher() {
    let call = Call::start().await;
    let _more = ScriptedMunit::start(&call.store, "m2", 10).await;
    let mut publishers = Vec::new();
    for number in 0..3 {
        let stack = if number % 2 == 0 { &call.here } else { &call.there };
        let mut client = publisher(stack, &format!("p{number}")).await;
        let station = publish(&mut client).await;
        publishers.push((client, station));
    }
    let mut bob = call.there.connect().await;
    let joined = bob.join("g", "m2m", "bob").await;
    assert_eq!(users(&joined["publishers"]), ["p0", "p1", "p2"]);
    for (number, (_, station)) in publishers.iter().enumerate() {
        let there = entry(&joined["publishers"], &format!("p{number}"));
        assert_eq!(
            (&there["station"], &there["sdp"]),
            (&json!(station), &json!(format!("offer of {station}")))
        );
    }
    let state = bob.done(sync()).await;
    assert_eq!(state["publishers"][0]["sdp"], Value::Null, "an offer is for who joins");
}

#[tokio::test]
async fn candidates_from_the_munit_follow_a_viewer_to_another_node() {
    let call = Call::start().await;
    let mut ann = publisher(&call.here, "ann").await;
    let station = publish(&mut ann).await;
    let mut bob = call.there.connect().await;
    let joined = bob.join("g", "m2m", "bob").await;
    let asker = watcher(&call.munit).await;
    bob.cut();
    ann.expect_that("bob's being away", |signal| signal["away"][0] == "bob").await;
    for number in 0..10 {
        call.munit.tells(&asker, trickled(&station, number)).await;
    }
    let mut again = call.here.connect().await;
    let resume = json!({ "room": "g", "resume": joined["resume"] });
    let resumed = again.join_with(resume).await;
    assert_eq!(resumed["publishers"][0]["station"], *station);
    for number in 10..20 {
        call.munit.tells(&asker, trickled(&station, number)).await;
    }
    for number in 0..20 {
        assert_eq!(again.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
    }
    again.done(json!({ "type": "Answer", "station": station, "sdp": "v=1" })).await;
}

#[tokio::test]
async fn who_is_kicked_loses_its_station_and_all_it_watches() {
    let call = Call::start().await;
    let mut ann = publisher(&call.here, "ann").await;
    let mut bob = publisher(&call.there, "bob").await;
    publish(&mut ann).await;
    let station = publish(&mut bob).await;
    ann.done(json!({ "type": "Kick", "user": "bob" })).await;
    assert_eq!(bob.end().await, End::Closed(1008));
    let gone = |signal: &MunitSignal| matches!(signal, MunitSignal::Unassign { station: gone } if gone.as_str() == station);
    call.munit.hears("Unassign", gone).await;
    call.munit
        .hears(
            "Forget",
            |signal| matches!(signal, MunitSignal::Forget { user, .. } if user.as_str() == "bob"),
        )
        .await;
    assert_eq!(call.munit.stations().await.len(), 1);
    ann.refused(watch(&station), "no_such_station").await;
}

#[tokio::test]
async fn publishers_of_a_lost_munit_are_placed_on_another() {
    let call = Call::start().await;
    let mut ann = publisher(&call.here, "ann").await;
    let mut bob = call.there.join("g", "m2m", "bob").await;
    let station = publish(&mut ann).await;
    let other = ScriptedMunit::start(&call.store, "m2", 10).await;
    let Call { here: _here, there: _there, munit, redis: _redis, .. } = call;
    drop(munit);
    for client in [&mut ann, &mut bob] {
        let lost = client.expect("StationLost").await;
        assert_eq!((&lost["station"], &lost["retry"]), (&json!(station), &json!(true)));
    }
    let again = publish(&mut ann).await;
    assert!(again.starts_with(other.id().as_str()), "{again}");
    let placed = bob.expect_that("the new station", |signal| signal["publishers"][0]["station"] == *again);
    placed.await;
    bob.done(watch(&again)).await;
}

#[tokio::test]
async fn a_signaling_node_that_is_killed_takes_no_station_along() {
    let mut call = Call::start().await;
    let mut ann = call.here.connect().await;
    let joined = ann.join("g", "m2m", "ann").await;
    let station = publish(&mut ann).await;
    call.here.process.signal(Signal::KILL);
    call.here.process.wait(SOON);
    ann.end().await;
    let mut again = call.there.connect().await;
    let resumed = again.join_with(json!({ "room": "g", "resume": joined["resume"] })).await;
    assert_eq!(resumed["publishers"][0]["station"], *station);
    assert_eq!(publish(&mut again).await, station);
    assert_eq!(call.munit.stations().await.len(), 1);
}

#[tokio::test]
async fn media_signals_of_those_who_are_there_need_no_look_at_the_room() {
    let call = Call::start().await;
    let mut ann = publisher(&call.here, "ann").await;
    let mut bob = call.here.join("g", "m2m", "bob").await;
    let station = publish(&mut ann).await;
    bob.done(watch(&station)).await;

    let port = call.redis.port().to_string();
    let mut spy = Process::start(Command::new("redis-cli").args(["-p", &port, "monitor"]));
    assert_eq!(spy.line(SOON).as_deref(), Some("OK"));
    for number in 0..50 {
        let candidate =
            json!({ "type": "iceCandidate", "station": station, "candidate": format!("needle:{number}") });
        bob.done(candidate).await;
    }
    bob.done(json!({ "type": "SimulcastUpdate", "station": station, "substream": 1 })).await;
    let end = "the-spy-ends-here";
    assert!(Command::new("redis-cli").args(["-p", &port, "echo", end]).output().unwrap().status.success());

    let (mut about_the_room, mut signals) = (Vec::new(), 0);
    loop {
        let line = spy.line(SOON).unwrap();
        if line.contains(end) {
            break;
        }
        signals += usize::from(line.contains("mobz:munit:m1") && line.contains("needle"));
        if line.contains("{g}") {
            about_the_room.push(line);
        }
    }
    assert_eq!((signals, about_the_room), (50, Vec::new()));
}
