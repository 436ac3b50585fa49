//! The control API's munits and stations (PROTOCOL.md §7), with munits that have no media.

use std::collections::BTreeSet;
use std::sync::Arc;

use mobz_core::signal::MunitSignal;
use mobz_core::store::Store;
use mobz_tests::{Client, Control, Redis, ScriptedMunit, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::entry;

struct Site {
    stack: Stack,
    store: Arc<dyn Store>,
    // Ends the server when it goes.
    _redis: Redis,
}

impl Site {
    async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let stack = Stack::up_with(&["--redis", &redis.url()]);
        let store = mobz_store::open(Some(&redis.url())).await.unwrap();
        Self { stack, store, _redis: redis }
    }

    async fn munit(&self, id: &str) -> ScriptedMunit {
        ScriptedMunit::start(&self.store, id, 10).await
    }

    /// Joins as a publisher and publishes; with the station.
    async fn publish(&self, room: &str, user: &str) -> (Client, String) {
        let mut client = self.stack.connect().await;
        let fields = json!({ "room": room, "mode": "m2m", "user": { "id": user }, "publish": true });
        client.join_with(fields).await;
        let answer = client.done(json!({ "type": "Offer", "sdp": "v=0" })).await;
        let station = answer["station"].as_str().unwrap().to_owned();
        (client, station)
    }
}

async fn done(api: &Control, path: &str, body: Value) -> Value {
    let (status, answer) = api.post(path, &body).await;
    assert_eq!(status, StatusCode::OK, "POST {path} was answered {answer}");
    answer
}

async fn refused(api: &Control, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = api.post(path, &body).await;
    (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_munit_is_listed_and_inspected() {
    let site = Site::start().await;
    let api = site.stack.api();
    assert_eq!(api.get("/v1/munits").await, json!({ "munits": [], "cursor": null }));
    let _munit = site.munit("m1").await;
    let (_ann, station) = site.publish("g", "ann").await;

    let list = api.get("/v1/munits").await;
    let keys: BTreeSet<&str> = list["munits"][0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "address capacity heartbeatAgeMs id region since state stations version viewers";
    assert_eq!(keys, expected.split(' ').collect());
    assert_eq!((&list["munits"][0]["state"], &list["munits"][0]["stations"]), (&json!("active"), &json!(1)));
    assert_eq!(list["munits"][0]["capacity"], json!({ "stations": 10, "viewers": 1000 }));
    let munit = api.get("/v1/munits/m1").await;
    let assigned = &munit["assigned"][0];
    assert_eq!(
        (&assigned["station"], &assigned["room"], &assigned["user"]),
        (&json!(station), &json!("g"), &json!("ann"))
    );
    api.refused(Method::GET, "/v1/munits/nowhere", 404, "no_such_munit").await;
}

#[tokio::test]
async fn munits_and_stations_are_listed_page_by_page_each_once() {
    let site = Site::start().await;
    let mut munits = Vec::new();
    for number in 0..5 {
        munits.push(site.munit(&format!("m{number}")).await);
    }
    let mut clients = Vec::new();
    for number in 0..7 {
        clients.push(site.publish("g", &format!("user{number}")).await);
    }
    for (kind, id, expected) in [("munits", "id", 5), ("stations", "station", 7)] {
        for limit in [1, 2, 3, 100] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = site.stack.api().get(&format!("/v1/{kind}?limit={limit}{cursor}")).await;
                let entries = page[kind].as_array().unwrap();
                assert!(entries.len() <= limit, "{page}");
                seen.extend(entries.iter().map(|entry| entry[id].as_str().unwrap().to_owned()));
                match page["cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), expected, "{kind} in pages of {limit}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), expected);
        }
    }
}

#[tokio::test]
async fn a_munit_is_drained_and_revived_and_the_events_tell() {
    let site = Site::start().await;
    let api = site.stack.api();
    let munit = site.munit("m1").await;
    let mut events = api.events(None).await;
    let (mut ann, _) = site.publish("g", "ann").await;
    let body = json!({ "deadline": "2100-01-01T00:00:00Z", "migrate": true });
    let draining = done(&api, "/v1/munits/m1/drain", body.clone()).await;
    assert_eq!((&draining["state"], &draining["migrate"]), (&json!("draining"), &json!(true)));
    assert_eq!(draining["deadline"], "2100-01-01T00:00:00Z");
    let woken =
        |signal: &MunitSignal| matches!(signal, MunitSignal::Drain { deadline: Some(_), migrate: true });
    munit.hears("Drain", woken).await;
    done(&api, "/v1/munits/m1/drain", body).await;

    let mut bob = site.stack.connect().await;
    bob.join_with(json!({ "room": "h", "mode": "m2m", "user": { "id": "bob" } })).await;
    bob.refused(json!({ "type": "Offer", "sdp": "v=0" }), "no_capacity").await;
    ann.done(json!({ "type": "Leave" })).await;
    assert_eq!(api.get("/v1/munits/m1").await["state"], "drained");

    assert_eq!(done(&api, "/v1/munits/m1/revive", json!(null)).await["state"], "active");
    munit.hears("Revive", |signal| *signal == MunitSignal::Revive).await;
    bob.done(json!({ "type": "Offer", "sdp": "v=0" })).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|name| name != "munit.revived") {
        let (name, _, data) = events.next().await;
        if name.starts_with("munit.") {
            assert_eq!(data["munit"], "m1");
            told.push(name);
        }
    }
    assert_eq!(told, ["munit.draining", "munit.revived"], "draining twice is told once");
    assert_eq!(refused(&api, "/v1/munits/nowhere/drain", json!({})).await, (404, "no_such_munit".into()));
    assert_eq!(
        refused(&api, "/v1/munits/m1/drain", json!({ "migrate": 1 })).await,
        (400, "bad_signal".into())
    );
}

