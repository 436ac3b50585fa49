//! What can happen to a room.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{Grants, Mode, Record};
use crate::id::{Address, MunitId, NodeId, StationId, UserId};
use crate::signal::RoomSignal;
use crate::store::Asked;
use crate::time::Timestamp;

/// One thing that happens to a room.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection asks to join.
    Join(Box<Joining>),
    /// A participant sent a signal.
    Signal {
        /// Who.
        user: UserId,
        /// Over which connection.
        address: Address,
        /// What.
        signal: RoomSignal,
        /// The signal's `id`.
        re: Option<String>,
    },
    /// A connection ended without a word.
    Lost {
        /// Whose.
        user: UserId,
        /// Which.
        address: Address,
        /// Relayed signals that were queued for it and not sent, in order, as JSON text.
        unsent: Vec<Arc<str>>,
    },
    /// A connection lives whose participant may have been given up for away.
    Alive {
        /// Whose.
        user: UserId,
        /// Which.
        address: Address,
    },
    /// A connection's participant sent nothing for the heartbeat timeout.
    TimedOut {
        /// Whose.
        user: UserId,
        /// Which.
        address: Address,
    },
    /// A relayed signal reached no connection.
    Undelivered(Relayed),
    /// Time passed, and something may be due.
    Due,
    /// Who a node still holds of the room that the store has lost, where others have begun it anew.
    GiveBack(Arc<Record>),
    /// A node went: the connections it held are lost.
    NodeLost(NodeId),
    /// The operator closes the room.
    Close,
    /// The operator removes a participant.
    Remove {
        /// Whom.
        user: UserId,
        /// What it is told.
        reason: Option<String>,
    },
    /// A munit has the station on record that was asked for.
    Placed {
        /// What was asked.
        placing: Box<Placing>,
        /// Which it is.
        station: StationId,
    },
    /// A publisher shall have another station, make before break.
    Move {
        /// The station it has.
        station: StationId,
        /// Where the next one shall lie; `None` is any other munit.
        to: Option<MunitId>,
    },
    /// A moved publisher's old station has done its work: it goes.
    Retire(StationId),
    /// A station is gone, with its munit or by an operator's will.
    StationLost {
        /// Which.
        station: StationId,
        /// Whether its publisher may Offer again.
        retry: bool,
    },
}

/// A station that is to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// Whose.
    pub user: UserId,
    /// Which participation of that user it is: its [`super::Participant::order`].
    pub order: u64,
    /// Where its connection is.
    pub address: Address,
    /// What it is for.
    pub purpose: Purpose,
    /// The munits that have stations of the room's other publishers.
    pub room_has: Vec<MunitId>,
    /// Munits that must not be chosen.
    pub apart_from: Vec<MunitId>,
    /// The only munit that may be chosen.
    pub on: Option<MunitId>,
}

/// What a station is placed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A publisher's first Offer.
    Publish {
        /// The offer.
        sdp: String,
        /// The signal's `id`.
        re: Option<String>,
    },
    /// A publisher that moves away from this station.
    Move {
        /// Which.
        from: StationId,
    },
}

/// A Join, its token checked and its user known.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The connection that asks.
    pub address: Address,
    /// Who; of a resuming one what its secret says.
    pub user: UserId,
    /// The name to show.
    pub name: Option<String>,
    /// What its token allows.
    pub grants: Grants,
    /// The mode it expects; `None` only when it resumes.
    pub mode: Option<Mode>,
    /// Whether it asks to publish.
    pub publish: Option<bool>,
    /// The secret of an earlier `JoinAck`.
    pub resume: Option<String>,
    /// A fresh secret, from [`super::resume_secret`].
    pub secret: String,
    /// The signal's `id`.
    pub re: Option<String>,
}

/// A signal on its way from one participant to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// To whom.
    pub user: UserId,
    /// To which connection it was sent.
    pub to: Address,
    /// The signal as JSON text.
    pub text: Arc<str>,
    /// Who is told once it is handed over.
    pub ack: Option<Ack>,
    /// How often it was sent on already.
    pub hops: u8,
}

/// A connection that waits for an `Ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which.
    pub to: Address,
    /// The `id` of its signal.
    pub re: String,
}

/// How often a relayed signal follows a participant that keeps moving before it is given up.
pub const HOPS_MAX: u8 = 4;

impl Input {
    /// Which audience members must be loaded to decide it.
    pub fn asked(&self, now: Timestamp) -> Asked {
        match self {
            Self::Join(joining) => Asked::Users(vec![joining.user.clone()]),
            Self::Signal { user, signal, .. } => match signal {
                RoomSignal::Kick(kick) => Asked::Users(vec![user.clone(), kick.user.clone()]),
                RoomSignal::Leave
                | RoomSignal::UpdateVideo(_)
                | RoomSignal::Sync
                | RoomSignal::Offer(_)
                | RoomSignal::Answer(_)
                | RoomSignal::IceCandidate(_)
                | RoomSignal::Watch(_)
                | RoomSignal::Unwatch(_)
                | RoomSignal::SimulcastUpdate(_)
                | RoomSignal::PublishRequest
                | RoomSignal::PublishAccept(_)
                | RoomSignal::PublishReject(_) => Asked::Users(vec![user.clone()]),
            },
            Self::Lost { user, .. }
            | Self::Alive { user, .. }
            | Self::TimedOut { user, .. }
            | Self::Remove { user, .. } => Asked::Users(vec![user.clone()]),
            Self::Undelivered(relayed) => Asked::Users(vec![relayed.user.clone()]),
            Self::Due => Asked::Due(now),
            Self::NodeLost(node) => Asked::At(node.clone()),
            // Stations are of listed participants only.
            Self::Close
            | Self::GiveBack(_)
            | Self::Placed { .. }
            | Self::Move { .. }
            | Self::Retire(_)
            | Self::StationLost { .. } => Asked::Users(Vec::new()),
        }
    }
}
