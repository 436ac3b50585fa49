//! What other nodes tell this one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mobz_core::id::NodeId;
use mobz_core::room::{Close, Input, Relayed};
use mobz_core::signal::ServerSignal;
use mobz_core::store::{BusEvent, Revision, Subscription};

use super::Node;
use crate::hub::Outbound;
use crate::message::{Delivery, NodeMessage};

impl Node {
    /// Serves what is sent to this node until the store is gone for good.
    pub(super) async fn listen(self: Arc<Self>, mut subscription: Box<dyn Subscription>) {
        while let Some(event) = subscription.next().await {
            match event {
                BusEvent::Message(message) => self.receive(&message).await,
                BusEvent::Resubscribed => {
                    tracing::info!("listening again; messages may have been lost");
                    self.resync().await;
                }
            }
        }
    }

    async fn receive(&self, message: &Bytes) {
        self.metrics.node_messages.with_label_values(&["in"]).inc();
        let NodeMessage { room, revision, deliveries, .. } = match serde_json::from_slice(message) {
            Ok(message) => message,
            Err(error) => return tracing::warn!(%error, "cannot read a message of another node"),
        };
        // Who knows no revision, as a munit, says nothing of it; who has nothing to say, that it is another.
        if revision != Revision::default() || deliveries.is_empty() {
            self.hub.stale_unless(&room, revision);
        }
        if deliveries.is_empty() {
            return self.doubt(&room, []);
        }
        let mut answers: BTreeMap<NodeId, Vec<Delivery>> = BTreeMap::new();
        let mut undelivered = VecDeque::new();
        for delivery in deliveries {
            match delivery {
                Delivery::Tell { to, text } => {
                    let outbound = Outbound { relayed: false, ..Outbound::relayed(text) };
                    for connection in to {
                        self.deliver(&room, connection, outbound.clone());
                    }
                }
                Delivery::Audience { text, close } => {
                    self.tell_audience(&room, &text, close.and_then(Close::from_code));
                }
                Delivery::Relay { user, to, text, ack, hops } => {
                    let relayed = Relayed { user, to: self.address(to), text, ack, hops };
                    undelivered.extend(self.relay_here(relayed, &mut answers));
                }
                Delivery::Relayed { to, re } => {
                    if self.relayed.lock().remove(&(to, re.clone())).is_some() {
                        let ack = ServerSignal::Ack.to_json(Some(&re));
                        self.push(&self.address(to), Outbound::news(ack));
                    }
                }
                Delivery::Close { at, code } => {
                    if let (Some(connection), Some(close)) = (self.hub.get(at), Close::from_code(code)) {
                        connection.close(close);
                    }
                }
                Delivery::Viewers { viewers } => self.hub.viewers(&room, viewers),
            }
        }
        for (node, deliveries) in answers {
            self.send(&node, &room, revision, deliveries).await;
        }
        if !undelivered.is_empty() {
            self.decide_undelivered(&room, undelivered).await;
        }
    }

    async fn decide_undelivered(&self, room: &mobz_core::id::RoomId, undelivered: VecDeque<Input>) {
        let acks: Vec<_> = undelivered.iter().filter_map(awaited).collect();
        if let Err(error) = self.decide_all(room, undelivered).await {
            for (to, re) in acks {
                let signal: ServerSignal = error.refusal().into();
                let text = signal.to_json(Some(&re)).into();
                let delivery = Delivery::Tell { to: vec![to.connection], text };
                self.send(&to.node, room, Revision::default(), vec![delivery]).await;
            }
        }
    }
}

/// Who waits for the acknowledgement of an undelivered relay.
fn awaited(input: &Input) -> Option<(mobz_core::id::Address, String)> {
    match input {
        Input::Undelivered(relayed) => relayed.ack.as_ref().map(|ack| (ack.to.clone(), ack.re.clone())),
        Input::Join(_)
        | Input::Signal { .. }
        | Input::Lost { .. }
        | Input::Alive { .. }
        | Input::TimedOut { .. }
        | Input::Due
        | Input::GiveBack(_)
        | Input::NodeLost(_)
        | Input::Close
        | Input::Remove { .. }
        | Input::Placed { .. }
        | Input::Move { .. }
        | Input::Retire(_)
        | Input::StationLost { .. } => None,
    }
}
