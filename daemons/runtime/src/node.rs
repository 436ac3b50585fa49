//! A node: decides inputs on rooms by core's rules, commits them, and performs what follows.
//!
//! Persist first, act second: effects are performed only once their change holds. Inputs of one room
//! are decided one after another on one node; between nodes the store's compare-and-set orders them.

mod media;
mod munits;
mod perform;
mod receive;
mod run;
mod steady;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mobz_core::id::{Address, ConnectionId, MunitId, NodeId, RoomId, StationId, UserId};
use mobz_core::room::{Effect, Effects, Input, Mode, Record, Room, RoomEvent};
use mobz_core::settings::Settings;
use mobz_core::signal::{Code, Refusal, RoomSignal, ServerSignal};
use mobz_core::store::{Asked, Committed, Event, Loaded, Revision, Store, StoreError};
use mobz_core::time::Timestamp;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::media::Entering;
use crate::clock;
use crate::hub::{Connection, Hub};
use crate::metrics::Metrics;

/// How often a conflicting commit is decided again before the signal is refused.
pub const COMMIT_ATTEMPTS_MAX: usize = 64;
/// How many rooms may be decided at once on one node; more wait.
const GATES: usize = 1024;
/// How many munits' records may be changed at once by one node; more wait.
const MUNIT_GATES: usize = 64;
/// The most events that wait to be logged; those beyond are dropped and counted in the log.
const EVENTS_WAITING_MAX: usize = 16_384;
/// How long after a fault of the store a client should wait before it tries again.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// For how long a connection's end is told to a store that does not answer.
const INSIST_MAX: Duration = Duration::from_secs(600);

/// Why an input was not decided.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others changed the room every time.
    #[error("cannot change room {0}: others changed it {COMMIT_ATTEMPTS_MAX} times meanwhile")]
    Contended(RoomId),
    /// Others changed the munit every time.
    #[error("cannot change munit {0}: others changed it {COMMIT_ATTEMPTS_MAX} times meanwhile")]
    MunitContended(MunitId),
}

impl NodeError {
    /// What a client is told.
    pub fn refusal(&self) -> Refusal {
        let message = match self {
            Self::Store(_) => {
                "the server cannot reach its store; what was asked may be done all the same: try again"
            }
            Self::Contended(_) => "too many changes to the room at once; try again",
            Self::MunitContended(_) => "too many changes to the munit at once; try again",
        };
        Refusal::new(Code::Internal, message).retry_after(STORE_RETRY)
    }
}

/// That what this node holds of a room may not be what the store has.
#[derive(Debug, Default)]
struct Doubted {
    /// Whether it may have changed unheard; if not, somebody is told something over a connection that is not here
    /// any more.
    may_have_changed: bool,
    /// The nodes that are to look too: they had part in a room that the store may have changed without an answer.
    others: BTreeSet<NodeId>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By close code 1000: a Leave.
    Cleanly,
    /// Any other way: the participant is away.
    Lost,
}

