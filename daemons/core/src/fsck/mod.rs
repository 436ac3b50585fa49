//! Where records disagree: rooms, munits, and what munits really hold, beside each other.
//!
//! [`check`] judges what was read and nothing else, so that a hundred thousand rooms are checked a few at a
//! time: a station whose room was not read is not judged by it. Reads are not of one moment, and what is
//! being done looks undone for a while: a finding counts once it stands at a second look.

mod munit;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::munit::{of_munit, of_stations};
pub use self::room::{nodes_of, of_room};
use crate::id::{MunitId, NodeId, RoomId, StationId, UserId};
use crate::munit::BEAT_MISSING_MAX;
use crate::signal::Holding;
use crate::store::{Loaded, LoadedMunit};
use crate::time::Timestamp;

/// How long a station may be on a munit's record before its room names it; past that it is an orphan.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(30);
/// How long a station may be on a munit's record before the munit holds it.
pub const UNHELD_AFTER: Duration = Duration::from_secs(10);
/// How long a munit may be silent before nodes must have marked it lost: twice what makes it so.
pub const SILENT_AFTER: Duration = BEAT_MISSING_MAX.saturating_mul(2);
/// How long something may be due in a room before somebody must have done it.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(30);

/// What was read. Only this is judged.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Rooms; one without record is not there.
    pub rooms: BTreeMap<RoomId, Loaded>,
    /// Munits; one without record is not there.
    pub munits: BTreeMap<MunitId, LoadedMunit>,
    /// What munits say that they hold; of one that was not asked, nothing is known.
    pub held: BTreeMap<MunitId, BTreeMap<StationId, Holding>>,
    /// Nodes that do not listen.
    pub gone: BTreeSet<NodeId>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those that are concerned")]
pub enum Finding {
    /// A station has been on a munit's record for more than [`ORPHAN_AFTER`], and no participant of its
    /// room has it.
    OrphanStation { munit: MunitId, station: StationId, room: RoomId },
    /// A station is on the record of another munit than its id names.
    ForeignStation { munit: MunitId, station: StationId },
    /// A munit has a station on record for somebody else than the one who has it in its room.
    DisputedStation { munit: MunitId, station: StationId, room: RoomId, user: UserId },
    /// A participant has a station that its munit does not have on record.
    MissingStation { munit: MunitId, station: StationId, room: RoomId, user: UserId },
    /// A participant has a station on a munit that does not exist.
    NowhereStation { station: StationId, room: RoomId, user: UserId },
    /// A participant has a station that another one of its room has too.
    SharedStation { station: StationId, room: RoomId, user: UserId },
    /// A munit has a station on record that it does not hold.
    UnheldStation { munit: MunitId, station: StationId },
    /// A munit holds a station that it does not have on record.
    UnrecordedStation { munit: MunitId, station: StationId },
    /// A munit has been silent for more than [`SILENT_AFTER`] and is not marked lost.
    SilentMunit { munit: MunitId },
    /// A munit is marked lost and still has stations on record.
    LostMunit { munit: MunitId },
    /// A munit has more stations on record than it takes.
    OverfullMunit { munit: MunitId },
    /// A munit that beats did not say what it holds.
    MuteMunit { munit: MunitId },
    /// A munit's record cannot be read.
    UnreadableMunit { munit: MunitId },
    /// A room has more publishers or viewers than its mode allows.
    OverfullRoom { room: RoomId },
    /// A room's owner is not in it.
    OwnerlessRoom { room: RoomId },
    /// A room is there, and nobody is in it.
    EmptyRoom { room: RoomId },
    /// Something has been due in a room for more than [`OVERDUE_AFTER`].
    OverdueRoom { room: RoomId },
    /// Participants are on a node that is gone, and are not away.
    StrandedRoom { room: RoomId, node: NodeId },
    /// A room's record cannot be read.
    UnreadableRoom { room: RoomId },
}

/// What mends a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields are those that are concerned")]
pub enum Repair {
    /// The station goes from the munit's record; the munit is told.
    Unassign { munit: MunitId, station: StationId },
    /// The room is told that the station is lost; its publisher may Offer again.
    Lose { room: RoomId, station: StationId },
    /// The munit's rooms are told that their stations are lost, and it is marked so.
    GiveUp(MunitId),
    /// The munit looks at its record and at its Janus, and makes them equal.
    Wake(MunitId),
    /// The room is looked at, and what is due in it done.
    Look(RoomId),
    /// The room is told that the node is gone: its participants there are away.
    Away { room: RoomId, node: NodeId },
}

