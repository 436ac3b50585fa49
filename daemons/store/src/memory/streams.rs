//! Streams in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::hls::store::{COUNTERS_TTL, MediaName, StreamChange, Streams};
use mobz_core::id::RoomId;
use mobz_core::store::{Revision, StoreError, Subscription};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{MemoryStore, SHARDS};
use crate::shard::shard_of;
use crate::topics::Topics;

#[derive(Debug)]
pub(super) struct Shelf {
    shards: Box<[Mutex<HashMap<RoomId, Stream>>]>,
    /// The last revision given to any stream.
    revision: AtomicU64,
    notices: Arc<Topics<RoomId>>,
}

#[derive(Debug)]
struct Stream {
    revision: Revision,
    state: Option<Arc<[u8]>>,
    /// When the state goes; media may go later.
    expires: Instant,
    media: BTreeMap<MediaName, (Bytes, Instant)>,
    expiring: BTreeSet<(Instant, MediaName)>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            revision: AtomicU64::new(0),
            notices: Topics::new(),
        }
    }
}

impl Shelf {
    fn shard(&self, room: &RoomId) -> &Mutex<HashMap<RoomId, Stream>> {
        &self.shards[shard_of(room, SHARDS)]
    }

    pub(super) fn close(&self) {
        self.notices.close();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }

    pub(super) fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            shard.lock().retain(|_, stream| {
                stream.expire(now);
                stream.state.is_some() || !stream.media.is_empty()
            });
        }
    }
}

#[async_trait]
impl Streams for MemoryStore {
    async fn load_stream(&self, room: &RoomId) -> Result<(Revision, Option<Arc<[u8]>>), StoreError> {
        let mut shard = self.streams.shard(room).lock();
        let Some(stream) = shard.get_mut(room) else { return Ok((Revision::default(), None)) };
        stream.expire(Instant::now());
        Ok((stream.revision, stream.state.clone()))
    }

    async fn commit_stream(
        &self,
        room: &RoomId,
        revision: Revision,
        change: StreamChange,
    ) -> Result<Option<Revision>, StoreError> {
        let now = Instant::now();
        let mut shard = self.streams.shard(room).lock();
        let stream = shard.entry(room.clone()).or_insert_with(|| Stream::new(now));
        stream.expire(now);
        if stream.revision != revision {
            return Ok(None);
        }
        if let Some(state) = change.state {
            stream.revision = Revision(self.streams.revision.fetch_add(1, Ordering::Relaxed) + 1);
            stream.state = Some(Arc::from(&*state));
        }
        stream.expires = now + COUNTERS_TTL;
        for name in &change.remove {
            stream.remove(name);
        }
        for (name, bytes, keep) in change.put {
            stream.put(name, bytes, now + keep);
        }
        // Under the lock, so that subscribers hear of commits in their order.
        if let Some(notice) = change.notice {
            self.streams.notices.publish(room, &notice);
        }
        Ok(Some(stream.revision))
    }

    async fn media(&self, room: &RoomId, name: &MediaName) -> Result<Option<Bytes>, StoreError> {
        let shard = self.streams.shard(room).lock();
        let found = shard.get(room).and_then(|stream| stream.media.get(name));
        Ok(found.filter(|(_, expires)| *expires > Instant::now()).map(|(bytes, _)| bytes.clone()))
    }

    async fn listen_stream(&self, room: &RoomId) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(self.streams.notices.listen(room.clone())))
    }
}

impl Stream {
    fn new(now: Instant) -> Self {
        Self {
            revision: Revision::default(),
            state: None,
            expires: now + COUNTERS_TTL,
            media: BTreeMap::new(),
            expiring: BTreeSet::new(),
        }
    }

    fn put(&mut self, name: MediaName, bytes: Bytes, expires: Instant) {
        self.remove(&name);
        self.expiring.insert((expires, name.clone()));
        self.media.insert(name, (bytes, expires));
    }

    fn remove(&mut self, name: &MediaName) {
        if let Some((_, expires)) = self.media.remove(name) {
            self.expiring.remove(&(expires, name.clone()));
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.expiring.first().is_some_and(|(expires, _)| *expires <= now) {
            if let Some((_, name)) = self.expiring.pop_first() {
                self.media.remove(&name);
            }
        }
        if self.expires <= now {
            self.state = None;
            self.revision = Revision::default();
        }
    }
}
