//! Drives one Janus by the munit's record and by what nodes ask, and tells what becomes of it.
//!
//! One task owns the plane; whatever takes time runs beside it and comes back as news. So signals of many
//! participants are in Janus' hands at once, and none waits for the store.

mod care;
mod events;
mod examine;
mod house;
mod janus;
mod port;
mod record;
mod refusal;
mod run;
mod spares;
mod tell;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use janus_client::{Change, Told};
use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{Capacity, Load, Record, State, Wanted};
use mobz_core::signal::{Code, MunitMessage, Refusal};
use mobz_core::store::{BusEvent, LoadedMunit, Revision, Store, StoreError};
use mobz_core::time::Timestamp;
use mobz_runtime::clock;
use mobz_runtime::node::{Node, NodeError};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use self::events::event_of;
pub use self::house::House;
pub use self::janus::{JanusError, Place};
pub use self::port::{MediaServer, Reach, Reached};
pub(crate) use self::run::Running;
use self::tell::{Tellers, Telling};
use crate::Ready;
use crate::metrics::Metrics;
use crate::moving::Moving;
use crate::plane::{Effect, Event, Handle, Input, Job, Outcome, Plane, Seen};

/// How many results of what runs beside the driver wait to be taken in; what has more waits itself.
const NEWS_MAX: usize = 1024;
/// The pause before Janus is looked at again where signals wait for what it has.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The pause before Janus is tried again; it doubles each time, up to [`JANUS_PAUSE_MAX`].
const JANUS_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause before Janus is tried again.
const JANUS_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a Janus whose connection broke is tried before it counts as dead.
const PROBES: u32 = 3;
/// The pause between two of these.
const PROBE_PAUSE: Duration = Duration::from_millis(150);

/// What a munit is.
#[derive(Clone, Debug)]
pub struct Munit {
    /// Its id.
    pub id: MunitId,
    /// Where it runs, for people.
    pub region: String,
    /// The address its media come from and go to, for people.
    pub address: String,
    /// What it can take.
    pub capacity: Capacity,
    /// Its Janus.
    pub janus: Arc<dyn Reach>,
}

/// Why a regulator did not start, or ended.
#[derive(Debug, Error)]
pub enum RegulatorError {
    /// There is no Janus.
    #[error("there is no Janus")]
    Janus(#[from] JanusError),
    /// The store failed at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record could not be changed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The rules say no.
    #[error("the munit is refused: {}", .0.message)]
    Refused(Refusal),
    /// Another process speaks for the munit.
    #[error("another regulator speaks for munit {0}; give this one another --munit ID")]
    Displaced(MunitId),
}

/// A regulator at work.
pub(crate) struct Driver {
    munit: Munit,
    /// This process among those that spoke or will speak for the munit.
    instance: String,
    node: Arc<Node>,
    store: Arc<dyn Store>,
    plane: Plane,
    /// `None` while it is away.
    janus: Option<Arc<dyn MediaServer>>,
    events: Option<BoxStream<'static, Told>>,
    changes: Option<BoxStream<'static, Change>>,
    /// Whether Janus takes requests now.
    connected: bool,
    record: Option<Arc<Record>>,
    revision: Revision,
    /// How the munit stood last.
    state: State,
    /// Whether the record is being read, and must be again.
    reading: Option<bool>,
    looking: Option<bool>,
    beating: bool,
    /// What the last heartbeat told.
    told_load: Load,
    caring: bool,
    /// Stations without a room that knows them at the last look.
    orphans: Vec<StationId>,
    /// The rooms that were asked to move their stations.
    moving: Moving,
    tellers: Tellers,
    news: mpsc::Sender<News>,
    tasks: TaskTracker,
    metrics: Metrics,
}

/// What comes back from what runs beside the driver.
#[derive(Debug)]
enum News {
    Done(Job, Outcome),
    Record(Timestamp, Result<LoadedMunit, StoreError>),
    /// The record was written anew, or could not be.
    Written(Result<(), RegulatorError>),
    Beat(Result<Option<Revision>, StoreError>),
    Seen(Timestamp, Vec<StationId>, Option<Vec<Seen>>),
    Unseen,
    LookAgain,
    Reached(Box<Reached>),
    /// This Janus is dead.
    Dead(Arc<dyn MediaServer>),
    Cared {
        orphans: Vec<StationId>,
        present: Vec<(RoomId, Timestamp, Vec<UserId>)>,
    },
}

impl Driver {
    /// Reaches Janus and registers the munit; from then on it is given stations.
    ///
    /// # Errors
    /// When Janus or the store cannot be reached, or another process speaks for the munit.
    pub(crate) async fn start(
        munit: Munit,
        store: Arc<dyn Store>,
        node: Arc<Node>,
        metrics: Metrics,
    ) -> Result<(Running, Ready), RegulatorError> {
        let instance = format!("{:016x}", clock::random() >> 64);
        let reached = munit.janus.reach(&munit.id, &instance).await?;
        let subscription = store.listen_munit(&munit.id).await?;
        let (news, coming) = mpsc::channel(NEWS_MAX);
        let Reached { janus, events, changes, predecessor } = reached;
        let ready = Ready { janus: janus.url().to_owned() };
        let mut driver = Self {
            plane: Plane::new(munit.id.clone(), munit.capacity.viewers),
            tellers: Tellers::start(&node, &store),
            munit,
            instance,
            node,
            store,
            janus: Some(janus),
            events: Some(events),
            changes: Some(changes),
            connected: true,
            record: None,
            revision: Revision::default(),
            state: State::Starting,
            reading: None,
            looking: None,
            beating: false,
            told_load: Load::default(),
            caring: false,
            orphans: Vec::new(),
            moving: Moving::default(),
            news,
            tasks: TaskTracker::new(),
            metrics,
        };
        driver.begin(predecessor).await?;
        Ok((Running { driver, coming, subscription }, ready))
    }

