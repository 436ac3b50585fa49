//! Data signals into streams: load, ingest, commit, and only then acknowledge.
//!
//! The state of each room's stream is kept on the node its publisher sends to, so that a part costs one
//! round trip to the store; compare-and-set makes that safe when the publisher moves to another node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use mobz_core::hls::data::{DataAck, DataSignal};
use mobz_core::hls::stream::{Refusal, Settings, StateError, Stream};
use mobz_core::id::{RoomId, UserId};
use mobz_core::store::{Revision, Store, StoreError};
use mobz_core::time::Timestamp;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often one data signal or tick is tried against a stream that others change at the same time.
pub const COMMIT_ATTEMPTS_MAX: usize = 8;
/// How often streams are looked at for what silence has made due.
const SILENCE_INTERVAL: Duration = Duration::from_millis(250);
/// How long the state of a stream is kept here after its last data signal.
const KEPT_IDLE: Duration = Duration::from_secs(120);

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why a data signal was not stored.
#[derive(Debug, Error)]
pub enum IngestError {
    /// By rule; the stream is as it was.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store broke down; whether the signal was stored is not known, and sending it again is safe
    /// when it is numbered.
    #[error("cannot store the media: {0}")]
    Store(#[from] StoreError),
    /// Others changed the stream [`COMMIT_ATTEMPTS_MAX`] times in between; send it again.
    #[error("the stream of room {0} is changed by others too fast; send it again")]
    Contended(RoomId),
}

/// The streams whose publishers send to this node.
pub struct Streams {
    store: Arc<dyn Store>,
    now: Now,
    settings: Settings,
    rooms: DashMap<RoomId, Arc<Room>>,
}

struct Room {
    /// Held while a signal of the room is on its way to the store, which keeps them in order.
    kept: Mutex<Option<Kept>>,
    /// When silence is due, in milliseconds since the Unix epoch; `u64::MAX` is never.
    due: AtomicU64,
    /// When a data signal last came.
    used: AtomicU64,
}

#[derive(Clone)]
struct Kept {
    revision: Revision,
    stream: Arc<Stream>,
}

impl Streams {
    /// Streams in `store`; `settings` count for those that begin here.
    pub fn new(store: Arc<dyn Store>, now: Now, settings: Settings) -> Self {
        Self { store, now, settings, rooms: DashMap::new() }
    }

    /// Stores one whole data signal of `publisher`, who is known to be the room's publisher.
    /// When this returns, the store has it and every node has been told.
    ///
    /// # Errors
    ///
    /// [`IngestError`]; refused signals leave the stream unharmed.
    pub async fn ingest(
        &self,
        room: &RoomId,
        publisher: &UserId,
        signal: &DataSignal,
    ) -> Result<DataAck, IngestError> {
        let entry = self.entry(room);
        let mut kept = entry.kept.lock().await;
        let mut is_fresh = false;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let from = if let Some(from) = &*kept {
                from.clone()
            } else {
                is_fresh = true;
                kept.insert(self.load(room, None).await?).clone()
            };
            let now = (self.now)();
            entry.used.store(now.as_millis(), Ordering::Relaxed);
            let ingested = match from.stream.ingest(now, &self.settings, publisher, signal) {
                Ok(ingested) => ingested,
                Err(refusal) if is_fresh => return Err(refusal.into()),
                // What is kept here may be older than what the publisher did through another node.
                Err(_) => {
                    is_fresh = true;
                    *kept = Some(self.load(room, Some(from)).await?);
                    continue;
                }
            };
            let Some(next) = ingested.next else { return Ok(ingested.ack) };
            if let Some(revision) = self.store.commit_stream(room, from.revision, ingested.change).await? {
                *kept = Some(Kept { revision, stream: Arc::new(next) });
                entry.note(kept.as_ref());
                return Ok(ingested.ack);
            }
            is_fresh = true;
            *kept = Some(self.load(room, Some(from)).await?);
        }
        Err(IngestError::Contended(room.clone()))
    }

    /// Lists the gaps of silent publishers, and ends their streams, until `shutdown`.
    pub async fn watch_silence(&self, shutdown: CancellationToken) {
        let mut interval = tokio::time::interval(SILENCE_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let now = (self.now)();
            self.forget_idle(now);
            let due: Vec<RoomId> = self
                .rooms
                .iter()
                .filter(|room| room.due.load(Ordering::Relaxed) <= now.as_millis())
                .map(|room| room.key().clone())
                .collect();
            for room in due {
                if let Err(error) = self.tick(&room, now).await {
                    tracing::warn!(%room, %error, "cannot list the gap of a silent publisher");
                }
            }
        }
    }

    async fn tick(&self, room: &RoomId, now: Timestamp) -> Result<(), StoreError> {
        let entry = self.entry(room);
        let mut kept = entry.kept.lock().await;
        if let Some(from) = kept.clone()
            && let Some(ticked) = from.stream.tick(now)
        {
            // After a conflict another node was first, or has the publisher now: what it wrote is loaded
            // when a signal needs it.
            let committed = self.store.commit_stream(room, from.revision, ticked.change).await?;
            *kept = committed.map(|revision| Kept { revision, stream: Arc::new(ticked.next) });
        }
        entry.note(kept.as_ref());
        Ok(())
    }

    /// Reads the stream. A store that has lost what is kept here gets it back, its media marked as lost.
    async fn load(&self, room: &RoomId, kept: Option<Kept>) -> Result<Kept, StoreError> {
        load(&*self.store, room).await.map(|(revision, stream)| match (stream, kept) {
            (Some(stream), _) => Kept { revision, stream: Arc::new(stream) },
            (None, Some(kept)) => Kept { revision, stream: Arc::new(kept.stream.without_media()) },
            (None, None) => Kept { revision, stream: Arc::new(Stream::default()) },
        })
    }

    fn entry(&self, room: &RoomId) -> Arc<Room> {
        if let Some(entry) = self.rooms.get(room) {
            return Arc::clone(&entry);
        }
        let fresh = || {
            Arc::new(Room {
                kept: Mutex::new(None),
                due: AtomicU64::new(u64::MAX),
                used: AtomicU64::new((self.now)().as_millis()),
            })
        };
        Arc::clone(&self.rooms.entry(room.clone()).or_insert_with(fresh))
    }

    fn forget_idle(&self, now: Timestamp) {
        self.rooms.retain(|_, room| {
            let used = Timestamp::from_millis(room.used.load(Ordering::Relaxed));
            Arc::strong_count(room) > 1 || now.since(used) < KEPT_IDLE
        });
    }
}

impl Room {
    fn note(&self, kept: Option<&Kept>) {
        let due = kept.and_then(|kept| kept.stream.due()).map_or(u64::MAX, Timestamp::as_millis);
        self.due.store(due, Ordering::Relaxed);
    }
}

/// Reads the stream of a room.
pub(crate) async fn load(store: &dyn Store, room: &RoomId) -> Result<(Revision, Option<Stream>), StoreError> {
    let (revision, state) = store.load_stream(room).await?;
    let stream = state.map(|state| Stream::decode(&state)).transpose();
    let stream = stream.map_err(|error: StateError| StoreError::Corrupt {
        doing: format!("load the stream of room {room}"),
        cause: error.to_string(),
    })?;
    Ok((revision, stream))
}
