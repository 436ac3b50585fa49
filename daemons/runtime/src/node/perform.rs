//! Performing effects: here at once, elsewhere by one message to each node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mobz_core::id::{Address, ConnectionId, NodeId, RoomId};
use mobz_core::room::{Ack, Close, Effect, Effects, Input, Relayed};
use mobz_core::signal::{Code, JoinAck, ServerSignal};
use mobz_core::store::{Kept, Revision, StoreError};
use tokio::time::Instant;

use super::Node;
use super::media::Entering;
use crate::hub::{Outbound, Seat};
use crate::message::{Delivery, NodeMessage};

/// The most relays to other nodes whose acknowledgement is awaited; those beyond are not timed.
const RELAYED_WAITING_MAX: usize = 100_000;

/// What came of performing effects.
#[derive(Debug, Default)]
pub(super) struct Performed {
    /// What follows, to be decided: relays that reached nobody, stations that were placed.
    pub(super) follow: VecDeque<Input>,
    /// The code of a refusal.
    pub(super) refused: Option<Code>,
    /// Who is still to be told that it has joined.
    pub(super) entering: Option<Entering>,
}

impl Node {
    /// Performs effects in order: first what connections are told, then what munits are.
    pub(super) async fn perform(&self, room: &RoomId, revision: Revision, effects: Effects) -> Performed {
        let mut performed = Performed::default();
        let undelivered = &mut performed.follow;
        let mut for_munits = Vec::new();
        let mut elsewhere: BTreeMap<NodeId, Vec<Delivery>> = BTreeMap::new();
        for effect in effects.list {
            match effect {
                Effect::Enter { at, user, ack, re, resumed, member, watch } => {
                    let seat = Seat { room: room.clone(), user, mode: ack.mode, resumed, member };
                    if watch.is_empty() {
                        Box::pin(self.enter(&at, seat, *ack, re.as_deref(), resumed)).await;
                    } else {
                        self.hub.expect(room);
                        performed.entering = Some(Entering { at, seat, ack, re, watch });
                    }
                }
                Effect::Replay { at, user } => {
                    let kept = self.counted(self.store.take_kept(room, &user).await).unwrap_or_default();
                    for text in kept.signals {
                        let relayed =
                            Relayed { user: user.clone(), to: at.clone(), text, ack: None, hops: 0 };
                        undelivered.extend(self.relay_here(relayed, &mut elsewhere));
                    }
                }
                Effect::Send { to, signal, re } => {
                    self.count_refusal(&signal);
                    let text = signal.to_json(re.as_deref());
                    if to.node == self.id {
                        self.push(&to, Outbound::news(text));
                    } else {
                        let delivery = Delivery::Tell { to: vec![to.connection], text: text.into() };
                        elsewhere.entry(to.node).or_default().push(delivery);
                    }
                }
                Effect::Tell { to, signal } => self.tell(room, to, &signal, &mut elsewhere),
                Effect::TellAudience { nodes, signal, close } => {
                    let text: Arc<str> = signal.to_json(None).into();
                    for node in nodes {
                        if node == self.id {
                            self.tell_audience(room, &text, close);
                        } else {
                            let close = close.map(Close::code);
                            let delivery = Delivery::Audience { text: text.clone(), close };
                            elsewhere.entry(node).or_default().push(delivery);
                        }
                    }
                }
                Effect::Relay(relayed) if relayed.to.node == self.id => {
                    undelivered.extend(self.relay_here(relayed, &mut elsewhere));
                }
                Effect::Relay(relayed) => {
                    self.await_ack(relayed.ack.as_ref());
                    elsewhere.entry(relayed.to.node.clone()).or_default().push(Delivery::relay(relayed));
                }
                Effect::Exit { at } => {
                    if let Some(connection) = self.hub.get(at.connection) {
                        self.hub.exit(&connection);
                    }
                }
                Effect::Close { at, close } => {
                    if at.node == self.id {
                        self.hub.get(at.connection).inspect(|connection| connection.close(close));
                    } else {
                        let delivery = Delivery::Close { at: at.connection, code: close.code() };
                        elsewhere.entry(at.node).or_default().push(delivery);
                    }
                }
                Effect::Place(_) | Effect::Munit { .. } | Effect::Unassign(_) => for_munits.push(effect),
                Effect::CountViewers => {
                    self.counting.lock().entry(room.clone()).or_default();
                }
            }
        }
        for (node, deliveries) in elsewhere {
            undelivered.extend(Box::pin(self.send(&node, room, revision, deliveries)).await);
        }
        if !for_munits.is_empty() {
            Box::pin(self.perform_for_munits(room, for_munits, &mut performed)).await;
        }
        performed
    }

    async fn perform_for_munits(&self, room: &RoomId, effects: Vec<Effect>, performed: &mut Performed) {
        for effect in effects {
            match effect {
                Effect::Place(placing) => match self.place(room, placing).await {
                    Ok(placed) => performed.follow.push_back(placed),
                    Err(refusal) => performed.refused = Some(refusal.code),
                },
                Effect::Munit { munit, signal, from } => self.signal_munit(&munit, signal, from).await,
                Effect::Unassign(station) => self.unassign(station).await,
                Effect::Enter { .. }
                | Effect::Replay { .. }
                | Effect::Send { .. }
                | Effect::Tell { .. }
                | Effect::TellAudience { .. }
                | Effect::Relay(_)
                | Effect::Exit { .. }
                | Effect::Close { .. }
                | Effect::CountViewers => {}
            }
        }
    }

