//! Names of keys and channels. What belongs to one room, one index shard, one node or one
//! munit lies together (Redis Cluster specification, hash tags); no id can hold a brace.

use mobz_core::hls::store::MediaName;
use mobz_core::id::{MunitId, NodeId, RoomId};

use crate::shard::shard_of;

/// Into how many parts the index of rooms is split, so that a cluster spreads it. Changing it loses the
/// index of a running environment until its rooms are refreshed.
pub(super) const INDEX_SHARDS: usize = 16;

pub(super) const NODES: &str = "mobz:{nodes}:until";
pub(super) const NODES_CLAIMED: &str = "mobz:{nodes}:claimed";
pub(super) const EVENTS: &str = "mobz:{events}:log";
pub(super) const EVENTS_SEQ: &str = "mobz:{events}:seq";
/// The channel that tells of appended events.
pub(super) const EVENTS_APPENDED: &str = "mobz:{events}:appended";

pub(super) fn room(room: &RoomId) -> String {
    format!("mobz:{{{room}}}:room")
}

pub(super) fn kept(room: &RoomId) -> String {
    format!("mobz:{{{room}}}:kept")
}

/// All fixed keys of a room but its stream's, in the order in which scripts name them.
pub(super) fn whole_room(id: &RoomId) -> Vec<String> {
    let beside = ["revision", "members", "order", "granted", "due", "nodes", "at"];
    let mut keys = vec![room(id)];
    keys.extend(beside.iter().map(|what| format!("mobz:{{{id}}}:{what}")));
    keys.push(kept(id));
    keys
}

pub(super) fn stream(room: &RoomId) -> String {
    format!("mobz:{{{room}}}:stream")
}

pub(super) fn media(room: &RoomId, name: &MediaName) -> String {
    match name {
        MediaName::Init(track, number) => format!("mobz:{{{room}}}:media:{track}:init-{number}"),
        MediaName::Part(track, msn, part) => format!("mobz:{{{room}}}:media:{track}:{msn}.{part}"),
        MediaName::Segment(track, msn) => format!("mobz:{{{room}}}:media:{track}:{msn}"),
    }
}

/// The channel of a room's stream notices.
pub(super) fn notices(room: &RoomId) -> String {
    format!("mobz:{{{room}}}:notices")
}

pub(super) fn node_rooms(node: &NodeId) -> String {
    format!("mobz:{{node:{node}}}:rooms")
}

/// The channel of messages to a node.
pub(super) fn node_bus(node: &NodeId) -> String {
    format!("mobz:{{node:{node}}}:bus")
}

/// A hash: revision, name of the last commit, record, last heartbeat, and what of the record the scripts need.
pub(super) fn munit(munit: &MunitId) -> String {
    format!("mobz:{{munit:{munit}}}:munit")
}

/// The last revision, which outlives the munit.
pub(super) fn munit_revision(munit: &MunitId) -> String {
    format!("mobz:{{munit:{munit}}}:revision")
}

/// The channel of signals to a munit (PROTOCOL.md §4).
pub(super) fn munit_bus(munit: &MunitId) -> String {
    format!("mobz:munit:{munit}")
}

/// The keys of the indexes of munits.
pub(super) struct MunitIndex;

impl MunitIndex {
    /// A sorted set of munit ids, all of score 0.
    pub(super) const IDS: &str = "mobz:{munits}:ids";
    /// A sorted set of the munits that take stations, by how many.
    pub(super) const FREE: &str = "mobz:{munits}:free";
    /// A sorted set of the munits that are not lost, by when they were last heard.
    pub(super) const HEARD: &str = "mobz:{munits}:heard";
    /// A hash: when somebody claimed a silent munit.
    pub(super) const CLAIMED: &str = "mobz:{munits}:claimed";
    /// A hash: of which revision of each munit the indexes tell.
    pub(super) const REVISIONS: &str = "mobz:{munits}:revisions";
    /// All of them, in the order in which scripts name them.
    pub(super) const ALL: [&str; 5] = [Self::IDS, Self::FREE, Self::HEARD, Self::CLAIMED, Self::REVISIONS];
}

/// The keys of one shard of the index.
pub(super) struct Index {
    /// A sorted set of room ids, all of score 0.
    pub(super) rooms: String,
    /// A hash: when each entry of `rooms` was made.
    pub(super) since: String,
    /// A sorted set: when each room is due, or due again if its claimer does not settle.
    pub(super) due: String,
    /// A hash of claimed rooms: the deadline set meanwhile, or nothing.
    pub(super) claimed: String,
}

impl Index {
    pub(super) fn of(room: &RoomId) -> Self {
        Self::shard(shard_of(room, INDEX_SHARDS))
    }

    pub(super) fn shard(number: usize) -> Self {
        let key = |what: &str| format!("mobz:{{index:{number}}}:{what}");
        Self { rooms: key("rooms"), since: key("since"), due: key("due"), claimed: key("claimed") }
    }

    pub(super) fn all(self) -> [String; 4] {
        [self.rooms, self.since, self.due, self.claimed]
    }
}
