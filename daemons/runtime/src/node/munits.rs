//! Munits as a node changes them: stations put on their records and taken off, munits that are lost.
//!
//! The record first, then the signal that wakes: what a munit misses it reads.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mobz_core::id::{MunitId, RoomId, StationId};
use mobz_core::munit::{self, CAPACITY_RETRY, Decided};
use mobz_core::placement::{CANDIDATES_MAX, choose};
use mobz_core::room::{Input, Placing, Purpose};
use mobz_core::signal::{Code, MunitSignal, Refusal, ServerSignal};
use mobz_core::store::{Committed, LoadedMunit, StoreError};
use mobz_core::time::{Timestamp, millis};

use super::run::SILENCE_MAX;
use super::{COMMIT_ATTEMPTS_MAX, Node, NodeError};
use crate::clock;
use crate::hub::Outbound;

/// How many munits are asked to take one station before it is refused.
const PLACE_ATTEMPTS_MAX: usize = 8;
/// The most stations that wait for the store to be taken off their munits' records; those beyond are
/// left for the munits to find.
const UNASSIGN_WAITING_MAX: usize = 100_000;
/// How many lost munits, and how many rooms of each, are told at once.
const LOST_AT_ONCE: usize = 16;

impl Node {
    /// Decides `input` on a munit and commits it; a refusal by the rules is the inner error. Whoever has to
    /// hear of it still has to be told ([`Node::wake_munit`]).
    ///
    /// # Errors
    /// When the store fails or others keep changing the munit; nothing was changed then, as far as is known.
    pub async fn change_munit(
        &self,
        munit: &MunitId,
        input: munit::Input,
    ) -> Result<Result<(), Refusal>, NodeError> {
        self.change_munit_unless(munit, input, |_, _| None).await
    }

    /// Tells a munit what its record says already; it may miss that.
    pub async fn wake_munit(&self, munit: &MunitId, signal: MunitSignal) {
        self.signal_munit(munit, signal, None).await;
    }

