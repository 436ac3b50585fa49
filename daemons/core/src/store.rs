//! The store port: what any store must do for the rooms, the nodes that serve them, and their events.
//!
//! Two adapters stand behind it (memory and Redis, crate `mobz-store`), and one contract suite holds
//! both to the words below. Every operation is bounded in time by the adapter; none scans all keys;
//! the keys of one room lie together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{MunitId, NodeId, RoomId, UserId};
use crate::munit;
use crate::placement::Candidate;
use crate::room::{Audience, Participant, Record};
use crate::time::Timestamp;

/// The most audience members one [`Rooms::load`] brings when asked for a kind of them.
pub const AUDIENCE_BATCH_MAX: usize = 256;
/// The most signals kept for one away participant (PROTOCOL.md §2).
pub const KEPT_MAX: usize = 256;
/// The most bytes of signals kept for one away participant; past it, as past [`KEPT_MAX`].
pub const KEPT_BYTES_MAX: usize = 2 << 20;
/// The most rooms one [`Rooms::claim_due`] hands out.
pub const DUE_BATCH_MAX: usize = 128;
/// How long a claimed room is left alone by other claimers before it is due again.
pub const DUE_CLAIM: Duration = Duration::from_secs(5);
/// How many events are kept for replay (PROTOCOL.md §7, `Last-Event-ID`).
pub const EVENTS_MAX: usize = 10_000;
/// How long what nobody refreshes is kept: a room whose nodes have all gone without a word.
pub const ROOM_TTL: Duration = Duration::from_secs(6 * 3600);

/// A store that broke down or could not be reached. Refusals by rule are never this.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// No answer in bounded time, or no connection.
    #[error("cannot reach the store to {doing}: {cause}")]
    Unreachable {
        /// What was being done, as an infinitive: `load room demo`.
        doing: String,
        /// What the driver said.
        cause: String,
    },
    /// An answer that is not what was written.
    #[error("cannot read the store's answer to {doing}: {cause}")]
    Corrupt {
        /// What was being done.
        doing: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Names one state of one room in the store: changes with every commit of the record, and is never
/// the same again, not even for a later room of the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Which audience members a load should bring beside the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those of these users that are there.
    Users(Vec<UserId>),
    /// Those due at this moment or earlier, the earliest first, at most [`AUDIENCE_BATCH_MAX`].
    Due(Timestamp),
    /// Those whose address is on this node and who are not away, at most [`AUDIENCE_BATCH_MAX`].
    At(NodeId),
    /// The longest-present, at most this many (for inspection).
    First(usize),
}

/// A room as read, all of one moment.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What a commit of changes to it must name.
    pub revision: Revision,
    /// The record; `None` when there is no such room.
    pub record: Option<Arc<Record>>,
    /// The audience as a whole.
    pub audience: Audience,
    /// The audience members asked for.
    pub members: Vec<Participant>,
    /// The nodes that hold audience members which are not away.
    pub audience_nodes: Vec<NodeId>,
}

/// What becomes of a room's record in a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordChange {
    /// Stays as it is; the revision too.
    #[default]
    Same,
    /// Becomes this, under a new revision.
    Put(Arc<Record>),
    /// Goes, with audience, kept signals and everything else of the room; its stream and when it is
    /// due stay, as the stream has an end of its own.
    Remove,
}

/// What becomes of one audience member in a commit.
///
/// Both name the member's resume secret as it was loaded: where it is another by now (or the member is
/// there when none was, or gone when one was) the commit is a [`Committed::Conflict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Is there from now on.
    Put {
        /// The resume secret it had; `None` when it was not there.
        was: Option<String>,
        /// What it is.
        now: Box<Participant>,
    },
    /// Is gone, with what was kept for it.
    Remove {
        /// The resume secret it had.
        was: String,
        /// Who.
        user: UserId,
    },
}

/// What becomes of the signals kept for a participant in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptChange {
    /// Append one; past [`KEPT_MAX`] or [`KEPT_BYTES_MAX`] none is appended any more and the participant has missed some.
    Append(UserId, Arc<str>),
    /// Forget them all, and that some were missed.
    Clear(UserId),
}

/// All that one input changes in one room; committed as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The record.
    pub record: RecordChange,
    /// Audience members.
    pub members: Vec<MemberChange>,
    /// Kept signals, in order.
    pub kept: Vec<KeptChange>,
    /// When the room must be looked at again, whoever does it; the earlier of this and what stands
    /// counts, and `None` leaves what stands. Only [`Rooms::settle_due`] puts it off.
    /// Written before the record, so that a crash in between costs an idle look and not a deadline.
    pub due: Option<Timestamp>,
}