/// A node with its connections.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    settings: Settings,
    store: Arc<dyn Store>,
    hub: Hub,
    /// Connections that have ended and whose room is being told.
    ending: AtomicUsize,
    metrics: Metrics,
    gates: Vec<tokio::sync::Mutex<()>>,
    /// Keeps it secret which rooms share a gate.
    salt: u128,
    /// Relays handed to other nodes, and when; their acknowledgement is awaited.
    relayed: Mutex<BTreeMap<(ConnectionId, String), Instant>>,
    munit_gates: Vec<tokio::sync::Mutex<()>>,
    /// Where munits acknowledge.
    replies: String,
    waiting: media::Waiting,
    /// Rooms that are to be looked at once the store answers, and why.
    doubted: Mutex<BTreeMap<RoomId, Doubted>>,
    /// Connections whose Join the store did not answer: it may have been done.
    unsure: Mutex<BTreeMap<ConnectionId, (RoomId, UserId)>>,
    /// Stations that are to go from their munits' records once the store answers.
    unassigning: Mutex<BTreeSet<StationId>>,
    /// Rooms whose audience changed, to be counted; and when each was last.
    counting: Mutex<BTreeMap<RoomId, Option<Instant>>>,
    events: mpsc::Sender<Event>,
    events_waiting: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Node {
    /// A node on `store`. It serves connections once [`Node::run`] runs; without it, it can still
    /// decide inputs (which is what an operator's tool needs).
    pub fn new(id: NodeId, settings: Settings, store: Arc<dyn Store>) -> Arc<Self> {
        let (events, events_waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        Arc::new(Self {
            replies: store.reply_channel(&id),
            id,
            settings,
            store,
            hub: Hub::default(),
            ending: AtomicUsize::new(0),
            metrics: Metrics::default(),
            gates: std::iter::repeat_with(tokio::sync::Mutex::default).take(GATES).collect(),
            munit_gates: std::iter::repeat_with(tokio::sync::Mutex::default).take(MUNIT_GATES).collect(),
            waiting: media::Waiting::default(),
            doubted: Mutex::default(),
            unsure: Mutex::default(),
            unassigning: Mutex::default(),
            salt: clock::random(),
            relayed: Mutex::default(),
            counting: Mutex::default(),
            events,
            events_waiting: Mutex::new(Some(events_waiting)),
        })
    }

    /// Its id.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// What the operator set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where rooms are kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Its connections.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The address of one of its connections.
    pub fn address(&self, connection: ConnectionId) -> Address {
        Address { node: self.id.clone(), connection }
    }

    /// Has a room looked at soon, because of a connection that is not here.
    fn doubt_connection(&self, room: &RoomId) {
        self.doubted.lock().entry(room.clone()).or_default();
    }

    /// Has a room looked at soon, here and by `others`: it may have changed unheard.
    fn doubt(&self, room: &RoomId, others: impl IntoIterator<Item = NodeId>) {
        let mut doubted = self.doubted.lock();
        let known = doubted.entry(room.clone()).or_default();
        known.may_have_changed = true;
        known.others.extend(others);
    }

    /// Decides `input` on `room`, commits and performs it. Returns the code it was refused with, if
    /// the rules refused it; the refusal itself has been sent.
    ///
    /// # Errors
    /// When the store fails, which may have done it all the same, or others keep changing the room.
    pub async fn submit(&self, room: &RoomId, input: Input) -> Result<Option<Code>, NodeError> {
        if let Some((revision, record)) = self.snapshot_for(room, &input) {
            let loaded = Loaded { revision, record: Some(record), ..Loaded::default() };
            let effects = Room::new(&self.settings, room.clone(), loaded).apply(clock::now(), input);
            debug_assert!(effects.change.is_empty(), "a relay between people who are there changes nothing");
            let refused = refusal_in(&effects);
            let performed = Box::pin(self.perform(room, revision, effects)).await;
            let mut refused = refused.or(performed.refused);
            if !performed.follow.is_empty() {
                let decided = Box::pin(self.decide_all(room, performed.follow)).await?;
                refused = refused.or(decided.refused);
            }
            return Ok(refused);
        }
        let joins = if let Input::Join(joining) = &input {
            Some((joining.address.connection, joining.user.clone()))
        } else {
            None
        };
        // Boxed: what every connection's task has room for stays small.
        let decided = Box::pin(self.decide_all(room, VecDeque::from([input]))).await;
        if let (Err(_), Some((connection, user))) = (&decided, joins) {
            self.unsure.lock().insert(connection, (room.clone(), user));
        }
        Ok(decided?.refused)
    }

    /// A connection ended: tells its room, and goes on telling a store that does not answer.
    pub async fn disconnect(self: &Arc<Self>, connection: &Connection, ended: Ended) {
        self.ending.fetch_add(1, Ordering::Relaxed);
        let (seat, unsent) = self.hub.disconnect(connection);
        let unsure = self.unsure.lock().remove(&connection.id());
        if let Some((room, user)) = seat.map(|seat| (seat.room, seat.user)).or(unsure) {
            self.tell_end(connection, room, user, unsent, ended).await;
        }
        self.ending.fetch_sub(1, Ordering::Relaxed);
    }

    async fn tell_end(
        self: &Arc<Self>,
        connection: &Connection,
        room: RoomId,
        user: UserId,
        unsent: Vec<Arc<str>>,
        ended: Ended,
    ) {
        let address = self.address(connection.id());
        let input = match ended {
            Ended::Cleanly => Input::Signal { user, address, signal: RoomSignal::Leave, re: None },
            Ended::Lost => Input::Lost { user, address, unsent },
        };
        self.insist(&room, input).await;
    }

    /// Submits `input` until the store takes it.
    pub async fn insist(self: &Arc<Self>, room: &RoomId, input: Input) {
        let since = Instant::now();
        while let Err(error) = self.submit(room, input.clone()).await {
            if since.elapsed() > INSIST_MAX {
                tracing::error!(%room, %error, "gave up telling the room of a lost connection");
                return;
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }

    /// Decides inputs of one room in order, and what follows from them: relays that reached nobody,
    /// stations that were placed.
    async fn decide_all(&self, room: &RoomId, mut inputs: VecDeque<Input>) -> Result<Decided, NodeError> {
        let gate = self.gates[self.gate_of(room) % GATES].lock().await;
        let mut entering = None;
        let decided = self.decide_each(room, &mut inputs, &mut entering).await;
        // What was placed for a room that could not be told of it is placed for nobody.
        for input in inputs {
            if let Input::Placed { station, .. } = input {
                self.unassign_later(station);
            }
        }
        drop(gate);
        if let Some(entering) = entering {
            Box::pin(self.welcome(entering)).await;
        }
        decided
    }

    async fn decide_each(
        &self,
        room: &RoomId,
        inputs: &mut VecDeque<Input>,
        entering: &mut Option<Entering>,
    ) -> Result<Decided, NodeError> {
        let mut decided = Decided::default();
        while let Some(input) = inputs.front() {
            let (revision, effects, due) = self.decide(room, input).await?;
            inputs.pop_front();
            let refused = decided.refused.or(refusal_in(&effects));
            let performed = self.perform(room, revision, effects).await;
            decided = Decided { due, refused: refused.or(performed.refused) };
            inputs.extend(performed.follow);
            *entering = performed.entering.or(entering.take());
        }
        self.release(room).await;
        Ok(decided)
    }

    fn gate_of(&self, id: &impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.salt, id).hash(&mut hasher);
        usize::try_from(hasher.finish() >> 1).unwrap_or_default()
    }

    async fn decide(
        &self,
        room: &RoomId,
        input: &Input,
    ) -> Result<(Revision, Effects, Option<Timestamp>), NodeError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let now = clock::now();
            let mut loaded = self.counted(self.store.load(room, input.asked(now)).await)?;
            if loaded.record.is_none() && matches!(input, Input::Join(_)) && self.hub.is_live(room) {
                // The store has lost it: it is given back before it is begun anew.
                self.restore(room, loaded.revision, None).await;
                loaded = self.counted(self.store.load(room, input.asked(now)).await)?;
            }
            let (revision, before) = (loaded.revision, loaded.record.clone());
            let mut decided = Room::new(&self.settings, room.clone(), loaded);
            let mut effects = decided.apply(now, input.clone());
            let change = std::mem::take(&mut effects.change);
            let due = decided.due_next();
            if matches!(input, Input::Join(_)) {
                self.attach(room).await?;
            }
            if change.is_empty() {
                self.hub.saw(room, revision, decided.record());
                return Ok((revision, effects, due));
            }
            let committed = self.counted(self.store.commit(room, revision, change).await);
            // It may have been done, and nobody is told: all who would have been look for themselves.
            let told = || before.iter().flat_map(|record| nodes_of(record)).cloned();
            match committed.inspect_err(|_| self.doubt(room, told()))? {
                Committed::Done(revision) => {
                    self.hub.saw(room, revision, decided.record());
                    if decided.record().is_none() {
                        self.hub.ended(room);
                    }
                    self.log_effects(now, &effects).await;
                    return Ok((revision, effects, due));
                }
                Committed::Conflict => self.metrics.commit_conflicts.inc(),
            }
        }
        Err(NodeError::Contended(room.clone()))
    }

    /// Relays between people who are all there change nothing, nor does what a participant who is there
    /// asks of a munit: both are decided on the record this node saw last, without the store. What was out
    /// of date goes to a connection that is gone, and is decided again, or to a munit that knows better.
    fn snapshot_for(&self, room: &RoomId, input: &Input) -> Option<(Revision, Arc<Record>)> {
        let Input::Signal { user, address, signal, .. } = input else { return None };
        match signal {
            RoomSignal::Offer(_)
            | RoomSignal::Answer(_)
            | RoomSignal::IceCandidate(_)
            | RoomSignal::Sync
            | RoomSignal::Watch(_)
            | RoomSignal::Unwatch(_)
            | RoomSignal::SimulcastUpdate(_) => {}
            RoomSignal::Leave
            | RoomSignal::UpdateVideo(_)
            | RoomSignal::Kick(_)
            | RoomSignal::PublishRequest
            | RoomSignal::PublishAccept(_)
            | RoomSignal::PublishReject(_) => return None,
        }
        let (revision, record) = self.hub.snapshot(room)?;
        let decides = match record.mode {
            Mode::P2p => record.participants.values().all(|participant| !participant.is_away()),
            Mode::P2m => false,
            Mode::M2m => record
                .participants
                .get(user)
                .is_some_and(|sender| sender.address == *address && !sender.is_away()),
        };
        decides.then_some((revision, record))
    }

    /// Notes that this node serves `room`, before anyone here can be in it. Only behind its gate.
    async fn attach(&self, room: &RoomId) -> Result<(), NodeError> {
        if !self.hub.holds(room) {
            self.counted(self.store.attach(&self.id, room).await)?;
            self.hub.hold(room);
        }
        Ok(())
    }

    /// Lets go of a room that nobody here is in any more. Only behind the room's gate, as [`Self::attach`].
    async fn release(&self, room: &RoomId) {
        if self.hub.forget_if_empty(room)
            && let Err(error) = self.counted(self.store.detach(&self.id, room).await)
        {
            tracing::debug!(%room, %error, "still noted as served; it is let go with the node");
        }
    }

    /// The room as it is now, and what the hub saw of it renewed.
    async fn reload(&self, room: &RoomId, asked: Asked) -> Result<Loaded, StoreError> {
        let loaded = self.counted(self.store.load(room, asked).await)?;
        self.hub.saw(room, loaded.revision, loaded.record.as_ref());
        Ok(loaded)
    }

    /// Tells of a state change of a munit.
    pub async fn log_munit(&self, name: &str, munit: &MunitId) {
        let data = serde_json::json!({ "munit": munit }).to_string().into();
        self.log(vec![Event { seq: 0, at: clock::now(), name: name.to_owned(), data }]).await;
    }

    async fn log_effects(&self, at: Timestamp, effects: &Effects) {
        let event = |event: &RoomEvent| {
            let data = event.data.to_string().into();
            Event { seq: 0, at, name: event.name.to_owned(), data }
        };
        self.log(effects.events.iter().map(event).collect()).await;
    }

    /// Logs what has happened: soon, by the task of a node that runs; at once where it does not.
    async fn log(&self, events: Vec<Event>) {
        let runs = self.events_waiting.lock().is_none();
        if !runs && !events.is_empty() {
            // That it could not be told undoes nothing.
            let _ = self.counted(self.store.append(events).await);
            return;
        }
        for event in events {
            if self.events.try_send(event).is_err() {
                tracing::warn!("too many events wait to be logged; one is dropped");
            }
        }
    }

    fn counted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &answer {
            self.metrics.store_failures.inc();
            tracing::warn!(%error, "store");
        }
        answer
    }
}

/// What is known once inputs were decided.
#[derive(Debug, Default)]
struct Decided {
    /// When the room must be looked at next.
    due: Option<Timestamp>,
    /// The code of a refusal.
    refused: Option<Code>,
}

/// The code of the refusal among the effects, if there is one.
fn refusal_in(effects: &Effects) -> Option<Code> {
    let told = effects.list.iter().find_map(|effect| {
        let Effect::Send { signal: ServerSignal::Error { code, .. }, .. } = effect else { return None };
        Some(*code)
    });
    told.or(effects.refused.as_ref().map(|refusal| refusal.code))
}

/// The nodes that hold a listed participant which is not away.
fn nodes_of(record: &Record) -> impl Iterator<Item = &NodeId> {
    record.participants.values().filter(|there| !there.is_away()).map(|there| &there.address.node)
}
