//! What an operator can do with munits: see them, drain, revive and stop them.
//!
//! Answered when recorded; what the munit makes of it is watched. The record is the truth, and the signal
//! after it only wakes.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{Capacity, Input, Load, Record, State, Wanted};
use mobz_core::signal::{Code, Detail, Media, MunitSignal, Refusal};
use mobz_core::store::LoadedMunit;
use mobz_core::time::{Timestamp, millis};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::reports::Reports;
use super::{Control, ControlError, PAGE_MAX, PAGE_USUAL, Time};
use crate::clock;

/// How many records are read at once.
pub(super) const READS_AT_ONCE: usize = 16;
/// How long a munit has to stop when nothing is said.
pub const STOP_GRACE: Duration = Duration::from_secs(30);
/// The longest a munit may be given to stop: past it nobody would wait.
pub const STOP_GRACE_MAX: Duration = Duration::from_secs(24 * 3600);

/// One line of a munit list (OPERATIONS.md, `munit list`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct MunitLine {
    pub id: MunitId,
    pub state: State,
    pub region: String,
    pub address: String,
    /// Those on its record.
    pub stations: usize,
    /// Watched stations, summed over all viewers, as its last heartbeat said.
    pub viewers: usize,
    pub capacity: Capacity,
    pub version: String,
    pub since: Time,
    /// `null` where it has not beaten yet.
    pub heartbeat_age_ms: Option<u64>,
}

/// One page of a munit list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MunitList {
    /// The munits.
    pub munits: Vec<MunitLine>,
    /// Where to go on; `null` at the end.
    pub cursor: Option<String>,
}

/// A munit in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MunitDetail {
    /// As in a list.
    #[serde(flatten)]
    pub line: MunitLine,
    /// What its last heartbeat said that it carries; `null` where it has not beaten yet.
    pub load: Option<Load>,
    /// When what is left on a draining one is unassigned, or a stopping one ends at the latest.
    pub deadline: Option<Time>,
    /// Whether live stations of a draining one move to other munits.
    pub migrate: bool,
    /// Whether it ends.
    pub stopping: bool,
    /// The stations on its record.
    pub assigned: Vec<AssignedStation>,
}

/// A station on a munit's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct AssignedStation {
    pub station: StationId,
    pub room: RoomId,
    pub user: UserId,
    pub since: Time,
    /// How many watch it; `null` where the munit does not say.
    pub viewers: Option<u64>,
    /// How its media fare; `null` where nothing is published, or the munit does not say.
    pub media: Option<Media>,
}

/// How a munit is drained (`POST /v1/munits/{id}/drain`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draining {
    /// When what is left is unassigned; `None` waits for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Whether live stations move to other munits, make before break.
    pub migrate: bool,
}

/// How a munit is stopped (`POST /v1/munits/{id}/stop`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stopping {
    /// How long that may take, in milliseconds, at most [`STOP_GRACE_MAX`]; [`STOP_GRACE`] when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<u64>,
    /// Although it has live stations.
    pub force: bool,
}

impl Control {
    /// A page of munits; at most [`PAGE_MAX`] at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn munits(
        &self,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<MunitList, ControlError> {
        let limit = limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
        let page = self.node.store().list_munits(cursor, limit).await?;
        let loads =
            page.munits.into_iter().map(|munit| async move { self.node.store().load_munit(&munit).await });
        let loaded: Vec<LoadedMunit> = stream::iter(loads).buffered(READS_AT_ONCE).try_collect().await?;
        let now = clock::now();
        let line = |loaded: &LoadedMunit| Some(MunitLine::of(loaded.record.as_ref()?, loaded, now));
        Ok(MunitList { munits: loaded.iter().filter_map(line).collect(), cursor: page.cursor })
    }

    /// A munit in detail, with what it says of its stations' media.
    ///
    /// # Errors
    /// [`ControlError::NoSuchMunit`], or when the store fails.
    pub async fn munit_inspected(&self, munit: &MunitId) -> Result<MunitDetail, ControlError> {
        let mut detail = self.munit(munit).await?;
        if detail.assigned.is_empty() || matches!(detail.line.state, State::Lost | State::Stopped) {
            return Ok(detail);
        }
        let mut reports = Reports::open(self.node.store()).await?;
        let held = reports.of_munits(vec![munit.clone()], Detail::Media).await?.remove(munit).flatten();
        let mut held = held.unwrap_or_default();
        for station in &mut detail.assigned {
            let holding = held.remove(&station.station);
            station.viewers = holding.as_ref().map(|holding| holding.viewers as u64);
            station.media = holding.and_then(|holding| holding.media);
        }
        Ok(detail)
    }

    /// A munit in detail, without asking it.
    ///
    /// # Errors
    /// [`ControlError::NoSuchMunit`], or when the store fails.
    pub async fn munit(&self, munit: &MunitId) -> Result<MunitDetail, ControlError> {
        let loaded = self.node.store().load_munit(munit).await?;
        let record = loaded.record.clone().ok_or_else(|| ControlError::NoSuchMunit(munit.clone()))?;
        Ok(MunitDetail::of(&record, &loaded, clock::now()))
    }

