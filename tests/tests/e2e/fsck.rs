//! `mobzctl fsck` over real Redis and real Janus: what is broken behind everybody's back is named, mended and gone.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use janus_client::video_room::{Create, Destroy};
use janus_client::{Client as JanusClient, Fresh, Handle, Options, events};
use mobz_core::id::{Address, ConnectionId, MunitId, RoomId, StationId};
use mobz_core::munit::{Assigned, Beat, Load, Record as Munit};
use mobz_core::room::{Participant, Record as Room};
use mobz_core::store::{Asked, Change, RecordChange, Revision, Store};
use mobz_core::time::Timestamp;
use mobz_tests::{Janus, Redis, SOON, Signal, Stack, eventually, is_inside, mobzctl};
use serde_json::{Value, json};

use crate::munit::{ROOM, attached, joined, now, publish, publish_somewhere, spawning, watch};

/// Long enough ago for everything.
const LONG_AGO: Duration = Duration::from_secs(600);

fn long_ago() -> Timestamp {
    Timestamp::from_millis(now().as_millis() - u64::try_from(LONG_AGO.as_millis()).unwrap())
}

/// What `mobzctl fsck` says of this endpoint, and its exit code.
async fn fsck(endpoint: &str, flags: &[&str]) -> (Value, i32) {
    let mut command = mobzctl();
    command.args(["--endpoint", endpoint, "--output", "json", "fsck"]).args(flags);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (said, output.status.code().unwrap())
}

fn kinds(said: &Value) -> BTreeSet<String> {
    let findings = said["findings"].as_array().unwrap_or_else(|| unreachable!("{said}"));
    findings.iter().map(|found| found["kind"].as_str().unwrap().to_owned()).collect()
}

fn set(kinds: &str) -> BTreeSet<String> {
    kinds.split(' ').map(str::to_owned).collect()
}

/// Changes a munit's record without telling anybody.
async fn change_munit(store: &dyn Store, munit: &MunitId, change: impl Fn(&mut Munit)) {
    eventually("the munit's record is changed", async || {
        let loaded = store.load_munit(munit).await.unwrap();
        let mut record = Arc::unwrap_or_clone(loaded.record.unwrap());
        change(&mut record);
        let done = store.commit_munit(munit, loaded.revision, Some(Arc::new(record))).await.unwrap();
        matches!(done, mobz_core::store::Committed::Done(_)).then_some(())
    })
    .await;
}

async fn room_record(store: &dyn Store, room: &str) -> Room {
    let loaded = store.load(&room.parse().unwrap(), Asked::Users(Vec::new())).await.unwrap();
    Arc::unwrap_or_clone(loaded.record.unwrap())
}

/// A room that nobody serves: its participant is on a node that is gone, its station on a munit that never was.
async fn put_zombie(store: &dyn Store) {
    let mut room = room_record(store, ROOM).await;
    let (id, ann): (RoomId, _) = ("zombie".parse().unwrap(), room.participants.pop_first().unwrap().1);
    let zombie = Participant {
        address: Address { node: "gone".parse().unwrap(), connection: ConnectionId(1) },
        station: Some(StationId::on(&"m9".parse().unwrap(), 1)),
        ..Arc::unwrap_or_clone(ann)
    };
    (room.room, room.owner) = (id.clone(), zombie.user.clone());
    room.participants = [(zombie.user.clone(), Arc::new(zombie))].into();
    let change = Change { record: RecordChange::Put(Arc::new(room)), ..Change::default() };
    store.commit(&id, Revision::default(), change).await.unwrap();
}

/// Somebody else at the same Janus.
async fn intruder(janus: &Janus) -> Handle<Fresh> {
    let client = JanusClient::connect(&janus.url(), Options::default()).await.unwrap();
    let (sink, _) = events(16);
    client.create_session().await.unwrap().attach(None, &sink).await.unwrap()
}

