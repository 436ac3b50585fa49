//! A munit for tests: its record, its heartbeats and its signals are real, what Janus would say is a script.
//!
//! It reports failures by panicking, with what it heard: a test reads as its story.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a harness has nobody else to report to")]
#![allow(clippy::missing_panics_doc, reason = "everything here panics when the store does not do its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{self, Beat, Capacity, Load, Registration};
use mobz_core::settings::Settings;
use mobz_core::signal::{
    Asker, Holding, MunitAck, MunitDone, MunitMessage, MunitSignal, REPORT_MAX, Report, ServerSignal,
};
use mobz_core::store::{BusEvent, Store, Subscription};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::clock;
use crate::node::Node;

/// Tests each story on the memory store and on a real Redis: the `World` of the file makes either.
#[macro_export]
macro_rules! on_both_stores {
    ($($story:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $story() { super::$story(super::World::in_memory().await).await; })*
        }
        mod redis {
            $(#[tokio::test] async fn $story() { super::$story(super::World::on_redis().await).await; })*
        }
    };
}

/// How often it beats.
const BEAT_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked at until it has heard what it should.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long it may take to hear what it should.
const SOON: Duration = Duration::from_secs(20);

/// A munit without media; it is gone, without a word, when dropped.
#[derive(Debug)]
pub struct ScriptedMunit {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    id: MunitId,
    node: Arc<Node>,
    heard: Mutex<Vec<MunitMessage>>,
    /// Hears, and does nothing.
    dumb: AtomicBool,
    /// What it holds beside its record, until it is told to reconcile.
    strays: Mutex<BTreeSet<StationId>>,
}

impl ScriptedMunit {
    /// Registers `id` with room for so many stations, and serves it.
    pub async fn start(store: &Arc<dyn Store>, id: &str, stations: usize) -> Self {
        let id: MunitId = id.parse().unwrap();
        let node = Node::new(clock::node_id(), Settings::default(), store.clone());
        let instance = clock::node_id().to_string();
        let registration = Registration {
            munit: id.clone(),
            region: "test".into(),
            address: "127.0.0.1".into(),
            version: "test".into(),
            capacity: Capacity { stations, viewers: 1000 },
            instance: instance.clone(),
        };
        let subscription = store.listen_munit(&id).await.unwrap();
        node.change_munit(&id, munit::Input::Register(registration)).await.unwrap().unwrap();
        let inner = Arc::new(Inner {
            id,
            node,
            heard: Mutex::default(),
            dumb: AtomicBool::new(false),
            strays: Mutex::default(),
        });
        inner.beat(&instance).await;
        let beats = tokio::spawn(inner.clone().keep_beating(instance));
        let hears = tokio::spawn(inner.clone().serve(subscription));
        Self { inner, tasks: vec![beats, hears] }
    }

    /// Its id.
    pub fn id(&self) -> &MunitId {
        &self.inner.id
    }

    /// Whether it hears and does nothing, like a regulator that hangs.
    pub fn hang(&self, hangs: bool) {
        self.inner.dumb.store(hangs, Ordering::Relaxed);
    }

    /// It holds a station that is not on its record, until it is told to reconcile.
    pub fn strays(&self, station: StationId) {
        self.inner.strays.lock().insert(station);
    }

    /// The signals it heard so far, in order.
    pub fn heard(&self) -> Vec<MunitSignal> {
        self.inner.heard.lock().iter().map(|message| message.signal.clone()).collect()
    }