    /// Says that a munit takes no new station, and what becomes of those it has.
    ///
    /// # Errors
    /// [`ControlError::NoSuchMunit`], or when the store fails.
    pub async fn drain(&self, munit: &MunitId, draining: &Draining) -> Result<MunitDetail, ControlError> {
        let (deadline, migrate) = (draining.deadline.map(|Time(deadline)| deadline), draining.migrate);
        let was = self.change(munit, Input::Drain { deadline, migrate }, |_| None).await?;
        // Told first: what the munit makes of it is told after it.
        if let Wanted::Active = was {
            self.node.log_munit("munit.draining", munit).await;
        }
        let deadline = deadline.map(Timestamp::as_millis);
        self.node.wake_munit(munit, MunitSignal::Drain { deadline, migrate }).await;
        self.munit(munit).await
    }

    /// Says that a draining or drained munit takes stations again.
    ///
    /// # Errors
    /// [`ControlError::NoSuchMunit`], [`ControlError::Refused`] where it is stopping, or when the store fails.
    pub async fn revive(&self, munit: &MunitId) -> Result<MunitDetail, ControlError> {
        let was = self.change(munit, Input::Revive, |_| None).await?;
        if let Wanted::Draining { .. } = was {
            self.node.log_munit("munit.revived", munit).await;
        }
        self.node.wake_munit(munit, MunitSignal::Revive).await;
        self.munit(munit).await
    }

    /// Says that a munit ends.
    ///
    /// # Errors
    /// [`ControlError::NoSuchMunit`], [`ControlError::Refused`] where it has live stations and is not forced,
    /// or when the store fails.
    pub async fn stop(&self, munit: &MunitId, stopping: &Stopping) -> Result<MunitDetail, ControlError> {
        let grace = stopping.grace.map_or(STOP_GRACE, Duration::from_millis).min(STOP_GRACE_MAX);
        let refuses = |record: &Record| (!stopping.force).then(|| is_in_use(record)).flatten();
        let was = self.change(munit, Input::Stop { grace }, refuses).await?;
        if !matches!(was, Wanted::Stopped { .. }) {
            self.node.log_munit("munit.stopping", munit).await;
        }
        self.node.wake_munit(munit, MunitSignal::Stop { grace: Some(millis(grace)) }).await;
        self.munit(munit).await
    }

    /// Changes a munit; returns what was wanted of it before.
    async fn change(
        &self,
        munit: &MunitId,
        input: Input,
        refuses: impl Fn(&Record) -> Option<Refusal> + Sync,
    ) -> Result<Wanted, ControlError> {
        let was = Mutex::new(Wanted::Active);
        let look = |loaded: &LoadedMunit, _| {
            let record = loaded.record.as_ref()?;
            *was.lock() = record.wanted.clone();
            refuses(record)
        };
        match self.node.change_munit_unless(munit, input, look).await? {
            Ok(()) => Ok(was.into_inner()),
            Err(refusal) if refusal.code == Code::NoSuchMunit => {
                Err(ControlError::NoSuchMunit(munit.clone()))
            }
            Err(refusal) => Err(ControlError::Refused(refusal)),
        }
    }
}

/// A munit that is stopped with live stations cuts calls.
fn is_in_use(record: &Record) -> Option<Refusal> {
    if record.stations.is_empty() || matches!(record.wanted, Wanted::Stopped { .. }) {
        return None;
    }
    let (munit, count) = (&record.munit, record.stations.len());
    let noun = if count == 1 { "station" } else { "stations" };
    let message = format!("munit {munit} has {count} live {noun}; drain it first, or force it");
    Some(Refusal::new(Code::Forbidden, message))
}

impl MunitLine {
    fn of(record: &Record, loaded: &LoadedMunit, now: Timestamp) -> Self {
        let beat = loaded.beat.as_ref();
        Self {
            id: record.munit.clone(),
            state: record.state(beat, now),
            region: record.region.clone(),
            address: record.address.clone(),
            stations: record.stations.len(),
            viewers: beat.map_or(0, |beat| beat.load.viewers),
            capacity: record.capacity,
            version: record.version.clone(),
            since: Time(record.since),
            heartbeat_age_ms: beat.map(|beat| millis(now.since(beat.at))),
        }
    }
}

impl MunitDetail {
    fn of(record: &Record, loaded: &LoadedMunit, now: Timestamp) -> Self {
        let (deadline, migrate, stopping) = match record.wanted {
            Wanted::Active => (None, false, false),
            Wanted::Draining { deadline, migrate } => (deadline, migrate, false),
            Wanted::Stopped { by } => (Some(by), false, true),
        };
        let assigned = record.stations.iter().map(|(station, assigned)| AssignedStation {
            station: station.clone(),
            room: assigned.room.clone(),
            user: assigned.user.clone(),
            since: Time(assigned.at),
            viewers: None,
            media: None,
        });
        Self {
            line: MunitLine::of(record, loaded, now),
            load: loaded.beat.as_ref().map(|beat| beat.load),
            deadline: deadline.map(Time),
            migrate,
            stopping,
            assigned: assigned.collect(),
        }
    }
}
