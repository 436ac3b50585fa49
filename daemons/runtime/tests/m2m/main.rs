//! m2m rooms over two nodes and munits without media, in memory and on a real Redis.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]
#![allow(clippy::large_futures, reason = "a test's future holds its clients; it runs once")]

#[allow(unreachable_pub, reason = "a module of this test alone")]
mod world;

use mobz_core::id::StationId;
use mobz_core::munit;
use mobz_core::room::Input;
use mobz_core::signal::{MunitSignal, ServerSignal};
use mobz_core::store::Asked;
use mobz_runtime::testing::ScriptedMunit;
use serde_json::{Value, json};
use world::{Client, World, room, user};

mobz_runtime::on_both_stores! {
    an_offer_is_placed_published_and_answered
    who_joins_has_the_offers_of_those_who_publish
    a_munit_that_hangs_delays_no_join_for_long_and_its_signals_time_out
    a_munit_that_does_not_listen_is_unavailable_at_once
    media_signals_go_both_ways_from_any_node
    what_a_munit_says_follows_who_resumes_on_another_node
    what_a_munit_says_to_who_is_away_is_kept
    without_a_munit_there_is_no_capacity
    a_draining_or_full_munit_takes_no_station
    two_nodes_that_place_at_once_fill_a_munit_and_no_more
    who_is_kicked_or_leaves_is_gone_from_every_munit
    a_silent_munit_is_lost_and_its_publishers_are_placed_elsewhere
    a_station_is_moved_before_it_is_let_go
}

fn offer() -> Value {
    json!({ "type": "Offer", "sdp": "v=0" })
}

fn station_of(signal: &Value) -> StationId {
    signal["station"].as_str().unwrap_or_else(|| panic!("{signal}")).parse().unwrap()
}

async fn publishes(client: &mut Client) -> StationId {
    let answer = client.request(offer()).await;
    assert_eq!((&answer["type"], &answer["sdp"]), (&json!("Answer"), &json!("answer to v=0")), "{answer}");
    station_of(&answer)
}

async fn an_offer_is_placed_published_and_answered(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", false).await;

    let station = publishes(&mut ann).await;

    assert_eq!(station.munit().as_ref(), Some(munit.id()));
    assert_eq!(munit.stations().await, std::slice::from_ref(&station));
    let heard = munit.heard();
    assert!(matches!(&heard[..], [MunitSignal::Assign { .. }, MunitSignal::Publish { .. }]), "{heard:?}");
    let list = bob.expect("PublishListChangeAck").await;
    assert_eq!(list["publishers"][0]["station"], station.as_str());
    assert_eq!(publishes(&mut ann).await, station, "another Offer is for the same station");
    let _redis = world.end(vec![ann, bob]).await;
    assert_eq!(munit.stations().await, [], "who leaves takes its station along");
    munit.hears("Unassign", |signal| matches!(signal, MunitSignal::Unassign { .. })).await;
}

async fn who_joins_has_the_offers_of_those_who_publish(world: World) {
    let _munits = [
        ScriptedMunit::start(&world.store, "m1", 10).await,
        ScriptedMunit::start(&world.store, "m2", 10).await,
    ];
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", true).await;
    let stations = [publishes(&mut ann).await, publishes(&mut bob).await];
    assert_ne!(stations[0].munit(), stations[1].munit(), "a room's stations are spread");

    let cem = world.join(&world.there, "cem", false).await;

    for (publisher, station) in cem.joined["publishers"].as_array().unwrap().iter().zip(&stations) {
        assert_eq!(publisher["station"], station.as_str());
        assert_eq!(publisher["sdp"], format!("offer of {station}"));
    }
    let again = world.join_as(&world.here, "cem", None, Some(&cem)).await;
    assert_eq!(again.joined["publishers"][0]["sdp"], Value::Null, "who resumes goes on with what it has");
    world.end(vec![ann, bob, cem, again]).await;
}

async fn a_munit_that_hangs_delays_no_join_for_long_and_its_signals_time_out(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let station = publishes(&mut ann).await;
    munit.hang(true);

    let mut bob = world.join(&world.there, "bob", false).await;

    assert_eq!(bob.joined["publishers"][0]["station"], station.as_str());
    assert_eq!(bob.joined["publishers"][0]["sdp"], Value::Null);
    bob.refused(json!({ "type": "Watch", "user": "ann" }), "timeout").await;
    munit.hang(false);
    let watched = bob.request(json!({ "type": "Watch", "user": "ann" })).await;
    assert_eq!(watched["type"], "WatchAck");
    world.end(vec![ann, bob]).await;
}

async fn a_munit_that_does_not_listen_is_unavailable_at_once(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    publishes(&mut ann).await;
    drop(munit);

    let mut bob = world.join(&world.there, "bob", false).await;

    assert_eq!(bob.joined["publishers"][0]["sdp"], Value::Null);
    let refusal = bob.refused(json!({ "type": "Watch", "user": "ann" }), "munit_unavailable").await;
    assert!(refusal["retryAfter"].as_u64().is_some_and(|millis| millis > 0), "{refusal}");
    ann.refused(offer(), "munit_unavailable").await;
    world.end(vec![ann, bob]).await;
}

