//! Signals to munits and their acknowledgements.
//!
//! A munit answers a client itself; what comes back here says only that it heard, but for the offers of a
//! `JoinAck`. A signal that nobody hears, or that is not acknowledged in time, is an `Error` to its sender.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use mobz_core::id::{Address, ConnectionId, MunitId, RoomId, StationId, UserId};
use mobz_core::room::Relayed;
use mobz_core::signal::{Asker, Code, JoinAck, MunitAck, MunitMessage, MunitSignal, Refusal, ServerSignal};
use mobz_core::store::{BusEvent, Revision, Subscription};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Node, NodeError};
use crate::hub::{Outbound, Seat};
use crate::message::Delivery;

/// How long the acknowledgement of a signal to a munit is awaited.
const MUNIT_WAIT: Duration = Duration::from_secs(5);
/// How long a `JoinAck` waits for the offers of those who publish; who watches later asks again.
const OFFERS_WAIT: Duration = Duration::from_secs(2);
/// The most signals to munits whose acknowledgement is awaited; those beyond are not timed.
const WAITING_MAX: usize = 100_000;
/// When to try again where nobody listens for a munit: a regulator that was killed is back by then. Of one that
/// is gone with its Janus, `StationLost` tells.
const MUNIT_RETRY: Duration = Duration::from_secs(1);

/// Signals to munits that are not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: AtomicU64,
    signals: Mutex<BTreeMap<u64, Awaited>>,
}

#[derive(Debug)]
enum Awaited {
    /// A client's.
    Signal { from: Asker, since: Instant },
    /// For a `JoinAck`; whoever waits also forgets it.
    Offer(oneshot::Sender<MunitAck>),
}

/// A connection that is told of its Join once the offers it may answer are there.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) at: Address,
    pub(super) seat: Seat,
    pub(super) ack: Box<JoinAck>,
    pub(super) re: Option<String>,
    pub(super) watch: Vec<StationId>,
}

impl Node {
    /// Hands a participant a signal, wherever it is: over the connection `at` it was last heard of, else
    /// (and where it is not known) to where its room says it is by now; kept for it while it is away.
    /// Done when it is handed over; nothing where the participant is gone.
    ///
    /// # Errors
    /// When the store fails and so nobody knows where the participant is.
    pub async fn tell_participant(
        &self,
        room: &RoomId,
        user: &UserId,
        at: Option<&Address>,
        signal: &ServerSignal,
        re: Option<&str>,
    ) -> Result<(), NodeError> {
        let nowhere = || self.address(ConnectionId(0));
        let to = at.cloned().unwrap_or_else(nowhere);
        let text = signal.to_json(re).into();
        let relayed = Relayed { user: user.clone(), to, text, ack: None, hops: 0 };
        let undelivered = if relayed.to.node == self.id {
            self.relay_here(relayed, &mut BTreeMap::new()).into_iter().collect()
        } else {
            let node = relayed.to.node.clone();
            self.send(&node, room, Revision::default(), vec![Delivery::relay(relayed)]).await
        };
        if !undelivered.is_empty() {
            Box::pin(self.decide_all(room, undelivered.into())).await?;
        }
        Ok(())
    }

    /// Sends a signal to a munit. On behalf of a client, the client is told when it is not heard.
    pub(super) async fn signal_munit(&self, munit: &MunitId, signal: MunitSignal, from: Option<Asker>) {
        let id = self.waiting.next.fetch_add(1, Ordering::Relaxed);
        if let Some(from) = &from {
            let mut waiting = self.waiting.signals.lock();
            if waiting.len() < WAITING_MAX {
                waiting.insert(id, Awaited::Signal { from: from.clone(), since: Instant::now() });
            }
        }
        let unheard = match self.send_to_munit(munit, id, signal, from.clone()).await {
            Ok(true) => return,
            Ok(false) => munit_unavailable(munit),
            Err(error) => error.refusal(),
        };
        if let Some(from) = from {
            self.waiting.signals.lock().remove(&id);
            self.refuse_asker(&from, unheard);
        }
    }

