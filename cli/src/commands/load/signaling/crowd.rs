//! A crowd: many clients of one server, joined at a rate, given orders together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mobz_core::room::Mode;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::measure::get;
use super::client::{Client, Seat};
use super::meter::Meter;
use crate::error::Result;

/// How many clients may be connecting and joining at once; beyond it the rate is not kept.
const JOINING_MAX: usize = 256;
/// How long all clients together may take to leave before they are dropped.
const LEAVE_MAX: Duration = Duration::from_secs(30);
/// How long messages may still be on their way once sending has stopped.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether they are still.
const LINGER_STEP: Duration = Duration::from_millis(50);

/// What all clients of a crowd do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing but heartbeats.
    Rest,
    /// Each sender sends one message every so often.
    Steady {
        /// How often.
        every: Duration,
    },
    /// Pairs answer each message with one.
    Saturate {
        /// How many pairs.
        pairs: usize,
        /// How many messages are on their way in each.
        window: u32,
    },
    /// Close, cleanly.
    Leave,
}

/// What the clients of a crowd share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) url: String,
    pub(super) mode: Mode,
    pub(super) message_bytes: usize,
    pub(super) orders: watch::Sender<Order>,
    pub(super) meter: Meter,
    epoch: Instant,
    /// When the publisher of each room last sent its video off, and on, in nanoseconds since the epoch.
    changes: Vec<[AtomicU64; 2]>,
}

impl Shared {
    /// Nanoseconds since the crowd was made.
    pub(super) fn nanos(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The publisher of a room changes its flag now.
    pub(super) fn note_change(&self, room: usize, video: bool) {
        self.changes[room][usize::from(video)].store(self.nanos(), Ordering::Relaxed);
    }

    /// How long ago the publisher of a room changed its flag to this.
    pub(super) fn since_change(&self, room: usize, video: bool) -> Option<Duration> {
        let at = self.changes[room][usize::from(video)].load(Ordering::Relaxed);
        (at > 0).then(|| Duration::from_nanos(self.nanos().saturating_sub(at)))
    }

    /// A client could not connect.
    pub(super) fn failed<T>(&self, code: &str) -> Option<T> {
        self.meter.errors.count(code);
        None
    }

    /// A client's connection ended unasked.
    pub(super) fn ended<T>(&self, code: &str) -> Option<T> {
        self.gone();
        self.failed(code)
    }

    /// A client's connection has ended.
    pub(super) fn gone(&self) {
        self.meter.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Clients of one server.
pub(super) struct Crowd {
    pub(super) shared: Arc<Shared>,
    rooms: usize,
    clients: JoinSet<()>,
}

impl Crowd {
    /// A crowd without clients.
    pub(super) fn new(url: String, mode: Mode, message_bytes: usize, rooms: usize) -> Self {
        let changes = std::iter::repeat_with(Default::default).take(rooms).collect();
        let shared = Arc::new(Shared {
            url,
            mode,
            message_bytes,
            orders: watch::Sender::new(Order::Rest),
            meter: Meter::default(),
            epoch: Instant::now(),
            changes,
        });
        Self { shared, rooms, clients: JoinSet::new() }
    }

    /// Connects and joins `count` clients, `rate` a second; returns once all have joined or failed, with
    /// the time that took.
    pub(super) async fn gather(
        &mut self,
        count: usize,
        rate: u32,
        join: impl Fn(&mut Seat) -> Result<()>,
    ) -> Result<Duration> {
        let joining = Arc::new(Semaphore::new(JOINING_MAX));
        let begun = Instant::now();
        for number in 0..count {
            sleep_until(begun + Duration::from_secs_f64(number as f64 / f64::from(rate))).await;
            let mut seat = self.seat(number, count);
            join(&mut seat)?;
            let Ok(permit) = joining.clone().acquire_owned().await else { break };
            let shared = self.shared.clone();
            self.clients.spawn(async move {
                let client = Client::join(seat, shared).await;
                drop(permit);
                if let Some(client) = client {
                    client.run().await;
                }
            });
        }
        let all = u32::try_from(JOINING_MAX).unwrap_or(u32::MAX);
        drop(joining.acquire_many(all).await);
        Ok(begun.elapsed())
    }

    /// Everybody does this from now on.
    pub(super) fn order(&self, order: Order) {
        self.shared.orders.send_replace(order);
    }

    /// Stops sending, and waits until nothing is on its way.
    pub(super) async fn settle(&self) {
        self.order(Order::Rest);
        let deadline = Instant::now() + LINGER_MAX;
        let mut seen = u64::MAX;
        while Instant::now() < deadline {
            sleep(LINGER_STEP).await;
            let relays = get(&self.shared.meter.relays);
            if relays == seen {
                return;
            }
            seen = relays;
        }
    }

    /// Everybody leaves.
    pub(super) async fn disperse(mut self) {
        self.order(Order::Leave);
        let all = async { while self.clients.join_next().await.is_some() {} };
        if timeout(LEAVE_MAX, all).await.is_err() {
            self.shared.meter.errors.count("leave: no end");
        }
    }

    fn seat(&self, number: usize, count: usize) -> Seat {
        let (room, chair) = (number % self.rooms, number / self.rooms);
        let user = |chair: usize| format!("c{room}-{chair}");
        let other = 1 - chair.min(1);
        let peer = (room + other * self.rooms < count).then(|| user(other));
        Seat { number, room, chair, user: user(chair), peer, join: String::new() }
    }
}
