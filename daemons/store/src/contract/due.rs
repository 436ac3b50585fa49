//! When rooms must be looked at again, and by whom.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mobz_core::id::RoomId;
use mobz_core::store::{Change, DUE_BATCH_MAX, DUE_CLAIM, RecordChange, Revision, Store};
use mobz_core::time::{Timestamp, millis};

use super::{Place, at, create, done, id, put};

async fn make_due(store: &dyn Store, room: &str, revision: Revision, due: Timestamp) {
    let change = Change { due: Some(due), ..Change::default() };
    done(store.commit(&id(room), revision, change).await.unwrap());
}

async fn claim(store: &dyn Store, now: Timestamp) -> Vec<RoomId> {
    store.claim_due(now).await.unwrap()
}

fn rooms(names: &[&str]) -> Vec<RoomId> {
    names.iter().map(id).collect()
}

pub async fn a_due_room_is_claimed_by_one(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    for number in 0..20 {
        let change = Change { due: Some(at(100)), ..put(&format!("room-{number}")) };
        let room = id(format!("room-{number}"));
        done(stores[0].commit(&room, Revision::default(), change).await.unwrap());
    }
    assert!(claim(&*stores[0], at(99)).await.is_empty());
    let claims = (0..10_usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { claim(&*store, at(100)).await })
    });
    let mut claimed: Vec<RoomId> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    // A batch may leave some for the next call.
    while claimed.len() < 20 {
        let more = claim(&*stores[0], at(100)).await;
        assert!(!more.is_empty(), "{} of 20 rooms", claimed.len());
        claimed.extend(more);
    }
    assert_eq!(claimed.len(), 20);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), 20);
    assert!(claim(&*stores[1], at(100)).await.is_empty());
}

pub async fn a_claimed_room_is_due_again_unless_settled(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    make_due(&*store, "demo", revision, at(100)).await;
    assert_eq!(claim(&*store, at(150)).await, rooms(&["demo"]));
    assert!(claim(&*store, at(150 + millis(DUE_CLAIM) - 1)).await.is_empty());
    let again = at(150 + millis(DUE_CLAIM));
    assert_eq!(claim(&*store, again).await, rooms(&["demo"]), "its claimer has said nothing");

    store.settle_due(&id("demo"), Some(at(20_000))).await.unwrap();
    assert!(claim(&*store, at(19_999)).await.is_empty());
    assert_eq!(claim(&*store, at(20_000)).await, rooms(&["demo"]));
    store.settle_due(&id("demo"), None).await.unwrap();
    assert!(claim(&*store, at(u64::MAX / 4)).await.is_empty());
}

pub async fn the_earlier_deadline_counts(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    make_due(&*store, "demo", revision, at(200)).await;
    make_due(&*store, "demo", revision, at(300)).await;
    assert_eq!(claim(&*store, at(200)).await, rooms(&["demo"]), "a later one does not put it off");
    store.settle_due(&id("demo"), Some(at(900))).await.unwrap();
    make_due(&*store, "demo", revision, at(800)).await;
    done(store.commit(&id("demo"), revision, put("demo")).await.unwrap());
    assert_eq!(claim(&*store, at(800)).await, rooms(&["demo"]), "no word of it leaves what stands");
}

pub async fn a_deadline_committed_during_a_claim_is_not_lost(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    make_due(&*store, "demo", revision, at(100)).await;
    assert_eq!(claim(&*store, at(100)).await, rooms(&["demo"]));
    make_due(&*store, "demo", revision, at(700)).await;
    make_due(&*store, "demo", revision, at(500)).await;
    make_due(&*store, "demo", revision, at(600)).await;
    assert!(claim(&*store, at(700)).await.is_empty(), "it is claimed still");
    store.settle_due(&id("demo"), None).await.unwrap();
    assert!(claim(&*store, at(499)).await.is_empty());
    assert_eq!(claim(&*store, at(500)).await, rooms(&["demo"]));

    make_due(&*store, "demo", revision, at(9_000)).await;
    store.settle_due(&id("demo"), Some(at(8_000))).await.unwrap();
    assert!(claim(&*store, at(7_999)).await.is_empty());
    assert_eq!(claim(&*store, at(8_000)).await, rooms(&["demo"]), "the earlier of both counts");
}

pub async fn due_rooms_are_handed_out_in_batches(place: &dyn Place) {
    const ROOMS: usize = 3 * DUE_BATCH_MAX;
    let store = place.connect().await;
    let commits = (0..ROOMS).map(|number| {
        let change = Change { due: Some(at(number as u64)), ..put(&format!("room-{number}")) };
        let store = store.clone();
        async move { store.commit(&id(format!("room-{number}")), Revision::default(), change).await.unwrap() }
    });
    for committed in join_all(commits).await {
        done(committed);
    }
    let mut seen = BTreeSet::new();
    loop {
        let batch = claim(&*store, at(ROOMS as u64)).await;
        assert!(batch.len() <= DUE_BATCH_MAX);
        if batch.is_empty() {
            break;
        }
        for room in batch {
            assert!(seen.insert(room.clone()), "{room} twice");
            store.settle_due(&room, None).await.unwrap();
        }
    }
    assert_eq!(seen.len(), ROOMS);
}

pub async fn a_deadline_outlives_its_room(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let remove = Change { record: RecordChange::Remove, due: Some(at(100)), ..Change::default() };
    done(store.commit(&id("demo"), revision, remove).await.unwrap());
    assert_eq!(claim(&*store, at(100)).await, rooms(&["demo"]), "its stream may need to end");
    store.settle_due(&id("demo"), None).await.unwrap();
    assert!(claim(&*store, at(u64::MAX / 4)).await.is_empty());
}