impl Finding {
    /// What mends it; `None` where only people can.
    pub fn repair(&self) -> Option<Repair> {
        match self.clone() {
            Self::OrphanStation { munit, station, .. } | Self::ForeignStation { munit, station } => {
                Some(Repair::Unassign { munit, station })
            }
            Self::DisputedStation { station, room, .. }
            | Self::MissingStation { station, room, .. }
            | Self::NowhereStation { station, room, .. }
            | Self::SharedStation { station, room, .. } => Some(Repair::Lose { room, station }),
            Self::UnheldStation { munit, .. } | Self::UnrecordedStation { munit, .. } => {
                Some(Repair::Wake(munit))
            }
            Self::SilentMunit { munit } | Self::LostMunit { munit } => Some(Repair::GiveUp(munit)),
            Self::OwnerlessRoom { room } | Self::EmptyRoom { room } | Self::OverdueRoom { room } => {
                Some(Repair::Look(room))
            }
            Self::StrandedRoom { room, node } => Some(Repair::Away { room, node }),
            Self::OverfullMunit { .. }
            | Self::MuteMunit { .. }
            | Self::UnreadableMunit { .. }
            | Self::OverfullRoom { .. }
            | Self::UnreadableRoom { .. } => None,
        }
    }

    /// What people can do about it where nothing is mended.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::OverfullMunit { .. } => Some("drain it with --migrate, or raise its capacity"),
            Self::MuteMunit { .. } => Some("see its log; start its regulator or its Janus again"),
            Self::UnreadableMunit { .. } => {
                Some("remove its record; its regulator, started again, writes another")
            }
            Self::OverfullRoom { .. } => Some("kick somebody, or close the room"),
            Self::UnreadableRoom { .. } => Some("remove its record; who is in it joins again"),
            Self::OrphanStation { .. }
            | Self::ForeignStation { .. }
            | Self::DisputedStation { .. }
            | Self::MissingStation { .. }
            | Self::NowhereStation { .. }
            | Self::SharedStation { .. }
            | Self::UnheldStation { .. }
            | Self::UnrecordedStation { .. }
            | Self::SilentMunit { .. }
            | Self::LostMunit { .. }
            | Self::OwnerlessRoom { .. }
            | Self::EmptyRoom { .. }
            | Self::OverdueRoom { .. }
            | Self::StrandedRoom { .. } => None,
        }
    }
}

/// For people, a sentence without its full stop.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrphanStation { munit, station, room } => {
                write!(f, "munit {munit} has station {station} on record, and nobody in room {room} has it")
            }
            Self::ForeignStation { munit, station } => {
                write!(f, "munit {munit} has station {station} on record, which is not one of its own")
            }
            Self::DisputedStation { munit, station, room, user } => write!(
                f,
                "{user} in room {room} has station {station}, which munit {munit} has on record for somebody else"
            ),
            Self::MissingStation { munit, station, room, user } => write!(
                f,
                "{user} in room {room} has station {station}, which munit {munit} does not have on record"
            ),
            Self::NowhereStation { station, room, user } => {
                write!(f, "{user} in room {room} has station {station}, whose munit does not exist")
            }
            Self::SharedStation { station, room, user } => {
                write!(f, "{user} in room {room} has station {station}, which somebody else has too")
            }
            Self::UnheldStation { munit, station } => {
                write!(f, "munit {munit} has station {station} on record and does not hold it")
            }
            Self::UnrecordedStation { munit, station } => {
                write!(f, "munit {munit} holds station {station}, which it does not have on record")
            }
            Self::SilentMunit { munit } => write!(f, "munit {munit} is silent, and is not marked lost"),
            Self::LostMunit { munit } => {
                write!(f, "munit {munit} is marked lost, and has stations on record")
            }
            Self::OverfullMunit { munit } => {
                write!(f, "munit {munit} has more stations on record than it takes")
            }
            Self::MuteMunit { munit } => write!(f, "munit {munit} does not say what it holds"),
            Self::UnreadableMunit { munit } => write!(f, "the record of munit {munit} cannot be read"),
            Self::OverfullRoom { room } => {
                write!(f, "room {room} has more publishers or viewers than its mode allows")
            }
            Self::OwnerlessRoom { room } => write!(f, "the owner of room {room} is not in it"),
            Self::EmptyRoom { room } => write!(f, "room {room} is there, and nobody is in it"),
            Self::OverdueRoom { room } => {
                write!(f, "something is long due in room {room}, and nobody has done it")
            }
            Self::StrandedRoom { room, node } => {
                write!(f, "room {room} has participants on node {node}, which is gone")
            }
            Self::UnreadableRoom { room } => write!(f, "the record of room {room} cannot be read"),
        }
    }
}

/// What is wrong with what was read at `now`, each thing once, in order.
pub fn check(now: Timestamp, seen: &Seen) -> Vec<Finding> {
    let munits = seen.munits.iter().flat_map(|(id, munit)| of_munit(now, id, munit, seen.held.get(id)));
    let stations = seen.munits.iter().flat_map(|(id, munit)| of_stations(now, id, munit, &seen.rooms));
    let rooms = seen.rooms.iter().flat_map(|(id, room)| of_room(now, id, room, &seen.munits, &seen.gone));
    let found: BTreeSet<Finding> = munits.chain(stations).chain(rooms).collect();
    found.into_iter().collect()
}
