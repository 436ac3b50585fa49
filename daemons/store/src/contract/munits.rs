//! Munits: their records, their heartbeats, who takes stations, who is silent, and signals to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use mobz_core::id::{MunitId, StationId};
use mobz_core::munit::{Assigned, Beat, Load, Record, Wanted};
use mobz_core::placement::Candidate;
use mobz_core::store::{Committed, DUE_BATCH_MAX, DUE_CLAIM, LoadedMunit, MunitPage, Revision, Store};
use mobz_core::time::{Timestamp, millis};

use super::bus::{hear, hears_nothing};
use super::{Place, at, done, eventually, id, munit_record};

async fn put(store: &dyn Store, revision: Revision, record: Record) -> Revision {
    let munit = record.munit.clone();
    done(store.commit_munit(&munit, revision, Some(Arc::new(record))).await.unwrap())
}

/// Registers a munit that takes `stations`.
async fn register(store: &dyn Store, munit: &str, stations: usize) -> Revision {
    put(store, Revision::default(), munit_record(munit, stations)).await
}

fn beat(at: Timestamp) -> Beat {
    Beat { instance: "a".into(), at, ready: true, load: Load { stations: 1, viewers: 2 } }
}

fn with_stations(munit: &str, stations: usize, assigned: u64) -> Record {
    let mut record = munit_record(munit, stations);
    for number in 0..assigned {
        let assigned = Assigned { user: id("ann"), room: id("demo"), at: at(number) };
        record.stations.insert(StationId::on(&record.munit, number), assigned);
    }
    record
}

async fn candidates(store: &dyn Store, limit: usize) -> String {
    let found = store.candidates(limit).await.unwrap();
    let shown = found.iter().map(|Candidate { munit, free }| format!("{munit}:{free}"));
    shown.collect::<Vec<_>>().join(" ")
}

async fn list(store: &dyn Store, limit: usize) -> Vec<MunitId> {
    let mut munits = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.list_munits(cursor.as_deref(), limit).await.unwrap();
        assert!(page.munits.len() <= limit, "{} munits on a page of {limit}", page.munits.len());
        munits.extend(page.munits);
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return munits,
        }
    }
}

async fn claim(store: &dyn Store, now: Timestamp, before: Timestamp) -> Vec<String> {
    let claimed = store.claim_silent_munits(now, before).await.unwrap();
    claimed.iter().map(ToString::to_string).collect()
}

pub async fn a_missing_munit_loads_as_nothing(place: &dyn Place) {
    let store = place.connect().await;
    assert_eq!(store.load_munit(&id("m")).await.unwrap(), LoadedMunit::default());
    let remove = store.commit_munit(&id("m"), Revision::default(), None).await.unwrap();
    assert_eq!(remove, Committed::Done(Revision::default()));
}

pub async fn a_munit_is_read_as_it_was_committed(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let mut record = with_stations("m", 10, 3);
    record.wanted = Wanted::Draining { deadline: Some(at(99)), migrate: true };
    let revision = put(&*one, Revision::default(), record.clone()).await;
    let loaded = other.load_munit(&id("m")).await.unwrap();
    assert_eq!(loaded, LoadedMunit { revision, record: Some(Arc::new(record)), beat: None });
    assert_ne!(revision, Revision::default());
}

pub async fn a_munit_commit_at_another_revision_changes_nothing(place: &dyn Place) {
    let store = place.connect().await;
    let first = register(&*store, "m", 1).await;
    let second = put(&*store, first, munit_record("m", 2)).await;
    for stale in [Revision::default(), first, Revision(second.0 + 1)] {
        for record in [Some(Arc::new(munit_record("m", 9))), None] {
            let committed = store.commit_munit(&id("m"), stale, record).await.unwrap();
            assert_eq!(committed, Committed::Conflict);
        }
    }
    let loaded = store.load_munit(&id("m")).await.unwrap();
    assert_eq!((loaded.revision, loaded.record.unwrap().capacity.stations), (second, 2));
    assert_eq!(candidates(&*store, 9).await, "m:2");
    let missing = store.commit_munit(&id("other"), second, Some(Arc::new(munit_record("other", 1)))).await;
    assert_eq!(missing.unwrap(), Committed::Conflict);
}

