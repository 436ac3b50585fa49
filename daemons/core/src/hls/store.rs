//! The store port for p2m streams: the stream's state by compare-and-set, its media as bytes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::id::{RoomId, TrackId};
use crate::store::{Revision, StoreError, Subscription};

/// How long a stream's counters outlive its last commit (PROTOCOL.md §5).
pub const COUNTERS_TTL: Duration = Duration::from_secs(24 * 3600);

/// The name of one stored piece of media within its room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaName {
    /// `init-<n>.mp4` of a track.
    Init(TrackId, u64),
    /// `<msn>.<part>.m4s` of a track.
    Part(TrackId, u64, u32),
    /// `<msn>.m4s` of a track, for publishers that send whole segments.
    Segment(TrackId, u64),
}

/// All that one data signal, or one tick of the clock, changes in one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamChange {
    /// The stream's state, encoded by core; `None` leaves it as it is.
    pub state: Option<Bytes>,
    /// Media to store, each with the time it stays fetchable.
    pub put: Vec<(MediaName, Bytes, Duration)>,
    /// Media that is no longer wanted; goes before what is put is stored.
    pub remove: Vec<MediaName>,
    /// What subscribers of the room's stream are told, if anything.
    pub notice: Option<Bytes>,
}

/// Streams of p2m rooms.
#[async_trait]
pub trait Streams: Send + Sync {
    /// The stream's state and the revision a commit must name; `None` when there is none.
    async fn load_stream(&self, room: &RoomId) -> Result<(Revision, Option<Arc<[u8]>>), StoreError>;

    /// Makes `change` hold if the stream is still at `revision`, in one round trip; tells subscribers.
    /// `Ok(None)` is a conflict: nothing was changed.
    async fn commit_stream(
        &self,
        room: &RoomId,
        revision: Revision,
        change: StreamChange,
    ) -> Result<Option<Revision>, StoreError>;

    /// Stored media; `None` when it was never stored or is gone.
    async fn media(&self, room: &RoomId, name: &MediaName) -> Result<Option<Bytes>, StoreError>;

    /// Listens for notices of the room's stream.
    async fn listen_stream(&self, room: &RoomId) -> Result<Box<dyn Subscription>, StoreError>;
}