    /// Whether a node listens, be it this one: it is told nothing, of some room.
    pub(crate) async fn is_heard(&self, node: &NodeId, room: &RoomId) -> Result<bool, StoreError> {
        let (from, room) = (self.id.clone(), room.clone());
        let message = NodeMessage { from, room, revision: Revision::default(), deliveries: Vec::new() };
        let message = serde_json::to_vec(&message).unwrap_or_else(|_| unreachable!("no map with odd keys"));
        self.counted(self.store.send(node, Bytes::from(message)).await)
    }

    /// Sends deliveries to another node; returns the relays among them if nobody listens there.
    pub(super) async fn send(
        &self,
        node: &NodeId,
        room: &RoomId,
        revision: Revision,
        deliveries: Vec<Delivery>,
    ) -> Vec<Input> {
        let message = NodeMessage { from: self.id.clone(), room: room.clone(), revision, deliveries };
        let text = match serde_json::to_vec(&message) {
            Ok(text) => Bytes::from(text),
            Err(error) => {
                tracing::error!(%error, "cannot write a message to another node");
                return Vec::new();
            }
        };
        self.metrics.node_messages.with_label_values(&["out"]).inc();
        if self.counted(self.store.send(node, text).await).unwrap_or(false) {
            return Vec::new();
        }
        let relays = message.deliveries.into_iter().filter_map(|one| one.into_relayed(node));
        relays.map(Input::Undelivered).collect()
    }

    /// Hands a relayed signal to a connection here and sees to its acknowledgement.
    pub(super) fn relay_here(
        &self,
        relayed: Relayed,
        elsewhere: &mut BTreeMap<NodeId, Vec<Delivery>>,
    ) -> Option<Input> {
        if !self.hub.deliver(relayed.to.connection, Outbound::relayed(relayed.text.clone())) {
            return Some(Input::Undelivered(relayed));
        }
        self.metrics.signals_sent.inc();
        if let Some(Ack { to, re }) = relayed.ack {
            if to.node == self.id {
                self.push(&to, Outbound::news(ServerSignal::Ack.to_json(Some(&re))));
            } else {
                let delivery = Delivery::Relayed { to: to.connection, re };
                elsewhere.entry(to.node).or_default().push(delivery);
            }
        }
        None
    }

    /// Hands what a room has to say to a participant's connection here.
    pub(super) fn deliver(&self, room: &RoomId, to: ConnectionId, outbound: Outbound) {
        let Some(connection) = self.hub.get(to) else { return self.doubt_connection(room) };
        self.metrics.signals_sent.inc();
        connection.deliver(outbound);
    }

    /// Hands a text to a connection of this node, joined or not.
    pub(super) fn push(&self, to: &Address, outbound: Outbound) {
        if let Some(connection) = self.hub.get(to.connection)
            && connection.push(outbound)
        {
            self.metrics.signals_sent.inc();
        }
    }

    pub(super) fn tell_audience(&self, room: &RoomId, text: &Arc<str>, close: Option<Close>) {
        let text = Outbound { relayed: false, ..Outbound::relayed(text.clone()) };
        for connection in self.hub.joined(room) {
            if connection.seat().is_some_and(|seat| seat.member.is_some()) {
                connection.push(text.clone());
                self.metrics.signals_sent.inc();
                if let Some(close) = close {
                    connection.close(close);
                }
            }
        }
    }

    fn tell(
        &self,
        room: &RoomId,
        to: Vec<Address>,
        signal: &ServerSignal,
        elsewhere: &mut BTreeMap<NodeId, Vec<Delivery>>,
    ) {
        let text: Arc<str> = signal.to_json(None).into();
        let outbound = Outbound { relayed: false, ..Outbound::relayed(text.clone()) };
        for Address { node, connection } in to {
            if node == self.id {
                self.deliver(room, connection, outbound.clone());
            } else {
                let there = elsewhere.entry(node).or_default();
                match there.last_mut() {
                    Some(Delivery::Tell { to, text: last }) if Arc::ptr_eq(last, &text) => {
                        to.push(connection);
                    }
                    Some(_) | None => there.push(Delivery::Tell { to: vec![connection], text: text.clone() }),
                }
            }
        }
    }

    pub(super) async fn enter(
        &self,
        at: &Address,
        seat: Seat,
        mut ack: JoinAck,
        re: Option<&str>,
        resumed: bool,
    ) {
        let kept = if resumed {
            self.counted(self.store.take_kept(&seat.room, &seat.user).await).unwrap_or_default()
        } else {
            Kept::default()
        };
        ack.missed = kept.missed;
        let welcome = Outbound::news(ServerSignal::JoinAck(Box::new(ack)).to_json(re));
        let kept = kept.signals.into_iter().map(Outbound::relayed);
        if self.hub.enter(at.connection, seat, std::iter::once(welcome).chain(kept).collect()) {
            self.metrics.signals_sent.inc();
        }
    }

    fn await_ack(&self, ack: Option<&Ack>) {
        let Some(Ack { to, re }) = ack else { return };
        let mut relayed = self.relayed.lock();
        if to.node == self.id && relayed.len() < RELAYED_WAITING_MAX {
            relayed.insert((to.connection, re.clone()), Instant::now());
        }
    }

    pub(super) fn count_refusal(&self, signal: &ServerSignal) {
        if let ServerSignal::Error { code, .. } = signal {
            let code = serde_json::to_value(code).ok();
            let code = code.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
            self.metrics.refusals.with_label_values(&[code]).inc();
        }
    }
}