pub async fn one_of_many_concurrent_munit_commits_wins(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    let mut revision = register(&*stores[0], "m", 1).await;
    for _ in 0..10 {
        let commits = (2..12_usize).map(|stations| {
            let store = stores[stations % 2].clone();
            let record = Arc::new(munit_record("m", stations));
            tokio::spawn(async move { store.commit_munit(&id("m"), revision, Some(record)).await.unwrap() })
        });
        let outcomes: Vec<Committed> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
        let won: Vec<usize> = (0..10).filter(|at| outcomes[*at] != Committed::Conflict).collect();
        let [winner] = won[..] else { panic!("{outcomes:?}") };
        let loaded = stores[0].load_munit(&id("m")).await.unwrap();
        assert_eq!(Committed::Done(loaded.revision), outcomes[winner]);
        assert_eq!(loaded.record.unwrap().capacity.stations, winner + 2);
        assert_eq!(candidates(&*stores[0], 9).await, format!("m:{}", winner + 2));
        revision = loaded.revision;
    }
}

pub async fn a_removed_munit_leaves_nothing_behind(place: &dyn Place) {
    let store = place.connect().await;
    let revision = register(&*store, "m", 5).await;
    register(&*store, "other", 4).await;
    store.beat_munit(&id("m"), &beat(at(100))).await.unwrap();
    let removed = store.commit_munit(&id("m"), revision, None).await.unwrap();
    assert_eq!(removed, Committed::Done(Revision::default()));
    assert_eq!(store.load_munit(&id("m")).await.unwrap(), LoadedMunit::default());
    assert_eq!(list(&*store, 9).await, [id::<MunitId>("other")]);
    assert_eq!(candidates(&*store, 9).await, "other:4");
    assert_eq!(claim(&*store, at(9_000), at(9_000)).await, ["other"]);
    register(&*store, "m", 5).await;
    assert_eq!(store.load_munit(&id("m")).await.unwrap().beat, None);
}

pub async fn a_munits_revision_never_comes_again(place: &dyn Place) {
    let store = place.connect().await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let first = register(&*store, "m", 1).await;
        let second = put(&*store, first, munit_record("m", 1)).await;
        assert!(seen.insert(first.0) && seen.insert(second.0), "{first:?} {second:?} after {seen:?}");
        done(store.commit_munit(&id("m"), second, None).await.unwrap());
    }
}

pub async fn a_beat_is_kept_beside_the_record(place: &dyn Place) {
    let store = place.connect().await;
    let first = register(&*store, "m", 1).await;
    let beats = [beat(at(100)), Beat { instance: "b".into(), ready: false, ..beat(at(200)) }];
    for beat in &beats {
        assert_eq!(store.beat_munit(&id("m"), beat).await.unwrap(), Some(first));
        assert_eq!(store.load_munit(&id("m")).await.unwrap().beat.as_ref(), Some(beat));
    }
    let second = put(&*store, first, munit_record("m", 2)).await;
    assert_eq!(store.load_munit(&id("m")).await.unwrap().beat.as_ref(), Some(&beats[1]));
    assert_eq!(store.beat_munit(&id("m"), &beats[0]).await.unwrap(), Some(second));
}

pub async fn a_beat_of_a_munit_that_is_not_there_is_not_kept(place: &dyn Place) {
    let store = place.connect().await;
    assert_eq!(store.beat_munit(&id("m"), &beat(at(100))).await.unwrap(), None);
    assert_eq!(store.load_munit(&id("m")).await.unwrap(), LoadedMunit::default());
    assert!(list(&*store, 9).await.is_empty());
    register(&*store, "m", 1).await;
    assert_eq!(store.load_munit(&id("m")).await.unwrap().beat, None);
}

pub async fn every_munit_is_listed_once_over_all_pages(place: &dyn Place) {
    const MUNITS: usize = 250;
    let stores = [place.connect().await, place.connect().await];
    let names: Vec<String> = (0..MUNITS).map(|number| format!("m-{number}")).collect();
    join_all(names.iter().enumerate().map(|(number, name)| register(&*stores[number % 2], name, 1))).await;
    for limit in [1, 7, 100, MUNITS, MUNITS + 1] {
        let mut times = BTreeMap::<MunitId, u32>::new();
        for munit in list(&*stores[0], limit).await {
            *times.entry(munit).or_default() += 1;
        }
        assert_eq!(times.len(), MUNITS, "in pages of {limit}");
        assert!(times.values().all(|times| *times == 1));
    }
}

pub async fn a_cursor_that_names_no_munit_is_the_end(place: &dyn Place) {
    let store = place.connect().await;
    register(&*store, "m", 1).await;
    for cursor in ["", "a b", "{m}"] {
        assert_eq!(store.list_munits(Some(cursor), 10).await.unwrap(), MunitPage::default(), "{cursor:?}");
    }
}

