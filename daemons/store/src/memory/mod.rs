//! The store within one process: for `mobzctl up`, for tests, and wherever one node is all there is.
//!
//! Nothing in it is shared by all rooms: rooms and streams lie in shards with a lock each, held for the
//! time of one lookup and never across a wait.

mod audience;
mod due;
mod events;
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
            events: events::Log::default(),
        });
        tokio::spawn(sweep_while_used(Arc::downgrade(&store)));
        store
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.nodes.close();
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
