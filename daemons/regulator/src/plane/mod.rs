//! The media plane of one munit, as a pure state: its stations, who publishes, who watches and who waits to.
//!
//! [`Plane::apply`] decides one input; the driver has Janus do what follows and hands in how that ended.
//! Signals of one participant on one station are done one after another, each once the one before is
//! answered by Janus; all others at the same time: a watch that waits for its publisher holds up nobody.

mod event;
mod layer;
mod migrate;
mod port;
mod publish;
mod report;
mod seen;
mod signal;
mod station;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::{MunitId, StationId, UserId};
use mobz_core::munit::{Assigned, Load};
use mobz_core::signal::{Code, MunitSignal, Refusal};
use mobz_core::time::Timestamp;

pub use self::port::{Command, Effect, Event, Handle, Input, Job, Kind, Outcome, Seen, Stream, Whom};
pub use self::publish::offer_session;
pub use self::report::{Examining, Known, Watched};
use self::signal::{Ask, Parked};
use self::station::{Lane, Phase, Station, Step, Watcher, Watching};
use crate::opaque::Opaque;
use crate::reconcile::{self, reconcile};

/// The media plane of one munit.
#[derive(Debug)]
pub struct Plane {
    munit: MunitId,
    /// The most stations watched at a time, summed over all viewers.
    viewers_max: usize,
    stations: BTreeMap<StationId, Station>,
    handles: BTreeMap<Handle, Held>,
    jobs: BTreeMap<Job, Doing>,
    last_job: u64,
    /// Stations whose rooms are being destroyed, and what they shall be after it.
    ending: BTreeMap<StationId, Option<Assigned>>,
    /// Signals for stations that only the record may know, or for what Janus may have.
    parked: Vec<Parked>,
    /// Whether it still has to find out what Janus has of an earlier regulator's.
    blind: bool,
    /// Whether something was seen that a command on its way may explain: once that is answered, one looks again.
    looks_again: bool,
    now: Timestamp,
    out: Vec<Effect>,
}

/// Whose a handle is.
#[derive(Clone, Debug)]
struct Held {
    seat: Seat,
    since: Timestamp,
}

/// One participant on one station: its publisher, or a watcher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    station: StationId,
    /// Which watcher; `None` is the publisher.
    watcher: Option<UserId>,
}

/// What a command to Janus is for.
#[derive(Debug)]
enum Doing {
    Make(StationId),
    Destroy(StationId),
    /// Nobody waits for it.
    Detach,
    Of(Seat, Step),
}

impl Plane {
    /// An empty one of `munit`, which lets at most `viewers_max` stations be watched, summed over all viewers.
    pub fn new(munit: MunitId, viewers_max: usize) -> Self {
        Self {
            munit,
            viewers_max,
            stations: BTreeMap::new(),
            handles: BTreeMap::new(),
            jobs: BTreeMap::new(),
            last_job: 0,
            ending: BTreeMap::new(),
            parked: Vec::new(),
            blind: false,
            looks_again: false,
            now: Timestamp::default(),
            out: Vec::new(),
        }
    }

    /// Decides `input` at `now`.
    pub fn apply(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.now = now;
        match input {
            Input::Signal(message) => self.signal(*message),
            Input::TakeOver { since, stations } => {
                self.blind = true;
                self.record(since, &stations);
            }
            Input::Record { since, stations } => self.record(since, &stations),
            Input::Done { job, outcome } => self.done(job, outcome),
            Input::Event { handle, event } => self.event(handle, event),
            Input::Seen { since, rooms, handles } => self.seen(since, &rooms, handles),
            Input::JanusGone => self.janus_gone(),
            Input::GiveUp(station) => self.lose(&station),
            Input::Present { room, since, users } => self.present(&room, since, &users),
            Input::Due => self.pass(),
        }
        std::mem::take(&mut self.out)
    }

    /// What it carries.
    pub fn load(&self) -> Load {
        let watching =
            |station: &Station| station.watchers.values().filter(|watcher| watcher.counts()).count();
        Load { stations: self.stations.len(), viewers: self.stations.values().map(watching).sum() }
    }

    /// How many connections a station has: its publisher's, and one for each who watches.
    pub fn connections(&self, station: &StationId) -> usize {
        self.stations.get(station).map_or(0, |station| 1 + station.watchers.len())
    }

    /// Whether media signals wait until it has seen what Janus has.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// The stations it has, as a record would name them.
    pub fn stations(&self) -> BTreeMap<StationId, Assigned> {
        self.stations.iter().map(|(id, station)| (id.clone(), station.assigned.clone())).collect()
    }

    /// When [`Input::Due`] has something to do next.
    pub fn due(&self) -> Option<Timestamp> {
        let watchers = self.stations.values().flat_map(|station| station.watchers.values());
        let retiring = self.stations.values().filter_map(|station| station.retires);
        watchers.filter_map(Watcher::due).chain(retiring).min()
    }

