//! Group calls over real Janus: PROTOCOL.md §3 and §4. What counts is which pictures come.

use std::process::Command;
use std::time::Duration;

use mobz_core::id::{MunitId, StationId};
use mobz_core::munit::{self, Decided};
use mobz_core::store::Store;
use mobz_core::time::Timestamp;
use mobz_tests::{Client, Janus, Peer, Process, Redis, SOON, Signal, Stack, eventually, is_inside, mobzctl};
use serde_json::{Value, json};

/// The room of all these calls.
pub(crate) const ROOM: &str = "call";

/// A participant of the call.
pub(crate) async fn joined(stack: &Stack, user: &str, publish: bool) -> (Client, Value) {
    let mut client = stack.connect().await;
    let fields = json!({ "room": ROOM, "mode": "m2m", "user": { "id": user }, "publish": publish });
    let ack = client.join_with(fields).await;
    (client, ack)
}

/// Publishes pictures; → the station.
pub(crate) async fn publish(client: &mut Client) -> (Peer, String) {
    let (peer, offer) = Peer::publisher().await;
    let answer = client.done(json!({ "type": "Offer", "sdp": offer })).await;
    peer.accept(answer["sdp"].as_str().unwrap());
    (peer, answer["station"].as_str().unwrap().to_owned())
}

/// Watches a station.
pub(crate) async fn watch(client: &mut Client, station: &str) -> Peer {
    let ack = client.done(json!({ "type": "Watch", "station": station })).await;
    assert_eq!((&ack["type"], &ack["station"]), (&json!("WatchAck"), &json!(station)));
    answered(client, &ack).await
}

/// Ann publishes, and bob, who only watches, sees it.
pub(crate) struct Call {
    pub(crate) ann: Client,
    pub(crate) bob: Client,
    pub(crate) sends: Peer,
    pub(crate) station: String,
    pub(crate) sees: Peer,
}

