//! What nodes tell each other over the store's bus.

use std::sync::Arc;

use mobz_core::id::{Address, ConnectionId, NodeId, RoomId, UserId};
use mobz_core::room::{Ack, Relayed};
use mobz_core::store::Revision;
use serde::{Deserialize, Serialize};

/// A message to one node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeMessage {
    /// The node that sent it.
    pub(crate) from: NodeId,
    /// The room it is about.
    pub(crate) room: RoomId,
    /// The room's revision that it tells of; snapshots before it are stale.
    pub(crate) revision: Revision,
    /// What is to be done, in order.
    pub(crate) deliveries: Vec<Delivery>,
}

/// One thing for a node to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// Hand a text to connections.
    Tell { to: Vec<ConnectionId>, text: Arc<str> },
    /// Hand a text to the room's audience, then end their connections if a code says so.
    Audience { text: Arc<str>, close: Option<u16> },
    /// Hand over a signal that must not be lost.
    Relay { user: UserId, to: ConnectionId, text: Arc<str>, ack: Option<Ack>, hops: u8 },
    /// A relayed signal was handed over: acknowledge it.
    Relayed { to: ConnectionId, re: String },
    /// End a connection.
    Close { at: ConnectionId, code: u16 },
    /// The number of viewers.
    Viewers { viewers: u64 },
}

impl Delivery {
    /// A relayed signal, for the node it goes to.
    pub(crate) fn relay(relayed: Relayed) -> Self {
        let Relayed { user, to, text, ack, hops } = relayed;
        Self::Relay { user, to: to.connection, text, ack, hops }
    }

    /// The relayed signal in a delivery to `node`; `None` for every other delivery.
    pub(crate) fn into_relayed(self, node: &NodeId) -> Option<Relayed> {
        match self {
            Self::Relay { user, to: connection, text, ack, hops } => {
                let to = Address { node: node.clone(), connection };
                Some(Relayed { user, to, text, ack, hops })
            }
            Self::Tell { .. }
            | Self::Audience { .. }
            | Self::Relayed { .. }
            | Self::Close { .. }
            | Self::Viewers { .. } => None,
        }
    }
}
