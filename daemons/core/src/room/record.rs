//! What is kept of a room between two inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Address, RoomId, StationId, UserId};
use crate::time::Timestamp;

/// A room's mode, fixed by its first Join (PROTOCOL.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Two peers, no media server.
    P2p,
    /// One publisher live to many, over HLS.
    P2m,
    /// A group call over Janus.
    M2m,
}

/// The most publishers of an m2m room (PROTOCOL.md §1).
pub const M2M_PUBLISHERS_MAX: usize = 9;
/// The most viewers of an m2m room (PROTOCOL.md §1).
pub const M2M_VIEWERS_MAX: usize = 200;

impl Mode {
    /// The most publishers a room of this mode has.
    pub const fn publishers_max(self) -> usize {
        match self {
            Self::P2p => 2,
            Self::P2m => 1,
            Self::M2m => M2M_PUBLISHERS_MAX,
        }
    }

    /// The most viewers a room of this mode has; `None` is no limit.
    pub const fn viewers_max(self) -> Option<usize> {
        match self {
            Self::P2p => Some(0),
            Self::P2m => None,
            Self::M2m => Some(M2M_VIEWERS_MAX),
        }
    }

    /// The mode's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P2p => "p2p",
            Self::P2m => "p2m",
            Self::M2m => "m2m",
        }
    }
}

/// `publisher` or `viewer` (PROTOCOL.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantType {
    /// Sends media.
    Publisher,
    /// Only receives.
    Viewer,
}

/// What a token allows in a room (PROTOCOL.md §2, claim `grants`).
#[allow(clippy::struct_excessive_bools, reason = "the claim is five booleans on the wire")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    /// May publish.
    pub publish: bool,
    /// May watch.
    pub watch: bool,
    /// Takes the room over, and may do all an owner may.
    pub owner: bool,
    /// May kick.
    pub kick: bool,
    /// May use the control API.
    pub admin: bool,
}

impl Grants {
    /// No grant at all; what a `grants` claim leaves out is not granted.
    pub const NONE: Self = Self { publish: false, watch: false, owner: false, kick: false, admin: false };
    /// What a token without a `grants` claim allows, and everyone on a stack without keys.
    pub const USUAL: Self = Self { publish: true, watch: true, ..Self::NONE };
}

impl Default for Grants {
    fn default() -> Self {
        Self::NONE
    }
}

/// One user in one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who.
    pub user: UserId,
    /// The name shown to others, at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Publisher or viewer.
    pub participant_type: ParticipantType,
    /// What its token allows.
    pub grants: Grants,
    /// Whether it says that it sends video.
    pub video: bool,
    /// Whether it says that it sends audio.
    pub audio: bool,
    /// Where its connection is, or was when it is away.
    pub address: Address,
    /// Since when its connection is lost; `None` while it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Timestamp>,
    /// When an away participant is lost for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_until: Option<Timestamp>,
    /// By when an accepted publisher must have made its Offer (PROTOCOL.md §3, `PublishAccept`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_until: Option<Timestamp>,
    /// When it joined.
    pub joined_at: Timestamp,
    /// Its place in the order of joining, which says who is longest-present: milliseconds since the
    /// epoch, made unique among the listed; ties in the audience go by user id.
    pub order: u64,
    /// The secret of its last `JoinAck`.
    pub resume: String,
    /// Its station in an m2m room, once placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<StationId>,
    /// The station it moves away from, which runs until the new one has taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// A station whose publisher has another by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Which.
    pub station: StationId,
    /// When it goes, however far the move has come.
    pub until: Timestamp,
}

impl Participant {
    /// When something happens to this participant by itself, if anything does.
    pub fn due(&self) -> Option<Timestamp> {
        let moved = self.previous.as_ref().map(|previous| previous.until);
        [self.away_until, self.offer_until, moved].into_iter().flatten().min()
    }

    /// Its station, and the one it moves away from.
    pub fn stations(&self) -> impl Iterator<Item = &StationId> {
        self.station.iter().chain(self.previous.as_ref().map(|previous| &previous.station))
    }

    /// Whether its connection is lost.
    pub fn is_away(&self) -> bool {
        self.away_since.is_some()
    }
}

/// A room as it is stored: one value, committed by compare-and-set.
///
/// Lists everybody but the viewers of a p2m room: those are its [`Audience`], kept one by one beside
/// the record, so that a hundred thousand of them do not contend for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which room.
    pub room: RoomId,
    /// Its mode.
    pub mode: Mode,
    /// Who owns it; one of the participants or of the audience.
    pub owner: UserId,
    /// Whether the owner holds the grant `owner`, and so is displaced by nobody.
    pub owner_by_grant: bool,
    /// The room version of the protocol: rises by one per change told to clients.
    pub version: u64,
    /// Whether it was given back to a store that had lost it, and has had no new version since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// When its first participant joined.
    pub created_at: Timestamp,
    /// The least the next listed participant's [`Participant::order`] may be.
    pub next_order: u64,
    /// The listed participants, shared with earlier records: a change of one copies that one.
    pub participants: BTreeMap<UserId, Arc<Participant>>,
}

impl Record {
    /// Whose station it is, also while its publisher moves away from it.
    pub fn publisher_on(&self, station: &StationId) -> Option<&Participant> {
        let mut everyone = self.participants.values().map(Arc::as_ref);
        everyone.find(|there| there.stations().any(|its| its == station))
    }
}

/// The audience of a p2m room as a whole: its viewers, counted and not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// How many there are, away ones included.
    pub count: u64,
    /// The first [`HEIRS_KNOWN`] in the order of succession: those with the grant `owner` by
    /// [`Participant::order`], then the others by it; ties by user id.
    pub heirs: Vec<Heir>,
    /// When the first of them is due ([`Participant::due`]).
    pub due: Option<Timestamp>,
}

/// How many heirs a load brings: the one who would follow, and who would if that one left.
pub const HEIRS_KNOWN: usize = 2;

/// One of the first in the audience's order of succession.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heir {
    /// Who.
    pub user: UserId,
    /// Whether it holds the grant `owner`.
    pub by_grant: bool,
    /// Its [`Participant::order`].
    pub order: u64,
}