    /// As [`Self::change_munit`], refused too where `refuses` says so of the munit as loaded.
    pub(crate) async fn change_munit_unless(
        &self,
        munit: &MunitId,
        input: munit::Input,
        refuses: impl Fn(&LoadedMunit, Timestamp) -> Option<Refusal>,
    ) -> Result<Result<(), Refusal>, NodeError> {
        let _gate = self.munit_gates[self.gate_of(munit) % self.munit_gates.len()].lock().await;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let now = clock::now();
            let loaded = self.counted(self.store.load_munit(munit).await)?;
            if let Some(refusal) = refuses(&loaded, now) {
                return Ok(Err(refusal));
            }
            let record = match munit::apply(munit, loaded.record.as_deref(), now, input.clone()) {
                Decided::Same => return Ok(Ok(())),
                Decided::Refused(refusal) => return Ok(Err(refusal)),
                Decided::Put(record) => record,
            };
            match self.counted(self.store.commit_munit(munit, loaded.revision, Some(record)).await)? {
                Committed::Done(_) => return Ok(Ok(())),
                Committed::Conflict => self.metrics.commit_conflicts.inc(),
            }
        }
        Err(NodeError::MunitContended(munit.clone()))
    }

    /// Puts a station on some munit's record; what the room is told of it, or why there is none.
    pub(super) async fn place(&self, room: &RoomId, placing: Box<Placing>) -> Result<Input, Refusal> {
        let placed = self.try_place(room, &placing).await.unwrap_or_else(|error| Err(error.refusal()));
        let outcome = if placed.is_ok() { "placed" } else { "refused" };
        self.metrics.placements.with_label_values(&[outcome]).inc();
        match placed {
            Ok(station) => Ok(Input::Placed { placing, station }),
            Err(refusal) => {
                if let Purpose::Publish { re, .. } = placing.purpose {
                    let signal = ServerSignal::from(refusal.clone());
                    self.count_refusal(&signal);
                    self.push(&placing.address, Outbound::news(signal.to_json(re.as_deref())));
                }
                Err(refusal)
            }
        }
    }

    async fn try_place(
        &self,
        room: &RoomId,
        placing: &Placing,
    ) -> Result<Result<StationId, Refusal>, NodeError> {
        let Placing { user, room_has, on, .. } = placing;
        let mut apart_from = placing.apart_from.clone();
        for _ in 0..PLACE_ATTEMPTS_MAX {
            let munit = if let Some(named) = on {
                named.clone()
            } else {
                let candidates = self.counted(self.store.candidates(CANDIDATES_MAX).await)?;
                match choose(&candidates, room_has, &apart_from, chance()) {
                    Some(chosen) => chosen.clone(),
                    None => break,
                }
            };
            let station = StationId::on(&munit, chance());
            let (user, room) = (user.clone(), room.clone());
            let assign = munit::Input::Assign { station: station.clone(), user, room };
            match self.change_munit_unless(&munit, assign, takes_none).await {
                Ok(Ok(())) => return Ok(Ok(station)),
                Ok(Err(refusal)) if on.is_some() => return Ok(Err(refusal)),
                Ok(Err(_)) | Err(NodeError::MunitContended(_)) => apart_from.push(munit),
                Err(error) => {
                    // It may have been committed, although nobody could say so.
                    self.unassign_later(station);
                    return Err(error);
                }
            }
        }
        let message = "no munit can take a station now; Offer again later";
        Ok(Err(Refusal::new(Code::NoCapacity, message).retry_after(CAPACITY_RETRY)))
    }

    /// Takes a station off its munit's record and tells the munit; later, where the store does not answer.
    pub(crate) async fn unassign(&self, station: StationId) {
        let Some(munit) = station.munit() else {
            return tracing::warn!(%station, "a station that names no munit is on none");
        };
        match self.change_munit(&munit, munit::Input::Unassign(station.clone())).await {
            Ok(Ok(())) => self.wake_munit(&munit, MunitSignal::Unassign { station }).await,
            Ok(Err(refusal)) => tracing::warn!(%station, message = refusal.message, "cannot unassign"),
            Err(error) => {
                tracing::warn!(%station, %error, "the station is unassigned once the store answers");
                self.unassign_later(station);
            }
        }
    }

    /// Notes that a station must go from its munit's record.
    pub(super) fn unassign_later(&self, station: StationId) {
        let mut waiting = self.unassigning.lock();
        if waiting.len() < UNASSIGN_WAITING_MAX {
            waiting.insert(station);
        }
    }

    /// Sees to what was noted, now that the store answers again.
    pub(super) async fn unassign_waiting(&self) {
        let waiting = std::mem::take(&mut *self.unassigning.lock());
        for station in waiting {
            self.unassign(station).await;
        }
    }

    /// The munits that were not heard for `silence`, each told to one node alone; without it none, which only
    /// tells whether the store answers.
    pub(super) async fn silent_munits(&self, silence: Option<Duration>) -> Result<Vec<MunitId>, StoreError> {
        let now = clock::now();
        let before = silence.map_or(0, |silence| now.as_millis().saturating_sub(millis(silence)));
        self.store.claim_silent_munits(now, Timestamp::from_millis(before)).await
    }

    /// Tells the rooms of munits that were not heard for `silence` that their stations are lost.
    pub(super) async fn give_up(&self, munits: Vec<MunitId>, silence: Duration) {
        let each = |munit: MunitId| async move {
            if let Err(error) = self.lose_munit(&munit, silence).await {
                tracing::warn!(%munit, %error, "the munit stays lost and unseen to");
            }
        };
        stream::iter(munits).for_each_concurrent(LOST_AT_ONCE, each).await;
    }

    async fn lose_munit(&self, munit: &MunitId, silence: Duration) -> Result<(), NodeError> {
        let is_heard = |record: &munit::Record, loaded: &LoadedMunit| {
            record.lost || clock::now().since(record.heard_at(loaded.beat.as_ref())) < silence
        };
        self.give_up_unless(munit, is_heard).await
    }

    /// Tells the rooms of a munit's stations that they are lost, then its record that it is.
    ///
    /// # Errors
    /// When the store fails or others keep changing the munit; what is left is given up by who finds it silent.
    pub async fn give_up_munit(&self, munit: &MunitId) -> Result<(), NodeError> {
        self.give_up_unless(munit, |_, _| false).await
    }

    /// As [`Self::give_up_munit`], unless it is heard by now.
    pub(crate) async fn give_up_silent_munit(&self, munit: &MunitId) -> Result<(), NodeError> {
        let is_heard = |record: &munit::Record, loaded: &LoadedMunit| {
            !record.lost && clock::now().since(record.heard_at(loaded.beat.as_ref())) < SILENCE_MAX
        };
        self.give_up_unless(munit, is_heard).await
    }

    async fn give_up_unless(
        &self,
        munit: &MunitId,
        spares: impl Fn(&munit::Record, &LoadedMunit) -> bool + Send + Sync,
    ) -> Result<(), NodeError> {
        let mut told = BTreeSet::new();
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let loaded = self.counted(self.store.load_munit(munit).await)?;
            let Some(record) = loaded.record.clone().filter(|record| !spares(record, &loaded)) else {
                return Ok(());
            };
            let stopped = matches!(record.wanted, munit::Wanted::Stopped { .. });
            if told.is_empty() {
                tracing::warn!(%munit, stopped, stations = record.stations.len(), "a munit is given up");
            }
            let untold = record.stations.iter().filter(|(station, _)| told.insert((*station).clone()));
            let tell = |(station, assigned): (&StationId, &munit::Assigned)| {
                let (room, station) = (assigned.room.clone(), station.clone());
                async move { self.submit(&room, Input::StationLost { station, retry: true }).await }
            };
            let telling: Vec<_> = untold.map(tell).collect();
            let answers: Vec<_> = stream::iter(telling).buffer_unordered(LOST_AT_ONCE).collect().await;
            answers.into_iter().collect::<Result<Vec<_>, NodeError>>()?;
            // One that was placed there meanwhile is told first: the record forgets its stations.
            let is_untold = |loaded: &LoadedMunit, _| {
                let stations = loaded.record.iter().flat_map(|record| record.stations.keys());
                let untold = stations.filter(|station| !told.contains(*station)).count();
                let message = || format!("munit {munit} has {untold} more stations");
                (untold > 0).then(|| Refusal::new(Code::MunitUnavailable, message()))
            };
            if self.change_munit_unless(munit, munit::Input::Lost, is_untold).await?.is_ok() {
                if record.lost {
                    return Ok(());
                }
                if !stopped {
                    self.metrics.munits_lost.inc();
                }
                self.log_munit(if stopped { "munit.stopped" } else { "munit.lost" }, munit).await;
                return Ok(());
            }
        }
        Err(NodeError::MunitContended(munit.clone()))
    }
}

/// A munit that nobody hears of, or whose Janus does not answer, is given no station, whatever its record says.
fn takes_none(loaded: &LoadedMunit, now: Timestamp) -> Option<Refusal> {
    let record = loaded.record.as_ref()?;
    let is_silent = now.since(record.heard_at(loaded.beat.as_ref())) >= SILENCE_MAX;
    let is_full = record.free_by(loaded.beat.as_ref()) == 0;
    (is_silent || is_full).then(|| {
        let message = format!("munit {} takes no station now; name another", record.munit);
        Refusal::new(Code::NoCapacity, message).retry_after(CAPACITY_RETRY)
    })
}

fn chance() -> u64 {
    u64::try_from(clock::random() >> 64).unwrap_or_default()
}