    async fn send_to_munit(
        &self,
        munit: &MunitId,
        id: u64,
        signal: MunitSignal,
        from: Option<Asker>,
    ) -> Result<bool, NodeError> {
        let reply_to = self.replies.clone();
        let message = MunitMessage { signal, id: id.to_string(), reply_to, from };
        let message = serde_json::to_vec(&message).unwrap_or_else(|_| unreachable!("no map with odd keys"));
        let heard = self.counted(self.store.signal_munit(munit, Bytes::from(message)).await)?;
        let outcome = if heard { "heard" } else { "unheard" };
        self.metrics.munit_signals.with_label_values(&[outcome]).inc();
        Ok(heard)
    }

    /// Takes acknowledgements of munits until the store is gone for good.
    pub(super) async fn listen_replies(self: Arc<Self>, mut subscription: Box<dyn Subscription>) {
        while let Some(event) = subscription.next().await {
            match event {
                BusEvent::Message(message) => self.acknowledged(&message),
                // Those that were lost are late.
                BusEvent::Resubscribed => {}
            }
        }
    }

    fn acknowledged(&self, message: &Bytes) {
        let ack: MunitAck = match serde_json::from_slice(message) {
            Ok(ack) => ack,
            Err(error) => return tracing::warn!(%error, "cannot read a munit's acknowledgement"),
        };
        let Ok(id) = ack.re.parse::<u64>() else { return };
        match self.waiting.signals.lock().remove(&id) {
            // Who waits no longer needs no answer.
            Some(Awaited::Offer(waits)) => drop(waits.send(ack)),
            Some(Awaited::Signal { .. }) | None => {}
        }
    }

    /// Tells clients whose signals no munit has acknowledged in time.
    pub(super) fn time_munits(&self) {
        let mut late = Vec::new();
        self.waiting.signals.lock().retain(|_, awaited| match awaited {
            Awaited::Signal { from, since } if since.elapsed() >= MUNIT_WAIT => {
                late.push(from.clone());
                false
            }
            Awaited::Signal { .. } | Awaited::Offer(_) => true,
        });
        for from in late {
            self.metrics.munit_signals.with_label_values(&["late"]).inc();
            let message = "the munit did not answer; try again, or wait for StationLost";
            self.refuse_asker(&from, Refusal::new(Code::Timeout, message));
        }
    }

    fn refuse_asker(&self, from: &Asker, refusal: Refusal) {
        let signal = ServerSignal::from(refusal);
        self.count_refusal(&signal);
        self.push(&from.at, Outbound::news(signal.to_json(from.re.as_deref())));
    }

    /// Asks the munits for the offers that belong into a `JoinAck`, then tells the connection.
    pub(super) async fn welcome(&self, entering: Entering) {
        let Entering { at, seat, mut ack, re, watch } = entering;
        let asker = Asker { room: seat.room.clone(), user: seat.user.clone(), at: at.clone(), re: None };
        let offers = watch.iter().map(|station| self.offer_of(station, asker.clone()));
        let offers = join_all(offers).await;
        for (station, sdp) in watch.iter().zip(offers) {
            let of = ack.publishers.iter_mut().find(|publisher| publisher.station.as_ref() == Some(station));
            if let Some(publisher) = of {
                publisher.sdp = sdp;
            }
        }
        let room = seat.room.clone();
        self.enter(&at, seat, *ack, re.as_deref(), false).await;
        self.hub.arrived(&room);
    }

    async fn offer_of(&self, station: &StationId, from: Asker) -> Option<String> {
        let munit = station.munit()?;
        let id = self.waiting.next.fetch_add(1, Ordering::Relaxed);
        let (waits, answer) = oneshot::channel();
        self.waiting.signals.lock().insert(id, Awaited::Offer(waits));
        let signal = MunitSignal::Watch { station: station.clone(), inline: true, replaces: None };
        let heard = self.send_to_munit(&munit, id, signal, Some(from)).await.unwrap_or(false);
        let ack = if heard { tokio::time::timeout(OFFERS_WAIT, answer).await.ok() } else { None };
        self.waiting.signals.lock().remove(&id);
        ack?.ok()?.ok?.sdp
    }
}

fn munit_unavailable(munit: &MunitId) -> Refusal {
    let message = format!("munit {munit} does not listen; wait for StationLost, or try again");
    Refusal::new(Code::MunitUnavailable, message).retry_after(MUNIT_RETRY)
}