impl Change {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It holds, and this is the room's revision now.
    Done(Revision),
    /// The room is not at the revision named; nothing was changed. Load and decide again.
    Conflict,
}

/// The signals kept for one participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// As JSON text, in order.
    pub signals: Vec<Arc<str>>,
    /// Whether there were more than could be kept.
    pub missed: bool,
}

/// One page of room ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPage {
    /// The rooms; may be fewer than asked for, even none, while there is a cursor.
    pub rooms: Vec<RoomId>,
    /// Opaque; hand it back for the next page. `None` is the end.
    pub cursor: Option<String>,
}

/// Rooms: load, compare and set, list, deadlines.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// Reads a room in one round trip. A missing room is a [`Loaded`] without record.
    async fn load(&self, room: &RoomId, asked: Asked) -> Result<Loaded, StoreError>;

    /// Makes `change` hold if the room is still at `revision`, in one round trip. Members and kept
    /// signals for a room that is not there are a [`Committed::Conflict`].
    async fn commit(
        &self,
        room: &RoomId,
        revision: Revision,
        change: Change,
    ) -> Result<Committed, StoreError>;

    /// Takes what is kept for a participant out of the store, at once and in order.
    async fn take_kept(&self, room: &RoomId, user: &UserId) -> Result<Kept, StoreError>;

    /// Rooms that are there, each once, in no particular order, at most `limit` a page. A cursor that
    /// this store did not give is the end.
    async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<RoomPage, StoreError>;

    /// Rooms due at `now` or earlier, at most [`DUE_BATCH_MAX`]. A room handed out is handed to
    /// nobody else for [`DUE_CLAIM`]; it stays due until [`Rooms::settle_due`].
    async fn claim_due(&self, now: Timestamp) -> Result<Vec<RoomId>, StoreError>;

    /// Says that a claimed room was looked at, and when it is due next, if it is. A deadline that
    /// was committed since the claim and is earlier counts instead.
    async fn settle_due(&self, room: &RoomId, next: Option<Timestamp>) -> Result<(), StoreError>;

    /// Renews [`ROOM_TTL`] of these rooms; returns those that are not there (the store came back empty).
    async fn refresh(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, StoreError>;
}

/// What one subscription hears, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// A message.
    Message(Bytes),
    /// The subscription was interrupted and stands again, or its listener was too slow: messages may
    /// have been lost.
    Resubscribed,
}

/// A live subscription; dropping it unsubscribes.
#[async_trait]
pub trait Subscription: Send {
    /// The next event; waits. `None` when the store is gone for good (shutting down).
    async fn next(&mut self) -> Option<BusEvent>;
}

/// Nodes: who is alive, which rooms they serve, and messages to one of them alone.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Says that `node` lives until `until`.
    async fn beat(&self, node: &NodeId, until: Timestamp) -> Result<(), StoreError>;

    /// Nodes whose time ran out before `now` and that nobody claimed in the last [`DUE_CLAIM`];
    /// returns them claimed. They stay until [`Nodes::forget`].
    async fn claim_lost(&self, now: Timestamp) -> Result<Vec<NodeId>, StoreError>;

    /// Removes a node with its list of rooms, after a clean end or once its rooms were seen to.
    async fn forget(&self, node: &NodeId) -> Result<(), StoreError>;

    /// Notes that `node` serves `room` (before its first participant there is committed).
    async fn attach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError>;

    /// Notes that `node` no longer serves `room`.
    async fn detach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError>;

    /// At most `limit` of the rooms `node` serves.
    async fn rooms_of(&self, node: &NodeId, limit: usize) -> Result<Vec<RoomId>, StoreError>;

    /// Hands `message` to `node` alone; returns whether anyone listened for it.
    async fn send(&self, node: &NodeId, message: Bytes) -> Result<bool, StoreError>;

    /// Listens for what is sent to `node`; stands again by itself after the store was away.
    async fn listen(&self, node: &NodeId) -> Result<Box<dyn Subscription>, StoreError>;
}

/// A munit as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedMunit {
    /// What a commit must name.
    pub revision: Revision,
    /// The record; `None` when there is no such munit.
    pub record: Option<Arc<munit::Record>>,
    /// Its last heartbeat.
    pub beat: Option<munit::Beat>,
}

