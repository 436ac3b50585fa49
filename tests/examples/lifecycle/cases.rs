//! What is done to munits while people talk.

use std::pin::Pin;
use std::time::{Duration, Instant};

use mobz_tests::{Client, eventually};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::call::{Call, PICTURE_EVERY};
use crate::figures::{Figure, Found, at_most, mostly, ms, none, seen};
use crate::person::Person;
use crate::site::{Site, munit_of};

/// How long a drain is watched to wait.
const WAITS: Duration = Duration::from_secs(2);
/// The deadline of the drain that has one.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often somebody asks whether signals are answered again.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long that may take in all.
const BACK_MAX: Duration = Duration::from_secs(60);

/// How often who only asks says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

const LOST: Figure = none("pictures lost");
const CALLS_LOST: Figure = none("participants or stations lost");

/// One thing to do.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many munits there are.
    pub(crate) munits: usize,
    /// Whether their regulators start their Janus.
    pub(crate) spawns: bool,
    pub(crate) round: fn(&mut Site, String, Duration) -> Round<'_>,
}

type Round<'a> = Pin<Box<dyn Future<Output = Found> + 'a>>;

/// All of them.
pub(crate) const CASES: [Case; 9] = [
    there("drain", 2, |site, room, _| Box::pin(drain_waits(site, room))),
    there("revive", 2, |site, room, _| Box::pin(revived_mid_drain(site, room))),
    there("deadline", 2, |site, room, _| Box::pin(drain_with_deadline(site, room))),
    there("migrate", 2, |site, room, _| Box::pin(drain_that_migrates(site, room))),
    there("regulator", 1, |site, room, _| Box::pin(regulator_killed(site, room))),
    Case { spawns: true, ..there("spawned", 1, |site, room, _| Box::pin(regulator_killed(site, room))) },
    there("janus", 2, |site, room, _| Box::pin(janus_killed(site, room))),
    there("munit", 2, |site, room, _| Box::pin(munit_killed(site, room))),
    there("redis", 1, |site, room, outage| Box::pin(redis_gone(site, room, outage))),
];

/// One whose munits' Janus is started by somebody else.
const fn there(
    name: &'static str,
    munits: usize,
    round: fn(&mut Site, String, Duration) -> Round<'_>,
) -> Case {
    Case { name, munits, spawns: false, round }
}

/// A drain waits for people to leave, and is done when they have.
async fn drain_waits(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 1, 2).await;
    let munit = call.munit();
    let waiting = tokio::spawn(site.operate(&["drain", &munit, "--wait"]));
    site.is("draining", &munit).await;
    let other = Call::start(site, &format!("{room}-other"), 1, 1).await;
    assert_ne!(other.munit(), munit, "a draining munit takes no new station");
    sleep(WAITS).await;
    call.flows().await;
    assert!(!waiting.is_finished(), "it waits for as long as somebody is there");
    let lost = call.lost();
    call.end().await;
    let left = Instant::now();
    waiting.await.unwrap();
    let drained = ms(left.elapsed());
    other.end().await;
    site.revive(&munit).await;
    vec![(LOST, vec![lost]), (seen("last one left → drain --wait exits"), vec![drained])]
}

/// A draining munit takes stations again once it is revived, and its call never knew.
async fn revived_mid_drain(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 1, 2).await;
    let munit = call.munit();
    let other = site.other(&munit);
    site.operate(&["drain", &munit]).await;
    site.operate(&["drain", &other]).await;
    site.is("draining", &munit).await;
    site.is("drained", &other).await;
    let since = Instant::now();
    site.operate(&["revive", &munit]).await;
    let newcomer = Person::join(&site.stack, &format!("{room}-new"), "ann", true).await;
    let station = eventually("the newcomer publishes", async || newcomer.station()).await;
    let placed = ms(since.elapsed());
    assert_eq!(munit_of(&station), munit, "the revived one takes it; no other can");
    call.flows().await;
    let lost = call.lost();
    call.end().await;
    newcomer.leave().await;
    site.revive(&other).await;
    vec![(LOST, vec![lost]), (seen("revive → a newcomer has its station there"), vec![placed])]
}

