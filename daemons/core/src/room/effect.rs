//! What follows from an input: a change to commit, then effects to perform, in order.

use std::sync::Arc;

use serde_json::Value;

use super::input::{Placing, Relayed};
use super::record::Participant;
use crate::id::{Address, MunitId, NodeId, StationId, UserId};
use crate::signal::{Asker, JoinAck, MunitSignal, Refusal, ServerSignal};
use crate::store::Change;

/// All that follows from one input.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Committed first; when that fails nothing else happens.
    pub change: Change,
    /// Performed once the change holds, in order.
    pub list: Vec<Effect>,
    /// What `/v1/events` tells, in order.
    pub events: Vec<RoomEvent>,
    /// Why the input cannot be, where no connection is told so.
    pub refused: Option<Refusal>,
}

/// One effect at the edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The connection is this participant from now on, and is told so; then come the signals kept for
    /// it, then whatever was sent to it in the meantime.
    Enter {
        /// Which.
        at: Address,
        /// Who it is.
        user: UserId,
        /// What it is told; the driver fills in `missed`.
        ack: Box<JoinAck>,
        /// The Join's `id`.
        re: Option<String>,
        /// Whether signals may have been kept.
        resumed: bool,
        /// As one of a p2m room's audience, this.
        member: Option<Arc<Participant>>,
        /// Stations of an m2m room whose offers the driver fills in, as far as their munits make them in time.
        watch: Vec<StationId>,
    },
    /// The connection was believed lost and lives: it is sent what was kept for it meanwhile.
    Replay {
        /// Which.
        at: Address,
        /// Whose.
        user: UserId,
    },
    /// An answer to one connection.
    Send {
        /// Which.
        to: Address,
        /// What.
        signal: ServerSignal,
        /// The `id` it answers.
        re: Option<String>,
    },
    /// News of the room to connections; those that are gone by now miss it.
    Tell {
        /// Which.
        to: Vec<Address>,
        /// What.
        signal: ServerSignal,
    },
    /// News of the room to all its audience.
    TellAudience {
        /// The nodes that hold some of it.
        nodes: Vec<NodeId>,
        /// What.
        signal: ServerSignal,
        /// How their connections end after it, if they do.
        close: Option<Close>,
    },
    /// A signal from participant to participant; not to be lost.
    Relay(Relayed),
    /// The connection is nobody any more; it may join again.
    Exit {
        /// Which.
        at: Address,
    },
    /// The connection ends, after all it was sent.
    Close {
        /// Which.
        at: Address,
        /// How.
        close: Close,
    },
    /// A station is to be put on a munit's record; then comes [`super::Input::Placed`], or the one who
    /// asked for it is refused.
    Place(Box<Placing>),
    /// A signal to a munit.
    Munit {
        /// Which.
        munit: MunitId,
        /// What.
        signal: MunitSignal,
        /// On whose behalf; that one is told when the munit does not answer.
        from: Option<Asker>,
    },
    /// A station goes from its munit's record, and the munit is told. Not to be lost.
    Unassign(StationId),
    /// The number of viewers changed: the room is told of it soon, at most once a second.
    CountViewers,
}

/// How a server ends a connection (PROTOCOL.md §2, §3; codes of RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Kicked, or too many faults.
    Policy,
    /// A message over the limit.
    TooBig,
    /// The node ends; come back with `resume`, on another.
    Restart,
    /// The participant joined or resumed over another connection.
    Replaced,
    /// Silent for the heartbeat timeout.
    TimedOut,
    /// It did not read what it was sent.
    Slow,
}

impl Close {
    /// The close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::Slow => 1013,
            Self::Replaced => 4000,
            Self::TimedOut => 4001,
        }
    }

    /// The close reason, for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Policy => "closed by policy",
            Self::TooBig => "message over the limit",
            Self::Restart => "service restart: reconnect and resume",
            Self::Slow => "too slow: reconnect and resume",
            Self::Replaced => "replaced by another connection",
            Self::TimedOut => "no heartbeat",
        }
    }

    /// The variant of a close code, when it is one of ours.
    pub const fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1008 => Self::Policy,
            1009 => Self::TooBig,
            1012 => Self::Restart,
            1013 => Self::Slow,
            4000 => Self::Replaced,
            4001 => Self::TimedOut,
            0..=1007 | 1010 | 1011 | 1014..=3999 | 4002.. => return None,
        })
    }
}

/// One state change, for `/v1/events`.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomEvent {
    /// `room.created`, …
    pub name: &'static str,
    /// Its details, an object.
    pub data: Value,
}