    /// Registers, and takes up what an earlier regulator left.
    async fn begin(&mut self, predecessor: Option<String>) -> Result<(), RegulatorError> {
        let took_over = predecessor.is_some();
        self.register(predecessor.as_deref()).await?;
        let since = clock::now();
        let loaded = self.store.load_munit(&self.munit.id).await?;
        let stations = loaded.record.as_ref().map(|record| record.stations.clone()).unwrap_or_default();
        (self.record, self.revision) = (loaded.record, loaded.revision);
        if let Some(janus) = self.janus.clone() {
            self.tasks.spawn(async move { janus.stock().await });
        }
        if took_over {
            self.apply(Input::TakeOver { since, stations });
        } else {
            // A Janus that has none of them: their publishers begin anew.
            for (station, assigned) in stations {
                self.lose(station, assigned.room);
            }
        }
        self.look();
        tracing::info!(munit = %self.munit.id, instance = self.instance, took_over, "regulator");
        Ok(())
    }

    fn apply(&mut self, input: Input) {
        for effect in self.plane.apply(clock::now(), input) {
            self.perform(effect);
        }
        self.metrics.load(self.plane.load());
        self.tell_empty();
    }

    /// Somebody may wait for a draining munit to be empty: it is told at once, not with the next heartbeat.
    fn tell_empty(&mut self) {
        let (load, empty) = (self.plane.load(), Load::default());
        let is_active = self.record.as_ref().is_none_or(|record| record.wanted == Wanted::Active);
        if load == empty && self.told_load != empty && !is_active {
            self.beat();
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Janus { job, command } => {
                let Some(janus) = self.janus.clone() else {
                    let message = "the media server is away; try again";
                    let refusal = Refusal::new(Code::MunitUnavailable, message).retry_after(JANUS_PAUSE_MAX);
                    let outcome = Outcome::Failed { refusal, unsure: false };
                    return self.beside(async move { Some(News::Done(job, outcome)) });
                };
                self.metrics.commands.inc();
                let news = self.news.clone();
                self.tasks.spawn(async move {
                    // As in `beside`.
                    drop(news.send(News::Done(job, janus.perform(command).await)).await);
                    janus.stock().await;
                });
            }
            Effect::Tell { whom, signal, re } => self.tellers.tell(Telling::Client { whom, signal, re }),
            Effect::Ack { reply_to, ack } => self.tellers.tell(Telling::Ack { reply_to, ack }),
            Effect::Signal { munit, signal, from } => {
                self.tellers.tell(Telling::Munit { munit, signal, from });
            }
            Effect::Examine(examining) => self.examine(*examining),
            Effect::ReadRecord => self.read_record(),
            Effect::Look => self.look(),
            Effect::Lost { station, room } => self.lose(station, room),
            Effect::Flows { station, room, user } => self.flows(station, room, user),
            Effect::Retire { station, room } => self.retire(station, room),
        }
    }

    /// Runs something beside the driver, whose news come back.
    fn beside(&self, task: impl Future<Output = Option<News>> + Send + 'static) {
        let news = self.news.clone();
        self.tasks.spawn(async move {
            if let Some(found) = task.await {
                // Nobody takes them in any more when the driver has ended.
                drop(news.send(found).await);
            }
        });
    }

    fn signal(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match serde_json::from_slice::<MunitMessage>(&message) {
                Ok(message) => {
                    self.metrics.signals.inc();
                    self.apply(Input::Signal(Box::new(message)));
                }
                Err(error) => tracing::warn!(%error, "cannot read a signal; it stays without answer"),
            },
            BusEvent::Resubscribed => {
                tracing::info!("listening again; signals may have been lost");
                self.read_record();
            }
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Of(id, event) => {
                let handle = Handle(id.0);
                if let Some(event) = event_of(event) {
                    if event == Event::Gone
                        && let Some(janus) = &self.janus
                    {
                        janus.forget(handle);
                    }
                    self.apply(Input::Event { handle, event });
                }
            }
            Told::Missed(missed) => {
                tracing::warn!(missed, "events of Janus were not taken in; looking at everything");
                self.look();
            }
        }
    }