async fn media_signals_go_both_ways_from_any_node(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", false).await;
    let station = publishes(&mut ann).await;

    let watched = bob.request(json!({ "type": "Watch", "station": station })).await;
    assert_eq!(watched["type"], "WatchAck");
    assert_eq!((&watched["user"], &watched["sdp"]), (&json!("ann"), &json!(format!("offer of {station}"))));
    let done = [
        json!({ "type": "Answer", "station": station, "sdp": "v=1" }),
        json!({ "type": "iceCandidate", "station": station, "candidate": "candidate:1" }),
    ];
    for signal in done {
        assert_eq!(bob.request(signal).await["type"], "Ack");
    }
    assert_eq!(ann.request(json!({ "type": "iceCandidate", "candidate": null })).await["type"], "Ack");
    let layer = json!({ "type": "SimulcastUpdate", "station": station, "substream": 1 });
    assert_eq!(bob.request(layer).await["substream"], 1);
    let (_, asker) =
        munit.hears("Watch", |signal| matches!(signal, MunitSignal::Watch { inline: false, .. })).await;
    let trickled = |number: u32| ServerSignal::IceCandidate {
        from: None,
        candidate: Some(format!("candidate:{number}")),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        station: Some(station.clone()),
    };
    for number in 0..50 {
        munit.tells(asker.as_ref().unwrap(), trickled(number)).await;
    }
    for number in 0..50 {
        assert_eq!(bob.expect("iceCandidate").await["candidate"], format!("candidate:{number}"));
    }
    ann.request(json!({ "type": "UpdateVideo", "video": false })).await;
    let muted = |signal: &MunitSignal| matches!(signal, MunitSignal::Mute { video: false, audio: true, .. });
    munit.hears("Mute", muted).await;
    assert_eq!(bob.request(json!({ "type": "Unwatch", "station": station })).await["type"], "Ack");
    world.end(vec![ann, bob]).await;
}

async fn what_a_munit_says_follows_who_resumes_on_another_node(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let station = publishes(&mut ann).await;
    let (_, asker) = munit.hears("Publish", |signal| matches!(signal, MunitSignal::Publish { .. })).await;
    let asker = asker.unwrap();

    let mut again = world.join_as(&world.there, "ann", None, Some(&ann)).await;
    assert_eq!(again.joined["publishers"][0]["station"], station.as_str());
    ann.lose().await;
    let moved_on = ServerSignal::IceCandidate {
        from: None,
        candidate: Some("candidate:late".into()),
        sdp_mid: None,
        sdp_m_line_index: None,
        station: Some(station.clone()),
    };
    munit.tells(&asker, moved_on.clone()).await;
    assert_eq!(again.expect("iceCandidate").await["candidate"], "candidate:late");
    munit.tells_user(&room(), &user("ann"), moved_on).await;
    assert_eq!(again.expect("iceCandidate").await["candidate"], "candidate:late");

    assert_eq!(
        again.request(json!({ "type": "iceCandidate", "candidate": "candidate:9" })).await["type"],
        "Ack"
    );
    let (_, asker) =
        munit.hears("a candidate", |signal| matches!(signal, MunitSignal::Candidate { .. })).await;
    assert_eq!(&asker.unwrap().at.node, world.there.id());
    world.end(vec![again]).await;
}

async fn what_a_munit_says_to_who_is_away_is_kept(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", false).await;
    let station = publishes(&mut ann).await;
    munit.hang(true);
    ann.send(json!({ "type": "Offer", "id": "slow", "sdp": "v=2" })).await;
    let slow = |signal: &MunitSignal| matches!(signal, MunitSignal::Publish { sdp, .. } if sdp == "v=2");
    let (_, asker) = munit.hears("the second Offer", slow).await;
    ann.lose().await;
    bob.expect_that("ann's being away", |signal| signal["away"][0] == "ann").await;

    let late = ServerSignal::Answer { from: None, sdp: "late".into(), station: Some(station) };
    munit.tells(&asker.unwrap(), late).await;
    let mut again = world.join_as(&world.there, "ann", None, Some(&ann)).await;

    assert_eq!(again.expect("Answer").await["sdp"], "late");
    world.end(vec![again, bob]).await;
}

async fn without_a_munit_there_is_no_capacity(world: World) {
    let mut ann = world.join(&world.here, "ann", true).await;
    let refusal = ann.refused(offer(), "no_capacity").await;
    assert!(refusal["retryAfter"].as_u64().is_some_and(|millis| millis > 0), "{refusal}");
    let _munit = ScriptedMunit::start(&world.store, "m1", 1).await;
    publishes(&mut ann).await;
    world.end(vec![ann]).await;
}

async fn a_draining_or_full_munit_takes_no_station(world: World) {
    let draining = ScriptedMunit::start(&world.store, "m1", 10).await;
    let small = ScriptedMunit::start(&world.store, "m2", 1).await;
    draining.change(munit::Input::Drain { deadline: None, migrate: false }).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.here, "bob", true).await;

    assert_eq!(publishes(&mut ann).await.munit().as_ref(), Some(small.id()));
    bob.refused(offer(), "no_capacity").await;
    draining.change(munit::Input::Revive).await;
    assert_eq!(publishes(&mut bob).await.munit().as_ref(), Some(draining.id()));
    world.end(vec![ann, bob]).await;
}