/// One page of munits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MunitPage {
    /// The munits, in no particular order; may be fewer than asked for while there is a cursor.
    pub munits: Vec<MunitId>,
    /// Opaque; hand it back for the next page. `None` is the end.
    pub cursor: Option<String>,
}

/// Munits: load, compare and set, heartbeats, who takes stations, and signals to one of them.
///
/// What belongs to one munit lies together. The indexes (which munits there are, how much each can still
/// take, when each last beat) lie elsewhere and follow the records: they may lag, and every heartbeat
/// puts right what they say of its munit.
#[async_trait]
pub trait Munits: Send + Sync {
    /// Reads a munit in one round trip. A missing one is a [`LoadedMunit`] without record.
    async fn load_munit(&self, munit: &MunitId) -> Result<LoadedMunit, StoreError>;

    /// Puts `record` if the munit is still at `revision`, or removes it with all that belongs to it
    /// where that is `None`; the indexes follow. What nobody beats for [`ROOM_TTL`] goes.
    async fn commit_munit(
        &self,
        munit: &MunitId,
        revision: Revision,
        record: Option<Arc<munit::Record>>,
    ) -> Result<Committed, StoreError>;

    /// Notes a heartbeat, and puts the indexes right. Returns the record's revision by now; `None` when
    /// the store has none (it came back empty): the munit writes its record back.
    async fn beat_munit(&self, munit: &MunitId, beat: &munit::Beat) -> Result<Option<Revision>, StoreError>;

    /// Munits that are there, each once, at most `limit` a page. A cursor that this store did not give is
    /// the end.
    async fn list_munits(&self, cursor: Option<&str>, limit: usize) -> Result<MunitPage, StoreError>;

    /// The munits that take the most stations by [`munit::Record::free_by`], the freest first, at most
    /// `limit`; none that takes none. Costs the logarithm of their number.
    async fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError>;

    /// Munits last heard ([`munit::Record::heard_at`]) before `before`, that are not
    /// [`munit::Record::lost`] or removed, and that nobody claimed in the last [`DUE_CLAIM`]; returns
    /// them claimed, at most [`DUE_BATCH_MAX`].
    async fn claim_silent_munits(
        &self,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<MunitId>, StoreError>;

    /// Hands a [`crate::signal::MunitMessage`] to a munit; returns whether anyone listened for it.
    async fn signal_munit(&self, munit: &MunitId, message: Bytes) -> Result<bool, StoreError>;

    /// Listens for what is sent to `munit`, on the channel that PROTOCOL.md §4 names; stands again by itself.
    async fn listen_munit(&self, munit: &MunitId) -> Result<Box<dyn Subscription>, StoreError>;

    /// The channel on which `asker`, any unique name, hears acknowledgements.
    fn reply_channel(&self, asker: &NodeId) -> String;

    /// Listens on a [`Munits::reply_channel`].
    async fn listen_replies(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError>;

    /// Sends a [`crate::signal::MunitAck`] to a reply channel; one that is not of this project's reply channels is
    /// not written to. Returns whether anyone listened.
    async fn reply(&self, channel: &str, message: Bytes) -> Result<bool, StoreError>;
}

/// One state change, for `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order of all events, rising by one; given by the store.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened: `room.created`, `participant.joined`, …
    pub name: String,
    /// Its details, a JSON object as text.
    pub data: Arc<str>,
}

/// The log of state changes, bounded to [`EVENTS_MAX`].
#[async_trait]
pub trait Events: Send + Sync {
    /// Appends events in order; their `seq` is given by the store and the one they carry ignored.
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError>;

    /// Events after `seq`, oldest first, at most `limit`; when there are none, waits up to `wait`
    /// for the first. `None` starts at the end: only what is appended from now on.
    /// The returned number is where to go on from. A number not given yet is of a log that is gone:
    /// all that is kept comes after it.
    async fn after(
        &self,
        seq: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<Event>, u64), StoreError>;
}

/// Everything a process of this project asks of its store.
#[async_trait]
pub trait Store: Rooms + Nodes + Munits + Events + crate::hls::store::Streams + std::fmt::Debug {
    /// Whether the store answers now, for `/readyz`.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What it is, for people: `memory`, `redis://host:port`, without credentials.
    fn describe(&self) -> String;
}