#[tokio::test]
async fn a_munit_with_live_stations_is_not_stopped_unless_that_is_forced() {
    let site = Site::start().await;
    let api = site.stack.api();
    let munit = site.munit("m1").await;
    let (_ann, _) = site.publish("g", "ann").await;
    assert_eq!(refused(&api, "/v1/munits/m1/stop", json!({})).await, (409, "forbidden".into()));
    assert_eq!(api.get("/v1/munits/m1").await["stopping"], false);
    let stopping = done(&api, "/v1/munits/m1/stop", json!({ "force": true, "grace": 5000 })).await;
    assert_eq!((&stopping["stopping"], &stopping["state"]), (&json!(true), &json!("draining")));
    munit.hears("Stop", |signal| *signal == MunitSignal::Stop { grace: Some(5000) }).await;
    assert_eq!(refused(&api, "/v1/munits/m1/revive", json!({})).await, (409, "munit_unavailable".into()));
}

#[tokio::test]
async fn a_station_is_moved_to_another_munit_and_unassigned() {
    let site = Site::start().await;
    let api = site.stack.api();
    let (here, there) = (site.munit("m1").await, site.munit("m2").await);
    // Where it was placed is chance.
    let (mut ann, old) = site.publish("g", "ann").await;
    let (from, to) = if old.starts_with("m1-") { (here, there) } else { (there, here) };
    let line = api.get(&format!("/v1/stations/{old}")).await;
    let expected = json!({
        "station": old, "room": "g", "user": "ann", "munit": from.id(), "state": "active", "viewers": 0,
        "media": null
    });
    assert_eq!(line, expected);

    let assign = format!("/v1/stations/{old}/assign");
    assert_eq!(refused(&api, &assign, json!({ "munit": "m9" })).await, (404, "no_such_munit".into()));
    let moved = done(&api, &assign, json!({ "munit": to.id() })).await;
    assert_eq!((&moved["munit"], &moved["user"]), (&json!(to.id()), &json!("ann")));
    let new = moved["station"].as_str().unwrap().to_owned();
    let told = ann.expect_that("the move", |signal| !signal["moved"][0].is_null()).await;
    assert_eq!(told["moved"], json!([{ "user": "ann", "from": old, "to": new }]));
    assert_eq!(done(&api, &assign, json!({ "munit": to.id() })).await["station"], new, "once is enough");

    let room = api.get("/v1/rooms/g").await;
    let states = room["stations"].as_array().unwrap().iter().map(|station| {
        (station["station"].as_str().unwrap().to_owned(), station["state"].as_str().unwrap().to_owned())
    });
    let expected = [(new.clone(), "active".to_owned()), (old.clone(), "moving".to_owned())];
    assert_eq!(states.collect::<Vec<_>>(), expected);
    assert_eq!(entry(&room["stations"], "ann")["munit"], json!(to.id()));

    api.delete(&format!("/v1/stations/{new}")).await;
    let lost = ann
        .expect_that("the loss", |signal| signal["station"] == *new && signal["type"] == "StationLost")
        .await;
    assert_eq!(lost["retry"], false);
    assert!(to.stations().await.is_empty());
    api.refused(Method::DELETE, &format!("/v1/stations/{new}"), 404, "no_such_station").await;
    api.refused(Method::GET, &format!("/v1/stations/{new}"), 404, "no_such_station").await;
    assert_eq!(refused(&api, "/v1/stations/x/assign", json!({})).await, (404, "no_such_station".into()));
}