    /// Makes itself what the record says. What was told after reading it began is news to it, and stays.
    fn record(&mut self, since: Timestamp, wanted: &BTreeMap<StationId, Assigned>) {
        let has: BTreeSet<StationId> = self.stations.keys().cloned().collect();
        for step in reconcile(wanted, &has) {
            match step {
                reconcile::Step::Make(station, assigned) => self.assign(station, assigned),
                reconcile::Step::End(station) => {
                    if self.stations.get(&station).is_some_and(|station| station.told < since) {
                        self.end(&station);
                    }
                }
            }
        }
        self.unpark(since);
    }

    /// Does what was parked before the record was read, `since` when its reading began.
    fn unpark(&mut self, since: Timestamp) {
        if self.blind {
            return;
        }
        let (decided, wait) =
            std::mem::take(&mut self.parked).into_iter().partition(|parked| parked.at < since);
        self.parked = wait;
        let decided: Vec<Parked> = decided;
        for Parked { ask, signal, .. } in decided {
            match signal::station_of(&signal) {
                Some(station) if self.stations.contains_key(station) => self.enqueue(ask, signal),
                Some(_) | None => {
                    // The record knows best which stations there are: a room that names another is told.
                    if let (MunitSignal::Publish { station, .. }, Some(from)) = (&signal, &ask.from) {
                        let (station, room) = (station.clone(), from.room.clone());
                        self.out.push(Effect::Lost { station, room });
                    }
                    self.refuse(&ask, no_such_station());
                }
            }
        }
        if !self.parked.is_empty() {
            // As young as this reading, or younger: nothing else has it read again.
            self.out.push(Effect::ReadRecord);
        }
    }

    /// Has the station from now on.
    fn assign(&mut self, id: StationId, assigned: Assigned) {
        if let Some(station) = self.stations.get_mut(&id) {
            station.told = self.now;
            return;
        }
        if let Some(then) = self.ending.get_mut(&id) {
            *then = Some(assigned);
            return;
        }
        self.stations.insert(id.clone(), Station::new(assigned, self.now));
        self.make(id);
    }

    fn make(&mut self, id: StationId) {
        if let Some(station) = self.stations.get_mut(&id) {
            station.phase = Phase::Making;
        }
        self.start(Doing::Make(id.clone()), Command::Make(id));
    }

    /// The station goes, with all that watch it.
    fn end(&mut self, id: &StationId) {
        if let Some(then) = self.ending.get_mut(id) {
            *then = None;
        }
        let Some(station) = self.stations.remove(id) else { return };
        let publisher = station.publisher.link.iter().map(|link| link.handle);
        let handles: Vec<Handle> =
            publisher.chain(station.watchers.values().filter_map(Watcher::handle)).collect();
        let Station { publisher, watchers, phase, .. } = station;
        let lanes = std::iter::once(publisher.lane).chain(watchers.into_values().map(|watcher| {
            if let Watching::Waiting { ask, .. } = &watcher.state {
                self.refuse(ask, ended());
            }
            watcher.lane
        }));
        for ask in lanes.collect::<Vec<Lane>>().into_iter().flat_map(Lane::into_asks) {
            self.refuse(&ask, ended());
        }
        match phase {
            // Its answer is awaited first: a room is not made behind its end.
            Phase::Making => drop(self.ending.insert(id.clone(), None)),
            Phase::Ready | Phase::Unmade => self.destroy(id.clone()),
        }
        for handle in handles {
            self.detach(handle);
        }
    }

    fn destroy(&mut self, id: StationId) {
        self.ending.entry(id.clone()).or_default();
        self.start(Doing::Destroy(id.clone()), Command::Destroy(id));
    }

    fn detach(&mut self, handle: Handle) {
        self.handles.remove(&handle);
        self.start(Doing::Detach, Command::Detach(handle));
    }

    /// The station is lost to its room, which may place it elsewhere.
    fn lose(&mut self, id: &StationId) {
        if let Some(station) = self.stations.get(id) {
            self.out.push(Effect::Lost { station: id.clone(), room: station.assigned.room.clone() });
            self.end(id);
        }
    }