/// At the deadline what is left goes, and lands elsewhere.
async fn drain_with_deadline(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 1, 3).await;
    let munit = call.munit();
    let station = call.people[0].station().unwrap();
    let since = Instant::now();
    let waiting = tokio::spawn(site.operate(&["drain", &munit, "--deadline", "3s", "--wait"]));
    let (told, back) = lost_and_back(&call, &station, since).await;
    waiting.await.unwrap();
    let drained = ms(since.elapsed().saturating_sub(DEADLINE));
    assert!(told.iter().all(|told| *told >= ms(DEADLINE) - 100.0), "not before the deadline: {told:?}");
    call.flows().await;
    let lost = call.lost();
    call.end().await;
    site.revive(&munit).await;
    let after: Vec<f64> = told.iter().map(|told| told - ms(DEADLINE)).collect();
    vec![
        (LOST, vec![lost]),
        (seen("deadline → viewers are told"), after),
        (at_most("told → media back at a viewer", 2000.0), back),
        (seen("deadline → drain --wait exits"), vec![drained]),
    ]
}

/// Stations move to another munit, make before break.
async fn drain_that_migrates(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 4, 2).await;
    let munit = call.munit();
    let stations: Vec<String> = call.people[..4].iter().map(|person| person.station().unwrap()).collect();
    sleep(WAITS).await;
    let since = Instant::now();
    site.operate(&["drain", &munit, "--migrate", "--wait", "--timeout", "60s"]).await;
    let empty = ms(since.elapsed());
    let until = Instant::now();
    let (mut gaps, mut before, mut moves) = (Vec::new(), Vec::new(), 0_u32);
    for (publisher, station) in call.people[..4].iter().zip(&stations) {
        let has_moved = munit_of(station) == munit;
        moves += u32::from(has_moved);
        assert_eq!(publisher.station().as_ref() != Some(station), has_moved, "{station}");
        let watchers = call.people.iter().filter(|person| has_moved && person.user != publisher.user);
        for person in watchers {
            let what = format!("{} sees {} on its new station", person.user, publisher.user);
            eventually(&what, async || person.first_from_another(&publisher.user, station)).await;
            let shown = person.shown(&publisher.user);
            let added = |gap: Duration| ms(gap.saturating_sub(PICTURE_EVERY));
            gaps.push(added(shown.gap_since(since)));
            let as_long = since.checked_sub(until - since).unwrap();
            before.push(added(shown.gap_between(as_long, since)));
        }
    }
    call.flows().await;
    assert!(call.people.iter().all(|person| person.told(since, is_loss).is_none()), "nobody was cut");
    let lost = call.lost();
    call.end().await;
    site.revive(&munit).await;
    vec![
        (LOST, vec![lost]),
        (seen("stations moved"), vec![f64::from(moves)]),
        (mostly("gap added at a viewer", 50.0), gaps),
        (seen("longest added gap in the time before"), before),
        (at_most("drain --migrate --wait exits, munit empty", 60_000.0), vec![empty]),
    ]
}

/// Media do not know of the regulator's death, and its successor obeys soon.
async fn regulator_killed(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 1, 2).await;
    let (munit, station) = (call.munit(), call.people[0].station().unwrap());
    let mut asking = bystander(site, &room).await;
    let since = Instant::now();
    site.kill_regulator(&munit);
    let back = ms(answered_since(&mut asking, &station, since).await);
    call.flows().await;
    let (lost, gap) = (call.lost(), longest_gap(&call, since));
    let cut = call.people.iter().filter(|person| person.told(since, is_loss).is_some()).count();
    call.end().await;
    site.is("active", &munit).await;
    vec![
        (LOST, vec![lost]),
        (CALLS_LOST, vec![cut as f64]),
        (seen("longest gap at a viewer"), vec![gap]),
        (at_most("kill -9 → a Watch is answered again", 1000.0), vec![back]),
    ]
}

/// A closed socket tells at once.
async fn janus_killed(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 2, 2).await;
    let (munit, station) = (call.munit(), call.people[0].station().unwrap());
    let since = Instant::now();
    site.kill_janus(&munit).await;
    let (told, back) = lost_and_back(&call, &station, since).await;
    call.flows().await;
    call.end().await;
    site.kill_munit(&munit).await;
    site.add().await;
    vec![
        (at_most("kill -9 of Janus → everybody is told", 6000.0), told),
        (at_most("told → media back at a viewer", 2000.0), back),
    ]
}

