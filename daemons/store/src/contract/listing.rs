//! Which rooms there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use mobz_core::id::RoomId;
use mobz_core::store::{Asked, Change, RecordChange, RoomPage, Store};

use super::{Place, create, done, id, record};

async fn list(store: &dyn Store, limit: usize) -> Vec<RoomId> {
    let mut rooms = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.list(cursor.as_deref(), limit).await.unwrap();
        assert!(page.rooms.len() <= limit, "{} rooms on a page of {limit}", page.rooms.len());
        rooms.extend(page.rooms);
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return rooms,
        }
    }
}

pub async fn every_room_is_listed_once_over_all_pages(place: &dyn Place) {
    const ROOMS: usize = 400;
    let stores = [place.connect().await, place.connect().await];
    let names: Vec<String> = (0..ROOMS).map(|number| format!("room-{number}")).collect();
    join_all(names.iter().enumerate().map(|(number, name)| create(&*stores[number % 2], name))).await;
    for limit in [1, 7, 100, ROOMS] {
        let mut times = BTreeMap::<RoomId, u32>::new();
        for room in list(&*stores[0], limit).await {
            *times.entry(room).or_default() += 1;
        }
        assert_eq!(times.len(), ROOMS, "in pages of {limit}");
        assert!(times.values().all(|times| *times == 1));
    }
}

pub async fn a_room_is_listed_from_its_first_commit_until_it_is_removed(place: &dyn Place) {
    let store = place.connect().await;
    assert!(list(&*store, 10).await.is_empty());
    for _ in 0..3 {
        let revision = create(&*store, "demo").await;
        create(&*store, "other").await;
        let mut rooms = list(&*store, 10).await;
        rooms.sort();
        assert_eq!(rooms, [id::<RoomId>("demo"), id("other")]);
        let remove = || Change { record: RecordChange::Remove, ..Change::default() };
        done(store.commit(&id("demo"), revision, remove()).await.unwrap());
        assert_eq!(list(&*store, 10).await, [id::<RoomId>("other")]);
        let other = store.load(&id("other"), Asked::First(0)).await.unwrap().revision;
        done(store.commit(&id("other"), other, remove()).await.unwrap());
    }
    assert!(list(&*store, 10).await.is_empty());
}

pub async fn a_room_that_comes_and_goes_concurrently_is_listed_in_the_end(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    let flicker = |store: Arc<dyn Store>| async move {
        for _ in 0..50 {
            let loaded = store.load(&id("demo"), Asked::First(0)).await.unwrap();
            let record = match loaded.record {
                Some(_) => RecordChange::Remove,
                None => RecordChange::Put(Arc::new(record("demo"))),
            };
            let change = Change { record, ..Change::default() };
            store.commit(&id("demo"), loaded.revision, change).await.unwrap();
        }
    };
    for _ in 0..5 {
        let tasks = (0..4_usize).map(|number| tokio::spawn(flicker(stores[number % 2].clone())));
        for task in join_all(tasks).await {
            task.unwrap();
        }
        if stores[0].load(&id("demo"), Asked::First(0)).await.unwrap().record.is_none() {
            create(&*stores[0], "demo").await;
        }
        assert_eq!(list(&*stores[1], 10).await, [id::<RoomId>("demo")]);
    }
}

pub async fn a_strange_cursor_is_the_end(place: &dyn Place) {
    let store = place.connect().await;
    create(&*store, "demo").await;
    for cursor in ["", "x", "99999.demo", "0.a b", "-1."] {
        assert_eq!(store.list(Some(cursor), 10).await.unwrap(), RoomPage::default(), "{cursor:?}");
    }
}

pub async fn refresh_tells_which_rooms_are_missing(place: &dyn Place) {
    let store = place.connect().await;
    create(&*store, "here").await;
    let missing = store.refresh(&[id("gone"), id("here"), id("lost")]).await.unwrap();
    assert_eq!(missing, [id::<RoomId>("gone"), id("lost")]);
    assert!(store.refresh(&[]).await.unwrap().is_empty());
    assert_eq!(list(&*store, 10).await, [id::<RoomId>("here")]);
}