    fn changed(&mut self, change: &Change) {
        match change {
            Change::Lost { reason } => {
                tracing::warn!(reason, "the connection to Janus broke");
                self.connected = false;
                self.probe();
            }
            Change::Claimed(_) | Change::Missed(_) => self.look(),
            Change::Connected => {
                self.connected = true;
                self.look();
            }
            Change::SessionGone(_) => self.janus.clone().into_iter().for_each(|janus| self.dead(&janus)),
            Change::Closed => {}
        }
    }

    /// Whether the Janus whose connection broke is still there; if not, nothing of it is waited for.
    fn probe(&self) {
        let Some(janus) = self.janus.clone() else { return };
        self.beside(async move {
            for _ in 0..PROBES {
                if janus.is_there().await {
                    return None;
                }
                sleep(PROBE_PAUSE).await;
            }
            Some(News::Dead(janus))
        });
    }

    /// Janus is gone with all it had: its stations are lost, and it is reached anew.
    fn dead(&mut self, janus: &Arc<dyn MediaServer>) {
        if !self.janus.as_ref().is_some_and(|now| Arc::ptr_eq(now, janus)) {
            return;
        }
        tracing::error!(munit = %self.munit.id, "Janus is gone; its stations are given up");
        (self.janus, self.events, self.changes, self.connected) = (None, None, None, false);
        self.metrics.janus_losses.inc();
        self.apply(Input::JanusGone);
        self.beat();
        let (janus, munit, instance) = (janus.clone(), self.munit.clone(), self.instance.clone());
        self.beside(async move {
            janus.close().await;
            drop(janus);
            // It may run still, without the session.
            munit.janus.end().await;
            let mut pause = JANUS_PAUSE_MIN;
            loop {
                match munit.janus.reach(&munit.id, &instance).await {
                    Ok(reached) => return Some(News::Reached(Box::new(reached))),
                    Err(error) => tracing::warn!(%error, "Janus cannot be reached"),
                }
                sleep(pause).await;
                pause = (pause * 2).min(JANUS_PAUSE_MAX);
            }
        });
    }

    fn look(&mut self) {
        let Some(janus) = self.janus.clone() else { return };
        if let Some(again) = &mut self.looking {
            *again = true;
            return;
        }
        self.looking = Some(false);
        let since = clock::now();
        self.beside(async move {
            match janus.look().await {
                Ok((rooms, handles)) => Some(News::Seen(since, rooms, handles)),
                Err(error) => {
                    tracing::warn!(%error, "cannot look at Janus");
                    Some(News::Unseen)
                }
            }
        });
    }

    /// Takes in what came back; whether the munit has come to its end.
    fn news(&mut self, news: News) -> Result<bool, RegulatorError> {
        match news {
            News::Done(job, outcome) => self.apply(Input::Done { job, outcome }),
            News::Record(since, loaded) => {
                let again = self.reading.take().unwrap_or(false);
                if let Ok(loaded) = loaded {
                    self.take_record(since, loaded)?;
                }
                if again {
                    self.read_record();
                }
            }
            News::Written(written) => {
                written?;
                self.read_record();
            }
            News::Beat(answer) => {
                self.beating = false;
                self.tell_empty();
                match answer {
                    Ok(Some(revision)) if revision == self.revision => {}
                    Ok(Some(_)) => self.read_record(),
                    Ok(None) => self.write_back(),
                    Err(error) => tracing::warn!(%error, "the store hears no heartbeat; media go on"),
                }
            }
            News::Seen(since, rooms, handles) => {
                let again = self.looking.take().unwrap_or(false);
                if let Some(handles) = handles {
                    self.apply(Input::Seen { since, rooms, handles });
                }
                if again {
                    self.look();
                }
            }
            News::Unseen => {
                self.looking = None;
                if self.plane.is_blind() {
                    self.beside(async {
                        sleep(LOOK_AGAIN).await;
                        Some(News::LookAgain)
                    });
                }
            }
            News::LookAgain => self.look(),
            News::Reached(reached) => {
                let Reached { janus, events, changes, .. } = *reached;
                tracing::info!(munit = %self.munit.id, pid = janus.pid(), "Janus is back");
                (self.janus, self.events, self.changes) = (Some(janus), Some(events), Some(changes));
                self.connected = true;
                if let Some(janus) = self.janus.clone() {
                    self.tasks.spawn(async move { janus.stock().await });
                }
                self.beat();
                self.read_record();
            }
            News::Dead(janus) => self.dead(&janus),
            News::Cared { orphans, present } => self.cared(orphans, present),
        }
        Ok(self.live())
    }
}

/// A message as it goes over the bus.
fn written<T: serde::Serialize>(message: &T) -> Bytes {
    serde_json::to_vec(message).unwrap_or_else(|_| unreachable!("no map with odd keys")).into()
}