    /// Waits for the first signal that `is` says yes to; with who asked.
    pub async fn hears(&self, what: &str, is: impl Fn(&MunitSignal) -> bool) -> (MunitSignal, Option<Asker>) {
        let found = async {
            loop {
                let message = self.inner.heard.lock().iter().find(|message| is(&message.signal)).cloned();
                if let Some(message) = message {
                    return (message.signal, message.from);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let found = tokio::time::timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("munit {} heard no {what} but {:?}", self.inner.id, self.heard()))
    }

    /// The stations on its record.
    pub async fn stations(&self) -> Vec<StationId> {
        let loaded = self.inner.node.store().load_munit(&self.inner.id).await.unwrap();
        loaded.record.map(|record| record.stations.keys().cloned().collect()).unwrap_or_default()
    }

    /// Tells a participant something unasked, over the connection of `asker` as far as it is there.
    pub async fn tells(&self, asker: &Asker, signal: ServerSignal) {
        self.inner.tell(asker, None, signal).await;
    }

    /// Tells a participant something unasked, wherever it is.
    pub async fn tells_user(&self, room: &RoomId, user: &UserId, signal: ServerSignal) {
        self.inner.node.tell_participant(room, user, None, &signal, None).await.unwrap();
    }

    /// Decides on its record, as an operator's command does, and is woken.
    pub async fn change(&self, input: munit::Input) {
        self.inner.node.change_munit(&self.inner.id, input).await.unwrap().unwrap();
    }
}

impl Drop for ScriptedMunit {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Inner {
    async fn keep_beating(self: Arc<Self>, instance: String) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            self.beat(&instance).await;
        }
    }

    async fn beat(&self, instance: &str) {
        let instance = instance.to_owned();
        let beat = Beat { instance, at: clock::now(), ready: true, load: Load::default() };
        // A store that is away is asked again.
        let _ = self.node.store().beat_munit(&self.id, &beat).await;
    }

    async fn serve(self: Arc<Self>, mut subscription: Box<dyn Subscription>) {
        while let Some(event) = subscription.next().await {
            if let BusEvent::Message(message) = event {
                let message: MunitMessage = serde_json::from_slice(&message).unwrap();
                self.heard.lock().push(message.clone());
                if !self.dumb.load(Ordering::Relaxed) {
                    self.answer(message).await;
                }
            }
        }
    }

    async fn answer(&self, message: MunitMessage) {
        let MunitMessage { signal, id, reply_to, from } = message;
        let mut done = MunitDone::default();
        let said = match signal {
            MunitSignal::Publish { station, sdp, .. } => Some(ServerSignal::Answer {
                from: None,
                sdp: format!("answer to {sdp}"),
                station: Some(station),
            }),
            MunitSignal::Watch { station, inline: true, .. } => {
                done.sdp = Some(format!("offer of {station}"));
                None
            }
            MunitSignal::Watch { station, replaces, inline: false } => {
                let user = self.publisher_of(&station).await;
                Some(ServerSignal::WatchAck { sdp: format!("offer of {station}"), station, user, replaces })
            }
            MunitSignal::Layer { station, substream, temporal } => {
                let temporal = temporal.unwrap_or(2);
                Some(ServerSignal::SimulcastUpdate { station, substream, temporal })
            }
            MunitSignal::Answer { .. } | MunitSignal::Candidate { .. } | MunitSignal::Unwatch { .. } => {
                from.as_ref().and_then(|from| from.re.as_ref()).map(|_| ServerSignal::Ack)
            }
            MunitSignal::Report { stations, after, .. } => {
                done.report = Some(Box::new(self.report(&stations, after.as_ref()).await));
                None
            }
            MunitSignal::Reconcile => {
                self.strays.lock().clear();
                None
            }
            MunitSignal::Assign { .. }
            | MunitSignal::Unassign { .. }
            | MunitSignal::Drain { .. }
            | MunitSignal::Revive
            | MunitSignal::Stop { .. }
            | MunitSignal::Mute { .. }
            | MunitSignal::HandOver { .. }
            | MunitSignal::Forget { .. } => None,
        };
        if let (Some(said), Some(from)) = (said, from) {
            self.tell(&from, from.re.as_deref(), said).await;
        }
        let ack = MunitAck { re: id, ok: Some(done), error: None };
        let ack = Bytes::from(serde_json::to_vec(&ack).unwrap());
        self.node.store().reply(&reply_to, ack).await.unwrap();
    }

    /// What it holds: what its record says, and its strays.
    async fn report(&self, asked: &[StationId], after: Option<&StationId>) -> Report {
        let loaded = self.node.store().load_munit(&self.id).await.unwrap();
        let assigned = loaded.record.iter().flat_map(|record| &record.stations);
        let held = assigned.map(|(station, assigned)| {
            let of = Some((assigned.room.clone(), assigned.user.clone()));
            (station.clone(), Holding { of, made: Some(true), ..Holding::default() })
        });
        let stray =
            |station: &StationId| (station.clone(), Holding { made: Some(true), ..Holding::default() });
        let strays: Vec<_> = self.strays.lock().iter().map(stray).collect();
        let is_asked = |(station, _): &(StationId, Holding)| {
            (asked.is_empty() || asked.contains(station)) && after.is_none_or(|after| station > after)
        };
        let mut all: BTreeMap<StationId, Holding> = held.chain(strays).filter(is_asked).collect();
        let rest = all.keys().nth(REPORT_MAX).cloned().map(|first| all.split_off(&first));
        Report { stations: all, more: rest.is_some() }
    }

    async fn tell(&self, to: &Asker, re: Option<&str>, signal: ServerSignal) {
        self.node.tell_participant(&to.room, &to.user, Some(&to.at), &signal, re).await.unwrap();
    }

    async fn publisher_of(&self, station: &StationId) -> UserId {
        let loaded = self.node.store().load_munit(&self.id).await.unwrap();
        let assigned = loaded.record.and_then(|record| record.stations.get(station).cloned());
        assigned.unwrap_or_else(|| panic!("munit {} has no station {station}", self.id)).user
    }
}