/// A call that runs.
pub(crate) async fn call(stack: &Stack) -> Call {
    let (mut ann, _) = joined(stack, "ann", true).await;
    let (mut bob, _) = joined(stack, "bob", false).await;
    let (sends, station) = publish(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(30).await;
    Call { ann, bob, sends, station, sees }
}

/// Answers the offer in a `WatchAck`.
pub(crate) async fn answered(client: &mut Client, offered: &Value) -> Peer {
    let (peer, answer) = Peer::viewer(offered["sdp"].as_str().unwrap()).await;
    client.done(json!({ "type": "Answer", "station": offered["station"], "sdp": answer })).await;
    peer
}

#[tokio::test]
async fn pictures_flow_until_they_are_muted_unwatched_or_kicked() {
    if !is_inside("munit::pictures_flow_until_they_are_muted_unwatched_or_kicked") {
        return;
    }
    let mut stack = Stack::up_with(&["--munits", "1"]);
    let Call { mut ann, mut bob, sends: _sends, station, sees } = call(&stack).await;
    assert_eq!(sees.lost(), 0);

    ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    sees.sees_nothing().await;
    ann.done(json!({ "type": "UpdateVideo", "video": true })).await;
    sees.sees(30).await;

    bob.done(json!({ "type": "Unwatch", "station": station })).await;
    sees.sees_nothing().await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(10).await;

    // Who comes later has the offer in its JoinAck.
    let (mut cem, ack) = joined(&stack, "cem", false).await;
    let offered = &ack["publishers"][0];
    assert_eq!((&offered["user"], &offered["station"]), (&json!("ann"), &json!(station)));
    let sees_too = answered(&mut cem, offered).await;
    sees_too.sees(10).await;

    ann.send(json!({ "type": "Kick", "user": "ann" })).await;
    sees.sees_nothing().await;
    sees_too.sees_nothing().await;
    bob.refused(json!({ "type": "Watch", "station": station }), "no_such_station").await;
    assert_eq!(stack.terminate().code, Some(0));
    assert_eq!(stack.process.strays(), [0; 0], "Janus ends with the stack");
}

#[tokio::test]
async fn a_watch_waits_for_the_publisher_and_is_offered_its_next_connection() {
    if !is_inside("munit::a_watch_waits_for_the_publisher_and_is_offered_its_next_connection") {
        return;
    }
    let stack = Stack::up_with(&["--munits", "1"]);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (sends, offer) = Peer::publisher().await;
    let answer = ann.done(json!({ "type": "Offer", "sdp": offer })).await;
    let station = answer["station"].as_str().unwrap();
    // No media flow yet: the answer is not with the publisher.
    bob.send(json!({ "type": "Watch", "station": station, "id": "early" })).await;
    sends.accept(answer["sdp"].as_str().unwrap());
    let offered = bob.expect_that("the offer", |signal| signal["re"] == "early").await;
    assert_eq!(offered["type"], "WatchAck", "{offered}");
    let sees = answered(&mut bob, &offered).await;
    sees.sees(10).await;

    // A publisher that begins anew: another connection on the same station.
    let (_sends_again, again) = publish(&mut ann).await;
    assert_eq!(again, station);
    let offered = bob.expect("WatchAck").await;
    assert_eq!((&offered["station"], &offered["replaces"]), (&json!(station), &json!(station)));
    let sees = answered(&mut bob, &offered).await;
    sees.sees(10).await;
}

#[tokio::test]
async fn a_regulator_that_is_killed_takes_its_calls_back_and_no_picture_is_lost() {
    if !is_inside("munit::a_regulator_that_is_killed_takes_its_calls_back_and_no_picture_is_lost") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let janus = Janus::start().await;
    let mut first = attached(&redis, &janus);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(30).await;

    first.signal(Signal::KILL);
    first.wait(SOON);
    sees.sees(30).await;
    let _second = attached(&redis, &janus);
    let (mut cem, _) = joined(&stack, "cem", false).await;
    let offered = eventually("the munit answers again", async || {
        let ack = cem.request(json!({ "type": "Watch", "station": station })).await;
        (ack["type"] == "WatchAck").then_some(ack)
    })
    .await;
    answered(&mut cem, &offered).await.sees(10).await;

    // What was there before has flowed on, and obeys again.
    assert_eq!(sees.lost(), 0);
    ann.done(json!({ "type": "UpdateVideo", "video": false })).await;
    sees.sees_nothing().await;
    ann.done(json!({ "type": "UpdateVideo", "video": true })).await;
    sees.sees(10).await;
    // It is known whose each is.
    bob.done(json!({ "type": "Unwatch", "station": station })).await;
    sees.sees_nothing().await;
}

#[tokio::test]
async fn a_stopped_munit_gives_its_stations_up_and_its_regulator_exits() {
    if !is_inside("munit::a_stopped_munit_gives_its_stations_up_and_its_regulator_exits") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let mut regulator = spawning(&redis);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    let munit: MunitId = "m1".parse().unwrap();
    change(&*store, &munit, munit::Input::Stop { grace: Duration::ZERO }).await;
    assert_eq!(ann.expect("StationLost").await["station"], station);
    let ended = tokio::task::spawn_blocking(move || {
        let ended = regulator.wait(SOON);
        assert_eq!(regulator.strays(), [0; 0], "Janus ends with it");
        ended
    });
    assert_eq!(ended.await.unwrap().code, Some(0));
}

#[tokio::test]
async fn a_regulator_that_is_asked_to_end_exits_and_ends_the_janus_it_started() {
    if !is_inside("munit::a_regulator_that_is_asked_to_end_exits_and_ends_the_janus_it_started") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let mut regulator = spawning(&redis);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;
    regulator.signal(Signal::TERM);
    assert_eq!(ann.expect("StationLost").await["station"], station);
    assert_eq!(regulator.wait(SOON).code, Some(0));
    assert_eq!(regulator.strays(), [0; 0]);
    ann.refused(json!({ "type": "Offer", "sdp": "v=0" }), "no_capacity").await;
}

/// `launch regulator` with a Janus of its own, as munit `m1`.
pub(crate) fn spawning(redis: &Redis) -> Process {
    let mut command = mobzctl();
    command.args(["launch", "regulator", "--munit", "m1", "--redis", &redis.url(), "--spawn-janus"]);
    command.env("XDG_RUNTIME_DIR", redis.directory());
    Process::start(&mut command)
}

/// `launch regulator` on a Janus that is there, as munit `m1`.
pub(crate) fn attached(redis: &Redis, janus: &Janus) -> Process {
    let mut command = mobzctl();
    command.args(["launch", "regulator", "--munit", "m1", "--redis", &redis.url()]);
    command.args(["--janus", &janus.url(), "--janus-admin", &janus.admin_url()]);
    command.arg("--janus-admin-secret-file").arg(janus.secret_file());
    Process::start(&mut command)
}

/// Publishes once there is a munit that takes the station.
pub(crate) async fn publish_somewhere(client: &mut Client) -> (Peer, String) {
    eventually("a munit takes stations", async || {
        let (peer, offer) = Peer::publisher().await;
        let answer = client.request(json!({ "type": "Offer", "sdp": offer })).await;
        peer.accept(answer["sdp"].as_str()?);
        Some((peer, answer["station"].as_str()?.to_owned()))
    })
    .await
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

#[tokio::test]
async fn a_janus_that_is_killed_gives_its_stations_up_at_once_and_publishers_go_elsewhere() {
    if !is_inside("munit::a_janus_that_is_killed_gives_its_stations_up_at_once_and_publishers_go_elsewhere") {
        return;
    }
    let stack = Stack::up_with(&["--munits", "2"]);
    let Call { mut ann, mut bob, sends: _sends, station, sees: _sees } = call(&stack).await;

    // Whichever has the station: both die, and both come back.
    let januses = eventually("there are two Janus", async || {
        let pids = stack.process.januses();
        (pids.len() == 2).then_some(pids)
    })
    .await;
    for pid in januses {
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    }
    for client in [&mut ann, &mut bob] {
        let lost = client.expect("StationLost").await;
        assert_eq!((&lost["station"], &lost["retry"]), (&json!(station), &json!(true)));
    }
    let (_sends, station) = publish_somewhere(&mut ann).await;
    watch(&mut bob, &station).await.sees(10).await;
}

#[tokio::test]
async fn calls_outlive_their_database() {
    if !is_inside("munit::calls_outlive_their_database") {
        return;
    }
    let mut redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url(), "--munits", "1"]);
    let Call { mut ann, bob: _bob, sends: _sends, station, sees } = call(&stack).await;

    redis.kill();
    sees.sees(150).await;
    redis.restart().unwrap();
    // The room is back.
    eventually("the room is back", async || {
        let echo = ann.request(json!({ "type": "UpdateVideo", "audio": true })).await;
        (echo["type"] == "UpdateVideo").then_some(())
    })
    .await;
    // And so is the munit, with its station.
    let (id, store) =
        (station.parse::<StationId>().unwrap(), mobz_store::open(Some(&redis.url())).await.unwrap());
    let munit = id.munit().unwrap();
    eventually("the munit's record is back", async || {
        let record = store.load_munit(&munit).await.ok()?.record?;
        record.stations.contains_key(&id).then_some(())
    })
    .await;
    let (mut cem, _) = joined(&stack, "cem", false).await;
    watch(&mut cem, &station).await.sees(10).await;
    sees.sees(30).await;
    assert_eq!(sees.lost(), 0);
}