async fn two_nodes_that_place_at_once_fill_a_munit_and_no_more(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 5).await;
    let mut clients = Vec::new();
    for number in 0..8 {
        let node = if number % 2 == 0 { &world.here } else { &world.there };
        clients.push(world.join(node, &format!("p{number}"), true).await);
    }

    let answers = clients.into_iter().map(async |mut client| {
        let answer = client.request(offer()).await;
        (client, answer)
    });
    let answers = futures_util::future::join_all(answers).await;

    let kinds = |kind: &str| answers.iter().filter(|(_, answer)| answer["type"] == kind).count();
    assert_eq!((kinds("Answer"), kinds("Error")), (5, 3));
    assert_eq!(munit.stations().await.len(), 5);
    let _redis = world.end(answers.into_iter().map(|(client, _)| client).collect()).await;
    assert_eq!(munit.stations().await, []);
}

async fn who_is_kicked_or_leaves_is_gone_from_every_munit(world: World) {
    let m1 = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    publishes(&mut ann).await;
    let m2 = ScriptedMunit::start(&world.store, "m2", 10).await;
    let mut bob = world.join(&world.there, "bob", true).await;
    let station = publishes(&mut bob).await;
    assert_eq!(station.munit().as_ref(), Some(m2.id()));

    assert_eq!(ann.request(json!({ "type": "Kick", "user": "bob" })).await["type"], "Ack");

    m1.hears("Forget", |signal| matches!(signal, MunitSignal::Forget { user, .. } if user.as_str() == "bob"))
        .await;
    m2.hears(
        "Unassign",
        |signal| matches!(signal, MunitSignal::Unassign { station: gone } if *gone == station),
    )
    .await;
    assert_eq!(m2.stations().await, []);
    let list = ann.expect_that("bob's removal", |signal| signal["removed"][0] == "bob").await;
    assert_eq!(list["publishers"].as_array().unwrap().len(), 1);
    world.end(vec![ann, bob]).await;
}

async fn a_silent_munit_is_lost_and_its_publishers_are_placed_elsewhere(world: World) {
    let doomed = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", false).await;
    let station = publishes(&mut ann).await;
    let lives = ScriptedMunit::start(&world.store, "m2", 1).await;
    let dead = doomed.id().clone();
    drop(doomed);

    for client in [&mut ann, &mut bob] {
        let lost = client.expect("StationLost").await;
        assert_eq!(
            (station_of(&lost), &lost["retry"], &lost["user"]),
            (station.clone(), &json!(true), &json!("ann"))
        );
        let change = client.expect_that("a list without it", |signal| {
            signal["type"] == "PublishListChangeAck" && signal["publishers"][0]["station"].is_null()
        });
        assert_eq!(change.await["removed"], json!([]), "ann publishes on");
    }
    assert_eq!(publishes(&mut ann).await.munit().as_ref(), Some(lives.id()));
    let record = world.store.load_munit(&dead).await.unwrap().record.unwrap();
    assert!(record.stations.is_empty(), "{record:?}");
    world.end(vec![ann, bob]).await;
}

async fn a_station_is_moved_before_it_is_let_go(world: World) {
    let old = ScriptedMunit::start(&world.store, "m1", 10).await;
    let mut ann = world.join(&world.here, "ann", true).await;
    let mut bob = world.join(&world.there, "bob", false).await;
    let from = publishes(&mut ann).await;
    let nowhere = Input::Move { station: from.clone(), to: None };
    let refused = world.there.submit(&room(), nowhere).await.unwrap();
    assert_eq!(refused, Some(mobz_core::signal::Code::NoCapacity), "only the munit it is on has room");
    let new = ScriptedMunit::start(&world.store, "m2", 10).await;

    let elsewhere = Input::Move { station: from.clone(), to: Some(new.id().clone()) };
    assert_eq!(world.there.submit(&room(), elsewhere).await.unwrap(), None);

    let moved = |signal: &Value| signal["moved"][0]["user"] == "ann";
    let told = bob.expect_that("the move", moved).await;
    assert_eq!(told["moved"][0]["from"], from.as_str());
    ann.expect_that("the move", moved).await;
    let to = publishes(&mut ann).await;
    assert_eq!((to.munit().as_ref(), told["moved"][0]["to"].as_str()), (Some(new.id()), Some(to.as_str())));
    assert_eq!(old.stations().await, std::slice::from_ref(&from), "make before break");
    world.here.submit(&room(), Input::Retire(from)).await.unwrap();
    assert_eq!(old.stations().await, []);
    let record = world.store.load(&room(), Asked::First(0)).await.unwrap().record.unwrap();
    assert!(record.participants[&user("ann")].previous.is_none());
    assert!(bob.has_no("StationLost"));
    world.end(vec![ann, bob]).await;
}
