//! Streams: state by compare and set, media as bytes, notices.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use mobz_core::hls::store::{MediaName, StreamChange};
use mobz_core::id::RoomId;
use mobz_core::store::{Change, RecordChange, Revision, Store};

use super::bus::{hear, hears_nothing};
use super::{Place, create, done, eventually, id};

const LONG: Duration = Duration::from_secs(60);

fn demo() -> RoomId {
    id("demo")
}

fn state(text: &'static str) -> StreamChange {
    StreamChange { state: Some(Bytes::from_static(text.as_bytes())), ..StreamChange::default() }
}

async fn read(store: &dyn Store) -> (Revision, Option<Vec<u8>>) {
    let (revision, state) = store.load_stream(&demo()).await.unwrap();
    (revision, state.map(|state| state.to_vec()))
}

pub async fn a_stream_is_committed_by_compare_and_set(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    assert_eq!(read(&*one).await, (Revision::default(), None));
    assert_eq!(one.commit_stream(&demo(), Revision(9), state("x")).await.unwrap(), None);
    let first = one.commit_stream(&demo(), Revision::default(), state("a\0\u{ff}")).await.unwrap().unwrap();
    assert_eq!(read(&*other).await, (first, Some("a\0\u{ff}".as_bytes().to_vec())));
    assert_eq!(other.commit_stream(&demo(), Revision::default(), state("b")).await.unwrap(), None);
    let second = other.commit_stream(&demo(), first, state("b")).await.unwrap().unwrap();
    assert_ne!(second, first);
    assert_eq!(one.commit_stream(&demo(), first, state("c")).await.unwrap(), None);
    assert_eq!(read(&*one).await, (second, Some(b"b".to_vec())));
    let same = one.commit_stream(&demo(), second, StreamChange::default()).await.unwrap();
    assert_eq!(same, Some(second), "without a state the revision stays");
    assert_eq!(read(&*one).await, (second, Some(b"b".to_vec())));
}

pub async fn one_of_many_concurrent_stream_commits_wins(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    let mut revision = Revision::default();
    for _ in 0..5 {
        let commits = (0..40_usize).map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move { store.commit_stream(&demo(), revision, state("x")).await.unwrap() })
        });
        let won: Vec<Revision> = join_all(commits).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        revision = won[0];
    }
}

pub async fn a_refused_stream_commit_stores_no_media_and_tells_nobody(place: &dyn Place) {
    let store = place.connect().await;
    let part = MediaName::Part(id("main"), 1, 0);
    let put = StreamChange { put: vec![(part.clone(), Bytes::from_static(b"kept"), LONG)], ..state("a") };
    let revision = store.commit_stream(&demo(), Revision::default(), put).await.unwrap().unwrap();
    let mut notices = store.listen_stream(&demo()).await.unwrap();
    let refused = StreamChange {
        put: vec![(MediaName::Init(id("main"), 1), Bytes::from_static(b"x"), LONG)],
        remove: vec![part.clone()],
        notice: Some(Bytes::from_static(b"x")),
        ..state("b")
    };
    assert_eq!(store.commit_stream(&demo(), Revision(revision.0 + 1), refused).await.unwrap(), None);
    assert_eq!(store.media(&demo(), &MediaName::Init(id("main"), 1)).await.unwrap(), None);
    assert_eq!(store.media(&demo(), &part).await.unwrap().unwrap(), "kept");
    hears_nothing(&mut notices).await;
}

pub async fn media_are_read_as_they_were_stored(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let every_byte: Bytes = (0..=255_u8).cycle().take(1 << 20).collect();
    let track = || id("main-1_a");
    let names = [
        MediaName::Init(track(), 1),
        MediaName::Segment(track(), 1),
        MediaName::Part(track(), 1, 1),
        MediaName::Part(track(), 11, 1),
        MediaName::Part(track(), 1, 11),
        MediaName::Part(id("main-1"), 1, 1),
    ];
    let media = |number: usize| every_byte.slice(number * 1000..);
    let put = names.iter().enumerate().map(|(number, name)| (name.clone(), media(number), LONG)).collect();
    let change = StreamChange { put, ..state("a") };
    one.commit_stream(&demo(), Revision::default(), change).await.unwrap().unwrap();
    for (number, name) in names.iter().enumerate() {
        assert!(other.media(&demo(), name).await.unwrap().unwrap() == media(number), "{name:?}");
    }
    assert_eq!(other.media(&id("other"), &names[0]).await.unwrap(), None, "another room's are others");
    assert_eq!(other.media(&demo(), &MediaName::Part(track(), 2, 0)).await.unwrap(), None);
}

pub async fn media_go_when_removed_and_in_time(place: &dyn Place) {
    let store = place.connect().await;
    let part = |number| MediaName::Part(id("main"), 1, number);
    let short = Duration::from_millis(400);
    let put = [(part(0), LONG), (part(1), short), (part(2), LONG)];
    let put = put.map(|(name, keep)| (name, Bytes::from_static(b"x"), keep)).to_vec();
    let revision = store
        .commit_stream(&demo(), Revision::default(), StreamChange { put, ..state("a") })
        .await
        .unwrap()
        .unwrap();
    // Removed, and stored again in the same commit.
    let change = StreamChange {
        put: vec![(part(2), Bytes::from_static(b"y"), LONG)],
        remove: vec![part(0), part(2), part(9)],
        ..state("b")
    };
    store.commit_stream(&demo(), revision, change).await.unwrap().unwrap();
    assert_eq!(store.media(&demo(), &part(0)).await.unwrap(), None);
    assert_eq!(store.media(&demo(), &part(2)).await.unwrap().unwrap(), "y");
    eventually("the short-lived part goes", async || {
        store.media(&demo(), &part(1)).await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(store.media(&demo(), &part(2)).await.unwrap().is_some());
}

pub async fn notices_reach_listeners_of_their_room_in_order(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let mut here = one.listen_stream(&demo()).await.unwrap();
    let mut there = other.listen_stream(&demo()).await.unwrap();
    let mut elsewhere = other.listen_stream(&id("other")).await.unwrap();
    let mut revision = Revision::default();
    for number in 0..100_u8 {
        let notice = Some(Bytes::copy_from_slice(&[number, 0, 255]));
        let change = StreamChange { notice, ..state("x") };
        revision = one.commit_stream(&demo(), revision, change).await.unwrap().unwrap();
    }
    for number in 0..100_u8 {
        assert_eq!(hear(&mut here).await, [number, 0, 255][..]);
        assert_eq!(hear(&mut there).await, [number, 0, 255][..]);
    }
    let itself = StreamChange { notice: Some(Bytes::from_static(b"y\0")), ..state("y\0") };
    one.commit_stream(&demo(), revision, itself).await.unwrap().unwrap();
    assert_eq!(hear(&mut there).await, b"y\0"[..], "the state itself is told as any other notice");
    hears_nothing(&mut elsewhere).await;
}

pub async fn a_stream_outlives_its_room(place: &dyn Place) {
    let store = place.connect().await;
    let room = create(&*store, "demo").await;
    let stream = store.commit_stream(&demo(), Revision::default(), state("a")).await.unwrap().unwrap();
    let remove = Change { record: RecordChange::Remove, ..Change::default() };
    done(store.commit(&demo(), room, remove).await.unwrap());
    assert_eq!(read(&*store).await, (stream, Some(b"a".to_vec())));
}