pub async fn the_freest_munits_are_candidates_first(place: &dyn Place) {
    let store = place.connect().await;
    assert_eq!(candidates(&*store, 9).await, "");
    for (munit, stations) in [("a", 3), ("b", 2000), ("c", 0), ("d", 10), ("e", 9)] {
        register(&*store, munit, stations).await;
    }
    assert_eq!(candidates(&*store, 9).await, "b:2000 d:10 e:9 a:3");
    assert_eq!(candidates(&*store, 2).await, "b:2000 d:10");
    assert_eq!(candidates(&*store, 0).await, "");
}

pub async fn candidates_follow_every_commit(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    register(&*other, "other", 1).await;
    let mut revision = register(&*one, "m", 3).await;
    for (assigned, shown) in [(1, "m:2 other:1"), (3, "other:1"), (0, "m:3 other:1")] {
        revision = put(&*one, revision, with_stations("m", 3, assigned)).await;
        assert_eq!(candidates(&*other, 9).await, shown);
    }
    let draining = Wanted::Draining { deadline: None, migrate: false };
    let refuse: [fn(&mut Record, Wanted); 3] = [
        |record, draining| record.wanted = draining,
        |record, _| record.wanted = Wanted::Stopped { by: at(9) },
        |record, _| record.lost = true,
    ];
    for refuse in refuse {
        let mut record = munit_record("m", 3);
        refuse(&mut record, draining.clone());
        revision = put(&*one, revision, record).await;
        assert_eq!(candidates(&*other, 9).await, "other:1");
        revision = put(&*one, revision, munit_record("m", 3)).await;
        assert_eq!(candidates(&*other, 9).await, "m:3 other:1");
    }
}

pub async fn a_munit_whose_beat_says_that_it_takes_none_is_no_candidate(place: &dyn Place) {
    let store = place.connect().await;
    let revision = register(&*store, "m", 3).await;
    let away = Beat { ready: false, ..beat(at(100)) };
    let full = Beat { load: Load { stations: 0, viewers: 100 }, ..beat(at(100)) };
    for none in [away.clone(), full] {
        store.beat_munit(&id("m"), &beat(at(50))).await.unwrap();
        assert_eq!(candidates(&*store, 9).await, "m:3");
        store.beat_munit(&id("m"), &none).await.unwrap();
        assert_eq!(candidates(&*store, 9).await, "");
    }
    let revision = put(&*store, revision, munit_record("m", 4)).await;
    assert_eq!(candidates(&*store, 9).await, "", "a commit is no word of it");
    let replaced = Record { instance: "b".into(), ..munit_record("m", 4) };
    put(&*store, revision, replaced).await;
    assert_eq!(candidates(&*store, 9).await, "m:4", "the beat was of another process");
    store.beat_munit(&id("m"), &away).await.unwrap();
    assert_eq!(candidates(&*store, 9).await, "m:4");
}

pub async fn a_silent_munit_is_claimed_by_one(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    for (munit, last) in [("m", 100), ("lively", 9_000)] {
        register(&*stores[0], munit, 1).await;
        stores[0].beat_munit(&id(munit), &beat(at(last))).await.unwrap();
    }
    let now = at(9_000);
    assert!(claim(&*stores[1], now, at(100)).await.is_empty(), "it was heard then");
    let claims = (0..10_usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { claim(&*store, now, at(101)).await })
    });
    let claimed: Vec<String> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claimed, ["m"]);

    let claim_runs_out = at(9_000 + millis(DUE_CLAIM));
    assert!(claim(&*stores[0], at(9_000 + millis(DUE_CLAIM) - 1), at(101)).await.is_empty());
    assert_eq!(claim(&*stores[0], claim_runs_out, at(101)).await, ["m"], "its claimer did not finish");
}

pub async fn a_munit_that_beats_again_is_not_silent(place: &dyn Place) {
    let store = place.connect().await;
    let revision = register(&*store, "m", 1).await;
    store.beat_munit(&id("m"), &beat(at(100))).await.unwrap();
    assert_eq!(claim(&*store, at(200), at(150)).await, ["m"]);
    put(&*store, revision, with_stations("m", 1, 1)).await;
    assert!(claim(&*store, at(200), at(150)).await.is_empty(), "a commit is no sign of life");
    store.beat_munit(&id("m"), &beat(at(300))).await.unwrap();
    assert!(claim(&*store, at(300), at(300)).await.is_empty());
    assert_eq!(claim(&*store, at(301), at(301)).await, ["m"], "the claim went with the beat");
}

pub async fn a_munit_is_first_heard_when_it_registers(place: &dyn Place) {
    let store = place.connect().await;
    let record = Record { since: at(100), ..munit_record("m", 1) };
    put(&*store, Revision::default(), record).await;
    assert!(claim(&*store, at(200), at(100)).await.is_empty());
    store.beat_munit(&id("m"), &beat(at(50))).await.unwrap();
    assert!(claim(&*store, at(200), at(100)).await.is_empty());
    assert_eq!(claim(&*store, at(200), at(101)).await, ["m"]);
}