#[tokio::test]
async fn orphans_of_every_kind_are_named_mended_and_gone_and_calls_go_on() {
    if !is_inside("fsck::orphans_of_every_kind_are_named_mended_and_gone_and_calls_go_on") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    let janus = Janus::start().await;
    let _regulator = attached(&redis, &janus);
    let m1: MunitId = "m1".parse().unwrap();
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_ann_sends, station) = publish_somewhere(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(10).await;
    let (mut cem, _) = joined(&stack, "cem", true).await;
    let (_cem_sends, unheld) = publish(&mut cem).await;
    let (mut dan, _) = joined(&stack, "dan", true).await;
    let (_dan_sends, missing) = publish(&mut dan).await;
    assert_eq!(fsck(&stack.control, &[]).await.1, 0, "all is well");

    let (orphan, stray) = (StationId::on(&m1, 0xaa), StationId::on(&m1, 0xbb));
    change_munit(&*store, &m1, |record| {
        let assigned = Assigned { user: "zed".parse().unwrap(), room: ROOM.parse().unwrap(), at: long_ago() };
        record.stations.insert(orphan.clone(), assigned);
        record.stations.remove(&missing.parse::<StationId>().unwrap());
        record.stations.get_mut(&unheld.parse::<StationId>().unwrap()).unwrap().at = long_ago();
    })
    .await;
    put_zombie(&*store).await;
    let intruder = intruder(&janus).await;
    let create = Create { room: Some(stray.as_str().into()), ..Create::default() };
    intruder.ask(&create).await.unwrap();
    let destroy = Destroy { room: unheld.as_str().into(), secret: None, permanent: None };
    intruder.ask(&destroy).await.unwrap();

    let broken =
        "missing_station nowhere_station orphan_station stranded_room unheld_station unrecorded_station";
    let (said, code) = fsck(&stack.control, &[]).await;
    assert_eq!((kinds(&said), code), (set(broken), 1), "{said}");
    assert_eq!((&said["munits"], &said["rooms"]), (&json!(1), &json!(2)));
    let named = |kind: &str| said["findings"].as_array().unwrap().iter().find(|found| found["kind"] == kind);
    assert_eq!(named("orphan_station").unwrap()["station"], orphan.as_str());
    assert_eq!(named("unrecorded_station").unwrap()["station"], stray.as_str());
    assert_eq!(named("unheld_station").unwrap()["station"], *unheld);
    assert_eq!(
        (&named("missing_station").unwrap()["user"], &named("missing_station").unwrap()["station"]),
        (&json!("dan"), &json!(missing))
    );
    assert_eq!(fsck(&stack.control, &["--repair"]).await.1, 4, "nobody can be asked");
    // Straight on the store it is the same.
    let (said, code) = fsck(&redis.url(), &["--repair", "--yes"]).await;
    assert_eq!((kinds(&said), code), (set(broken), 0), "{said}");
    assert!(said["findings"].as_array().unwrap().iter().all(|found| found["outcome"] == "mended"), "{said}");

    for (client, station) in [(&mut cem, &unheld), (&mut dan, &missing)] {
        let lost = client
            .expect_that("its station's loss", |signal| {
                signal["station"] == **station && signal["type"] == "StationLost"
            })
            .await;
        assert_eq!(lost["retry"], true);
    }
    let (_dan_sends, again) = publish(&mut dan).await;
    watch(&mut bob, &again).await.sees(10).await;
    for gone in [&orphan, &stray] {
        let destroy = Destroy { room: gone.as_str().into(), secret: None, permanent: None };
        assert!(intruder.ask(&destroy).await.is_err(), "Janus has a room for {gone}");
    }
    assert_eq!(
        fsck(&stack.control, &[]).await,
        (json!({ "munits": 1, "stations": 2, "rooms": 2, "findings": [], "left": 0 }), 0)
    );
    sees.sees(10).await;
    assert_eq!(sees.lost(), 0, "the call that was well went on");
}

#[tokio::test]
async fn what_was_killed_with_nobody_left_to_see_it_is_mended_straight_on_the_store() {
    if !is_inside("fsck::what_was_killed_with_nobody_left_to_see_it_is_mended_straight_on_the_store") {
        return;
    }
    let redis = Redis::start().unwrap();
    let mut stack = Stack::up_with(&["--redis", &redis.url()]);
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    let mut regulator = spawning(&redis);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (_sends, _) = publish_somewhere(&mut ann).await;
    for process in [&mut stack.process, &mut regulator] {
        process.signal(Signal::KILL);
        process.wait(SOON);
    }
    // As if that had been long ago.
    let m1: MunitId = "m1".parse().unwrap();
    change_munit(&*store, &m1, |record| record.since = long_ago()).await;
    let instance = store.load_munit(&m1).await.unwrap().record.unwrap().instance.clone();
    let beat = Beat { instance, at: long_ago(), ready: true, load: Load::default() };
    store.beat_munit(&m1, &beat).await.unwrap();

    let (said, code) = fsck(&redis.url(), &[]).await;
    assert_eq!((kinds(&said), code), (set("silent_munit stranded_room"), 1), "{said}");
    let (said, code) = fsck(&redis.url(), &["--repair", "--yes"]).await;
    assert_eq!((&said["left"], code), (&json!(0), 0), "{said}");
    assert_eq!(fsck(&redis.url(), &[]).await.1, 0);

    let record = room_record(&*store, ROOM).await;
    assert!(
        record.participants.values().all(|there| there.station.is_none() && there.is_away()),
        "{record:?}"
    );
    let munit = store.load_munit(&m1).await.unwrap().record.unwrap();
    assert!(munit.lost && munit.stations.is_empty(), "{munit:?}");
    let mut list = Command::new(mobzctl().get_program());
    list.args(["--endpoint", &redis.url(), "--output", "json", "munit", "list"]);
    let listed: Value = serde_json::from_slice(&list.output().unwrap().stdout).unwrap();
    assert_eq!(listed["munits"][0]["state"], "lost");
}
