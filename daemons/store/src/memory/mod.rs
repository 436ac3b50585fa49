//! The store within one process: for `mobzctl up`, for tests, and wherever one node is all there is.
//!
//! Nothing in it is shared by all rooms: rooms and streams lie in shards with a lock each, held for the
//! time of one lookup and never across a wait.

mod audience;
mod due;
mod events;
mod munits;
mod nodes;
mod rooms;
mod streams;

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use mobz_core::store::{Store, StoreError};
use tokio::time::Instant;

/// How often what has expired is dropped. Reads never show it, however late that is.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Into how many parts rooms and streams are split, each with a lock of its own.
const SHARDS: usize = 64;

/// A [`Store`] that lives and ends with its process.
#[derive(Debug)]
pub struct MemoryStore {
    rooms: rooms::Shelf,
    streams: streams::Shelf,
    nodes: nodes::Register,
    munits: munits::Fleet,
    events: events::Log,
}

impl MemoryStore {
    /// An empty store. A task of its own drops what has expired, and ends with the store.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new() -> Arc<Self> {
        let store = Arc::new(Self {
            rooms: rooms::Shelf::default(),
            streams: streams::Shelf::default(),
            nodes: nodes::Register::default(),
            munits: munits::Fleet::default(),
            events: events::Log::default(),
        });
        tokio::spawn(sweep_while_used(Arc::downgrade(&store)));
        store
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.nodes.close();
        self.munits.close();
        self.streams.close();
    }
}

async fn sweep_while_used(store: Weak<MemoryStore>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(store) = store.upgrade() else { return };
        let now = Instant::now();
        store.rooms.sweep(now);
        store.streams.sweep(now);
        store.munits.sweep(now);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mobz_core::hls::store::{COUNTERS_TTL, MediaName, StreamChange, Streams};
    use mobz_core::id::RoomId;
    use mobz_core::munit::{Beat, Load};
    use mobz_core::store::{
        Asked, Change, Committed, Munits, Nodes, ROOM_TTL, RecordChange, Revision, Rooms, Subscription,
    };

    use mobz_core::time::Timestamp;

    use super::*;
    use crate::contract::{sample, sample_munit};

    const NEARLY_ROOM_TTL: Duration = Duration::from_secs(ROOM_TTL.as_secs() - 1);

    fn demo() -> RoomId {
        "demo".parse().unwrap()
    }

    fn put() -> Change {
        Change { record: RecordChange::Put(Arc::new(sample("demo"))), ..Change::default() }
    }

    async fn exists(store: &MemoryStore) -> bool {
        let there = store.load(&demo(), Asked::First(0)).await.unwrap().record.is_some();
        let listed = store.list(None, 10).await.unwrap().rooms == [demo()];
        assert_eq!(there, listed);
        there
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_nobody_refreshes_goes_and_one_refreshed_stays() {
        let store = MemoryStore::new();
        store.commit(&demo(), Revision::default(), put()).await.unwrap();
        tokio::time::advance(NEARLY_ROOM_TTL).await;
        assert!(store.refresh(&[demo()]).await.unwrap().is_empty());
        tokio::time::advance(NEARLY_ROOM_TTL).await;
        assert!(exists(&store).await);

        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!exists(&store).await);
        assert_eq!(store.refresh(&[demo()]).await.unwrap(), [demo()]);
        let afresh = store.commit(&demo(), Revision::default(), put()).await.unwrap();
        assert!(matches!(afresh, Committed::Done(_)));
        assert!(exists(&store).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_munit_that_nobody_beats_goes() {
        let store = MemoryStore::new();
        let munit = "m".parse().unwrap();
        let record = Some(Arc::new(sample_munit("m")));
        store.commit_munit(&munit, Revision::default(), record).await.unwrap();
        tokio::time::advance(NEARLY_ROOM_TTL).await;
        let beat =
            Beat { instance: "a".into(), at: Timestamp::from_millis(1), ready: true, load: Load::default() };
        assert!(store.beat_munit(&munit, &beat).await.unwrap().is_some());
        tokio::time::advance(NEARLY_ROOM_TTL).await;
        assert_eq!(store.candidates(1).await.unwrap().len(), 1);

        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.load_munit(&munit).await.unwrap().record.is_none());
        assert!(store.candidates(1).await.unwrap().is_empty());
        assert!(store.list_munits(None, 1).await.unwrap().munits.is_empty());
        let now = Timestamp::from_millis(u64::MAX);
        assert!(store.claim_silent_munits(now, now).await.unwrap().is_empty());
        assert!(store.beat_munit(&munit, &beat).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_is_dropped_without_anyone_asking() {
        let store = MemoryStore::new();
        store.commit(&demo(), Revision::default(), put()).await.unwrap();
        let name = MediaName::Segment("main".parse().unwrap(), 1);
        let media = Bytes::from(vec![0; 1000]);
        let watched = media.clone();
        let change = StreamChange {
            state: Some(Bytes::from_static(b"x")),
            put: vec![(name, media, Duration::from_secs(9))],
            ..StreamChange::default()
        };
        store.commit_stream(&demo(), Revision::default(), change).await.unwrap().unwrap();
        assert!(!watched.is_unique());

        tokio::time::sleep(Duration::from_secs(9) + SWEEP_EVERY).await;
        assert!(watched.is_unique(), "the bytes are given back");
        assert!(store.load_stream(&demo()).await.unwrap().1.is_some(), "the counters are kept");
        tokio::time::sleep(COUNTERS_TTL).await;
        assert!(store.load_stream(&demo()).await.unwrap().1.is_none());
        assert!(store.streams.is_empty() && store.rooms.is_empty());
    }

    #[tokio::test]
    async fn listening_ends_with_the_store() {
        let store = MemoryStore::new();
        let mut subscription: Box<dyn Subscription> = store.listen(&"node".parse().unwrap()).await.unwrap();
        drop(store);
        assert_eq!(subscription.next().await, None);
    }
}