    fn janus_gone(&mut self) {
        for (id, station) in std::mem::take(&mut self.stations) {
            self.out.push(Effect::Lost { station: id, room: station.assigned.room });
            let watchers = station.watchers.into_values().map(|watcher| (watcher.lane, watcher.state));
            let publisher = (station.publisher.lane, Watching::Idle);
            for (lane, state) in std::iter::once(publisher).chain(watchers) {
                for ask in state.into_ask().into_iter().chain(lane.into_asks()) {
                    self.refuse(&ask, unavailable());
                }
            }
        }
        for doing in std::mem::take(&mut self.jobs).into_values() {
            if let Doing::Of(_, step) = doing {
                step.into_ask().inspect(|ask| self.refuse(ask, unavailable()));
            }
        }
        for (id, assigned) in std::mem::take(&mut self.ending) {
            assigned.inspect(|assigned| {
                self.out.push(Effect::Lost { station: id, room: assigned.room.clone() });
            });
        }
        self.handles.clear();
        self.blind = false;
        for Parked { ask, .. } in std::mem::take(&mut self.parked) {
            self.refuse(&ask, unavailable());
        }
    }

    /// Gives Janus a command.
    fn start(&mut self, doing: Doing, command: Command) -> Job {
        self.last_job += 1;
        let job = Job(self.last_job);
        self.jobs.insert(job, doing);
        self.out.push(Effect::Janus { job, command });
        job
    }

    /// Gives Janus a command of a seat, whose further signals wait for its outcome.
    fn start_of(&mut self, seat: &Seat, step: Step, command: Command) {
        let job = self.start(Doing::Of(seat.clone(), step), command);
        if let Some(lane) = self.lane(seat) {
            lane.busy = Some(job);
        }
    }

    fn done(&mut self, job: Job, outcome: Outcome) {
        let is_unsure = matches!(outcome, Outcome::Failed { unsure: true, .. });
        if is_unsure || std::mem::take(&mut self.looks_again) {
            self.out.push(Effect::Look);
        }
        match self.jobs.remove(&job) {
            None | Some(Doing::Detach) => {}
            Some(Doing::Make(id)) => self.made(id, outcome),
            Some(Doing::Destroy(id)) => {
                if let Some(Some(assigned)) = self.ending.remove(&id) {
                    self.assign(id, assigned);
                }
            }
            Some(Doing::Of(seat, step)) => {
                let is_waited_for = self.lane(&seat).is_some_and(|lane| lane.busy == Some(job));
                if !is_waited_for {
                    return self.too_late(step, &outcome);
                }
                if let Some(lane) = self.lane(&seat) {
                    lane.busy = None;
                }
                self.took(&seat, step, outcome);
                self.advance(&seat);
            }
        }
    }

    fn made(&mut self, id: StationId, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Failed { refusal, .. } => Some(refusal),
            Outcome::Done | Outcome::Published { .. } | Outcome::Subscribed { .. } => None,
        };
        let Some(station) = self.stations.get_mut(&id) else { return self.destroy(id) };
        station.since = self.now;
        station.phase = if failed.is_some() { Phase::Unmade } else { Phase::Ready };
        if let Some(refusal) = failed {
            for ask in station.publisher.lane.take_asks() {
                self.refuse(&ask, refusal.clone());
            }
        }
        self.advance(&Seat { station: id, watcher: None });
    }

    /// The seat of a command has gone, or begun anew: what it brought goes too.
    fn too_late(&mut self, step: Step, outcome: &Outcome) {
        match outcome {
            Outcome::Published { handle, .. } | Outcome::Subscribed { handle, .. } => self.detach(*handle),
            Outcome::Done | Outcome::Failed { .. } => {}
        }
        step.into_ask().inspect(|ask| self.refuse(ask, ended()));
    }

    fn lane(&mut self, seat: &Seat) -> Option<&mut Lane> {
        let station = self.stations.get_mut(&seat.station)?;
        match &seat.watcher {
            None => Some(&mut station.publisher.lane),
            Some(user) => Some(&mut station.watchers.get_mut(user)?.lane),
        }
    }

    fn hold(&mut self, handle: Handle, seat: &Seat) {
        self.handles.insert(handle, Held { seat: seat.clone(), since: self.now });
    }

    fn opaque(&self, seat: &Seat, ask: Option<&Ask>) -> Option<Opaque> {
        let station = self.stations.get(&seat.station)?;
        let asker = ask.and_then(|ask| ask.from.as_ref());
        let room = asker.map_or(&station.assigned.room, |from| &from.room).clone();
        let (role, user) = match &seat.watcher {
            None => (crate::opaque::Role::Publisher, &station.assigned.user),
            Some(user) => (crate::opaque::Role::Watcher, user),
        };
        Some(Opaque { role, room, station: seat.station.clone(), user: user.clone() })
    }
}

fn no_such_station() -> Refusal {
    Refusal::new(Code::NoSuchStation, "there is no such station here; send Sync for those there are")
}

fn ended() -> Refusal {
    Refusal::new(Code::NoSuchStation, "the station has ended; send Sync for those there are")
}

fn unavailable() -> Refusal {
    let message = "the media server has ended; its publishers are placed elsewhere: try again";
    Refusal::new(Code::MunitUnavailable, message).retry_after(std::time::Duration::from_secs(1))
}