#[tokio::test]
async fn a_draining_munit_moves_its_stations_and_every_viewer_before_the_old_ones_end() {
    if !is_inside("munit::a_draining_munit_moves_its_stations_and_every_viewer_before_the_old_ones_end") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url(), "--munits", "2"]);
    let Call { mut ann, mut bob, sends, station, sees } = call(&stack).await;

    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    let munit = station.parse::<StationId>().unwrap().munit().unwrap();
    change(&*store, &munit, munit::Input::Drain { deadline: None, migrate: true }).await;
    let news = ann.expect_that("to be moved", |signal| signal["moved"][0]["user"] == "ann").await;
    assert_eq!(news["moved"][0]["from"], station);
    // A fresh connection beside the old one, which goes on.
    let (_sends_again, moved) = publish(&mut ann).await;
    assert_eq!(news["moved"][0]["to"], moved);
    let offered = bob.expect("WatchAck").await;
    assert_eq!((&offered["station"], &offered["replaces"]), (&json!(moved), &json!(station)));
    assert!(!sees.has_ended() && !sends.has_ended(), "the old connections stand until the new ones do");
    let sees_again = answered(&mut bob, &offered).await;
    sees_again.sees(30).await;
    assert_eq!((sees.lost(), sees_again.lost()), (0, 0));
    eventually("the munit is empty", async || {
        let loaded = store.load_munit(&munit).await.ok()?;
        let load = loaded.beat?.load;
        (loaded.record?.stations.is_empty() && load.stations + load.viewers == 0).then_some(())
    })
    .await;
}

/// Changes a munit's record as an operator does; its regulator finds out by itself.
pub(crate) async fn change(store: &dyn Store, munit: &MunitId, input: munit::Input) {
    let loaded = store.load_munit(munit).await.unwrap();
    let decided = munit::apply(munit, loaded.record.as_deref(), now(), input);
    let Decided::Put(record) = decided else { unreachable!("{decided:?}") };
    store.commit_munit(munit, loaded.revision, Some(record)).await.unwrap();
}
