//! The munit's record: registered, read, beaten for, written back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mobz_core::id::{RoomId, StationId, UserId};
use mobz_core::munit::{self, BEAT_MISSING_MAX, Beat, Registration, State, Wanted};
use mobz_core::room::Input as RoomInput;
use mobz_core::signal::MunitSignal;
use mobz_core::store::{Asked, LoadedMunit, Store, StoreError};
use mobz_core::time::Timestamp;
use mobz_runtime::clock;
use tokio::time::sleep;

use super::{Driver, News, RegulatorError};
use crate::lifecycle::{self, Step};
use crate::plane::Input;

/// How long a munit that somebody else beats for is looked at until that one is silent.
const DISPLACE_WAIT: Duration = BEAT_MISSING_MAX;
/// The pause between two looks.
const DISPLACE_PAUSE: Duration = Duration::from_millis(500);
/// The event that tells that a regulator speaks for the munit from now on.
const REGISTERED: &str = "munit.registered";
/// The pause before the store is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Driver {
    fn registration(&self) -> Registration {
        Registration {
            munit: self.munit.id.clone(),
            region: self.munit.region.clone(),
            address: self.munit.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capacity: self.munit.capacity,
            instance: self.instance.clone(),
        }
    }

    /// Speaks for the munit from now on. Who spoke for it before is silent: it is the one whose session
    /// was taken over, or it is waited for until it beats no more.
    pub(super) async fn register(&mut self, predecessor: Option<&str>) -> Result<(), RegulatorError> {
        let deadline = clock::now().after(DISPLACE_WAIT);
        loop {
            let LoadedMunit { record, beat, .. } = self.store.load_munit(&self.munit.id).await?;
            let speaks = record.filter(|record| predecessor != Some(&record.instance) && !record.lost);
            let speaks = speaks.filter(|record| !matches!(record.wanted, Wanted::Stopped { .. }));
            let heard = speaks.map(|record| record.heard_at(beat.as_ref()));
            if heard.is_none_or(|heard| clock::now().since(heard) > BEAT_MISSING_MAX) {
                break;
            }
            if clock::now() > deadline {
                return Err(RegulatorError::Displaced(self.munit.id.clone()));
            }
            sleep(DISPLACE_PAUSE).await;
        }
        self.change(munit::Input::Register(self.registration())).await?;
        self.node.log_munit(REGISTERED, &self.munit.id).await;
        Ok(())
    }

    async fn change(&mut self, input: munit::Input) -> Result<(), RegulatorError> {
        self.node.change_munit(&self.munit.id, input).await?.map_err(RegulatorError::Refused)
    }

    /// Says that the munit lives.
    pub(super) fn beat(&mut self) {
        self.metrics.ready.store(self.janus.is_some() && self.connected, Ordering::Relaxed);
        if std::mem::replace(&mut self.beating, true) {
            return;
        }
        self.told_load = self.plane.load();
        let beat = self.beat_now();
        let (store, munit) = (self.store.clone(), self.munit.id.clone());
        self.beside(async move { Some(News::Beat(store.beat_munit(&munit, &beat).await)) });
    }

    /// Logs how full the munit is. In the cloud munits are scaled by this very line: its message and its `load`
    /// are what templates/stacks/munit.yaml looks for.
    pub(super) fn log_load(&self) {
        let load = self.plane.load();
        let percent = load.percent_of(self.munit.capacity);
        tracing::info!(load = percent, stations = load.stations, viewers = load.viewers, "munit load");
    }

    fn beat_now(&self) -> Beat {
        let ready = self.janus.is_some() && self.connected;
        Beat { instance: self.instance.clone(), at: clock::now(), ready, load: self.plane.load() }
    }

    /// Tells how the munit stands where that has changed by itself; what operators do is told by them, and
    /// the end by whoever sees it.
    fn tell_state(&mut self, record: &munit::Record) {
        let state = record.state(Some(&self.beat_now()), clock::now());
        let was = std::mem::replace(&mut self.state, state);
        let name = match (was, state) {
            (State::Active, State::Starting) => "munit.starting",
            (State::Starting, State::Active) => "munit.active",
            (State::Starting | State::Active | State::Draining, State::Drained) => "munit.drained",
            (
                State::Starting
                | State::Active
                | State::Draining
                | State::Drained
                | State::Stopped
                | State::Lost,
                _,
            ) => return,
        };
        let (node, munit) = (self.node.clone(), self.munit.id.clone());
        self.beside(async move {
            node.log_munit(name, &munit).await;
            None
        });
    }

    pub(super) fn read_record(&mut self) {
        if let Some(again) = &mut self.reading {
            *again = true;
            return;
        }
        self.reading = Some(false);
        let (store, munit, since) = (self.store.clone(), self.munit.id.clone(), clock::now());
        self.beside(async move { Some(News::Record(since, store.load_munit(&munit).await)) });
    }

    pub(super) fn take_record(
        &mut self,
        since: Timestamp,
        loaded: LoadedMunit,
    ) -> Result<(), RegulatorError> {
        let Some(record) = loaded.record else {
            self.write_back();
            return Ok(());
        };
        if record.instance != self.instance {
            return Err(RegulatorError::Displaced(self.munit.id.clone()));
        }
        if record.lost {
            // It was silent for too long, and its stations are elsewhere: it begins anew.
            tracing::warn!(munit = %self.munit.id, "the munit was given up while it lived; it begins anew");
            let (node, munit, registration) = (self.node.clone(), self.munit.id.clone(), self.registration());
            self.beside(async move {
                let registered = node.change_munit(&munit, munit::Input::Register(registration)).await;
                let registered = registered.map_err(RegulatorError::Node);
                node.log_munit(REGISTERED, &munit).await;
                Some(News::Written(registered.and_then(|done| done.map_err(RegulatorError::Refused))))
            });
        }
        self.revision = loaded.revision;
        if self.janus.is_some() {
            self.apply(Input::Record { since, stations: record.stations.clone() });
        }
        self.record = Some(record);
        Ok(())
    }

    /// The store has lost the record: it is given it back, with the stations there are.
    pub(super) fn write_back(&mut self) {
        let fresh =
            munit::apply(&self.munit.id, None, clock::now(), munit::Input::Register(self.registration()));
        let fresh = match fresh {
            munit::Decided::Put(record) => Some(record),
            munit::Decided::Same | munit::Decided::Refused(_) => None,
        };
        let Some(record) = self.record.clone().or(fresh) else { return };
        let mut record = Arc::unwrap_or_clone(record);
        let held = self.plane.stations();
        let (store, node, munit) = (self.store.clone(), self.node.clone(), self.munit.id.clone());
        self.beside(async move {
            record.stations.clear();
            for (station, assigned) in held {
                match is_elsewhere(&store, &assigned.room, &station, &assigned).await {
                    Ok(true) => {}
                    Ok(false) => drop(record.stations.insert(station, assigned)),
                    Err(_) => return None,
                }
            }
            let loaded = store.load_munit(&munit).await.ok()?;
            if loaded.record.is_none() {
                let stations = record.stations.len();
                let written =
                    store.commit_munit(&munit, loaded.revision, Some(Arc::new(record))).await.ok()?;
                tracing::info!(%munit, stations, ?written, "gave the store its munit back");
                node.log_munit(REGISTERED, &munit).await;
            }
            Some(News::Written(Ok(())))
        });
    }

    /// Tells a room that a station is lost, until the store takes it; then it goes from the record.
    pub(super) fn lose(&self, station: StationId, room: RoomId) {
        let (node, munit) = (self.node.clone(), self.munit.id.clone());
        self.metrics.stations_lost.inc();
        self.beside(async move {
            node.insist(&room, RoomInput::StationLost { station: station.clone(), retry: true }).await;
            while let Err(error) = node.change_munit(&munit, munit::Input::Unassign(station.clone())).await {
                tracing::warn!(%station, %error, "the station is still on record");
                sleep(STORE_PAUSE).await;
            }
            None
        });
    }

    /// A publisher's media flow here: if it has moved, the munit that it moves from hands its viewers over.
    pub(super) fn flows(&self, station: StationId, room: RoomId, user: UserId) {
        let (store, node) = (self.store.clone(), self.node.clone());
        self.beside(async move {
            let loaded = store.load(&room, Asked::Users(Vec::new())).await.ok()?;
            let publisher = loaded.record?.participants.get(&user).cloned()?;
            let from =
                publisher.previous.as_ref().filter(|_| publisher.station.as_ref() == Some(&station))?;
            let signal = MunitSignal::HandOver { station: from.station.clone(), to: station };
            node.wake_munit(&from.station.munit()?, signal).await;
            None
        });
    }

    /// A station has done its work: its room lets it go.
    pub(super) fn retire(&self, station: StationId, room: RoomId) {
        let node = self.node.clone();
        self.beside(async move {
            if let Err(error) = node.submit(&room, RoomInput::Retire(station.clone())).await {
                tracing::warn!(%station, %error, "the station stays a little longer");
            }
            None
        });
    }

    /// Does what the record wants beyond its stations; whether the munit has come to its end.
    pub(super) fn live(&mut self) -> bool {
        let Some(record) = self.record.clone() else { return false };
        self.tell_state(&record);
        let now = clock::now();
        let (mut ends, mut moves) = (false, BTreeMap::new());
        for step in lifecycle::steps(&record, self.plane.load(), now) {
            match step {
                Step::GiveUp(station) => self.apply(Input::GiveUp(station)),
                Step::Move(station, room) => drop(moves.insert(station, room)),
                Step::End => ends = true,
            }
        }
        let plane = &self.plane;
        for (station, room) in self.moving.ask(now, moves, |station| plane.connections(station)) {
            self.ask_to_move(station, room);
        }
        ends
    }

    fn ask_to_move(&self, station: StationId, room: RoomId) {
        let node = self.node.clone();
        self.beside(async move {
            let input = RoomInput::Move { station: station.clone(), to: None };
            match node.submit(&room, input).await {
                Ok(None) => {}
                Ok(Some(code)) => tracing::warn!(%station, ?code, "the station stays for now"),
                Err(error) => tracing::warn!(%station, %error, "the station stays for now"),
            }
            None
        });
    }

    /// The regulator ends. Asked to, a munit with a Janus of its own ends with it: its rooms are told. A Janus
    /// that was there before goes on, and so does the one of a regulator that broke: both wait for the next.
    pub(super) async fn end(&mut self, served: &Result<(), RegulatorError>) {
        let is_stopped =
            self.record.as_ref().is_some_and(|record| matches!(record.wanted, Wanted::Stopped { .. }));
        let speaks = served.is_ok();
        if speaks && (self.munit.janus.is_own() || is_stopped) {
            for station in self.plane.stations().into_keys() {
                self.apply(Input::GiveUp(station));
            }
            self.tasks.close();
            self.tasks.wait().await;
            if let Err(error) = self.say_stopped().await {
                tracing::warn!(%error, "the record does not say that the munit has ended");
            }
            if let Some(janus) = &self.janus {
                janus.end_session().await;
            }
        }
        if let Some(janus) = self.janus.take() {
            janus.close().await;
        }
        // Of one that another speaks for, nobody takes the Janus over: that one has its own.
        let is_displaced = matches!(served, Err(RegulatorError::Displaced(_)));
        if speaks || is_displaced {
            self.munit.janus.end().await;
        }
    }
}

impl Driver {
    /// Says that the munit has ended, so that nobody has to miss it first.
    async fn say_stopped(&mut self) -> Result<(), RegulatorError> {
        self.change(munit::Input::Stop { grace: Duration::ZERO }).await?;
        Ok(self.node.give_up_munit(&self.munit.id).await?)
    }
}

/// Whether the room says that the publisher's station is another.
async fn is_elsewhere(
    store: &Arc<dyn Store>,
    room: &RoomId,
    station: &StationId,
    assigned: &munit::Assigned,
) -> Result<bool, StoreError> {
    let loaded = store.load(room, Asked::Users(Vec::new())).await?;
    let publisher = loaded.record.as_ref().and_then(|record| record.participants.get(&assigned.user));
    Ok(publisher.is_some_and(|publisher| {
        publisher.station.is_some() && !publisher.stations().any(|named| named == station)
    }))
}