pub async fn a_lost_munit_is_not_claimed_until_it_registers_again(place: &dyn Place) {
    let store = place.connect().await;
    let revision = register(&*store, "m", 1).await;
    store.beat_munit(&id("m"), &beat(at(100))).await.unwrap();
    assert_eq!(claim(&*store, at(7_000), at(1_000)).await, ["m"]);
    let lost = Record { lost: true, ..munit_record("m", 1) };
    let revision = put(&*store, revision, lost).await;
    let much_later = at(900_000);
    assert!(claim(&*store, much_later, much_later).await.is_empty());
    store.beat_munit(&id("m"), &beat(at(200))).await.unwrap();
    assert!(claim(&*store, much_later, much_later).await.is_empty());

    let again = Record { since: at(800_000), ..munit_record("m", 1) };
    put(&*store, revision, again).await;
    assert!(claim(&*store, much_later, at(800_000)).await.is_empty());
    assert_eq!(claim(&*store, much_later, at(800_001)).await, ["m"]);
}

pub async fn silent_munits_are_handed_out_in_batches(place: &dyn Place) {
    const MUNITS: usize = 2 * DUE_BATCH_MAX + 5;
    let store = place.connect().await;
    let names: Vec<String> = (0..MUNITS).map(|number| format!("m-{number}")).collect();
    join_all(names.iter().map(|name| register(&*store, name, 1))).await;
    let mut seen = BTreeSet::new();
    for batch in [DUE_BATCH_MAX, DUE_BATCH_MAX, 5, 0] {
        let claimed = claim(&*store, at(10), at(10)).await;
        assert_eq!(claimed.len(), batch);
        seen.extend(claimed);
    }
    assert_eq!(seen.len(), MUNITS, "each once");
}

pub async fn a_signal_reaches_its_munit_alone(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let (mut a, mut b) =
        (one.listen_munit(&id("a")).await.unwrap(), other.listen_munit(&id("b")).await.unwrap());
    let mut node = one.listen(&id("a")).await.unwrap();
    for number in 0..100_u8 {
        assert!(other.signal_munit(&id("a"), Bytes::copy_from_slice(&[number, 0, 255])).await.unwrap());
    }
    assert!(one.signal_munit(&id("b"), Bytes::from_static(b"to b")).await.unwrap());
    for number in 0..100_u8 {
        assert_eq!(hear(&mut a).await, [number, 0, 255][..]);
    }
    assert_eq!(hear(&mut b).await, "to b");
    hears_nothing(&mut a).await;
    hears_nothing(&mut node).await;
}

pub async fn signalling_says_whether_anyone_listens(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let a: MunitId = id("a");
    register(&*one, "a", 1).await;
    assert!(!other.signal_munit(&a, Bytes::from_static(b"x")).await.unwrap());
    let subscription = one.listen_munit(&a).await.unwrap();
    assert!(other.signal_munit(&a, Bytes::from_static(b"x")).await.unwrap());
    drop(subscription);
    eventually("nobody listens any more", async || {
        (!other.signal_munit(&a, Bytes::from_static(b"x")).await.unwrap()).then_some(())
    })
    .await;
}

pub async fn a_reply_reaches_its_asker_alone(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let channels = [one.reply_channel(&id("node.1")), one.reply_channel(&id("node.2"))];
    assert_ne!(channels[0], channels[1]);
    assert!(!other.reply(&channels[0], Bytes::from_static(b"x")).await.unwrap(), "nobody listens");
    let mut first = one.listen_replies(&channels[0]).await.unwrap();
    let mut second = other.listen_replies(&channels[1]).await.unwrap();
    assert!(other.reply(&channels[0], Bytes::from_static(b"to 1")).await.unwrap());
    assert!(other.reply(&channels[1], Bytes::from_static(b"to 2")).await.unwrap());
    assert_eq!((hear(&mut first).await, hear(&mut second).await), ("to 1".into(), "to 2".into()));
    hears_nothing(&mut first).await;
}

pub async fn a_strange_channel_is_not_replied_to(place: &dyn Place) {
    let store = place.connect().await;
    let mut munit = store.listen_munit(&id("m")).await.unwrap();
    for strange in ["mobz:munit:m", "mobz:{node:n}:bus", "mobz:reply:", "mobz:reply:a b", "x", ""] {
        assert!(!store.reply(strange, Bytes::from_static(b"x")).await.unwrap(), "{strange:?}");
    }
    hears_nothing(&mut munit).await;
}