/// Nobody is left to say so: silence tells.
async fn munit_killed(site: &mut Site, room: String) -> Found {
    let call = Call::start(site, &room, 2, 2).await;
    let (munit, station) = (call.munit(), call.people[0].station().unwrap());
    let since = Instant::now();
    site.kill_munit(&munit).await;
    let (told, back) = lost_and_back(&call, &station, since).await;
    call.flows().await;
    call.end().await;
    site.add().await;
    vec![
        (at_most("kill -9 of the munit → everybody is told", 6000.0), told),
        (at_most("told → media back at a viewer", 2000.0), back),
    ]
}

/// Media do not know of the database, and what it held is given back.
async fn redis_gone(site: &mut Site, room: String, outage: Duration) -> Found {
    let call = Call::start(site, &room, 2, 3).await;
    let station = call.people[0].station().unwrap();
    let mut asking = bystander(site, &room).await;
    let gone = Instant::now();
    site.redis.kill();
    while gone.elapsed() < outage {
        sleep(HEARTBEAT.min(outage.saturating_sub(gone.elapsed()))).await;
        asking.done(json!({ "type": "Heartbeat" })).await;
    }
    let since = Instant::now();
    site.redis.restart().unwrap();
    let back = ms(answered_since(&mut asking, &station, since).await);
    let (munit, people) = (call.munit(), call.people.len() + 1);
    eventually("the room and the munit are on record again", async || {
        let room = site.stack.api().try_get(&format!("/v1/rooms/{room}")).await?;
        let is_whole = room["participants"].as_array()?.len() == people;
        (is_whole && site.munit(&munit).await["stations"].as_u64()? > 0).then_some(())
    })
    .await;
    let whole = ms(since.elapsed());
    call.flows().await;
    // Long enough for whoever was wrongly believed dead to be given up.
    sleep(3 * Duration::from_secs(6)).await;
    call.flows().await;
    let (lost, gap) = (call.lost(), longest_gap(&call, gone));
    let cut = call.people.iter().filter(|person| person.told(gone, is_loss).is_some()).count();
    call.end().await;
    vec![
        (LOST, vec![lost]),
        (CALLS_LOST, vec![cut as f64]),
        (seen("longest gap at a viewer"), vec![gap]),
        (seen("Redis is back → a Watch is answered"), vec![back]),
        (seen("Redis is back → all is on record again"), vec![whole]),
    ]
}

/// When everybody who watches a lost station was told, and how long after that the first picture of its
/// publisher's next one came.
async fn lost_and_back(call: &Call, station: &str, since: Instant) -> (Vec<f64>, Vec<f64>) {
    let publisher = call.people.iter().find(|person| person.station().as_deref() == Some(station)).unwrap();
    let is_it = |signal: &Value| signal["type"] == "StationLost" && signal["station"] == station;
    let (mut told, mut back) = (Vec::new(), Vec::new());
    for person in &call.people {
        let at = eventually("the loss is told", async || person.told(since, is_it)).await;
        told.push(ms(at - since));
        if person.user != publisher.user {
            let what = format!("{} sees {} again", person.user, publisher.user);
            let first = eventually(&what, async || person.first_from_another(&publisher.user, station)).await;
            back.push(ms(first.saturating_duration_since(at)));
        }
    }
    (told, back)
}

fn longest_gap(call: &Call, since: Instant) -> f64 {
    let gaps = call.pairs().map(|(person, publisher)| person.shown(&publisher.user).gap_since(since));
    ms(gaps.max().unwrap_or_default())
}

/// Whether somebody's call was cut.
fn is_loss(signal: &Value) -> bool {
    let has_left = signal["left"].as_array().is_some_and(|left| !left.is_empty());
    signal["type"] == "StationLost" || signal["type"] == "Kick" || has_left
}

/// Somebody who is there and watches nothing yet.
async fn bystander(site: &Site, room: &str) -> Client {
    let mut client = site.stack.connect().await;
    client
        .join_with(json!({ "room": room, "mode": "m2m", "user": { "id": "asks" }, "publish": false }))
        .await;
    client
}

/// Asks for a station until it is offered; how long that took.
async fn answered_since(client: &mut Client, station: &str, since: Instant) -> Duration {
    let asking = async {
        loop {
            let answer = client.request(json!({ "type": "Watch", "station": station })).await;
            if answer["type"] == "WatchAck" {
                return since.elapsed();
            }
            sleep(ASK_EVERY).await;
        }
    };
    timeout(BACK_MAX, asking).await.unwrap_or_else(|_| panic!("no Watch was answered within {BACK_MAX:?}"))
}
