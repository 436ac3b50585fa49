//! Munits: what each should be, which stations it has, and how it stands (PROTOCOL.md §4).
//!
//! The record in the store is the truth; signals over `PubSub` only wake its regulator. [`apply`] decides
//! one input on it as it was loaded; the driver commits the result by compare-and-set and acts only then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{MunitId, RoomId, StationId, UserId};
use crate::signal::{Code, Refusal};
use crate::time::Timestamp;

/// How often a munit says that it lives (PROTOCOL.md §4).
pub const BEAT_INTERVAL: Duration = Duration::from_secs(2);
/// After how long without that it is lost (PROTOCOL.md §4).
pub const BEAT_MISSING_MAX: Duration = Duration::from_secs(6);
/// When to try again where no munit takes a station.
pub const CAPACITY_RETRY: Duration = Duration::from_secs(5);
/// The most stations one munit may be configured for: its record is one value.
pub const STATIONS_MAX: usize = 2000;

/// A munit as it is stored: one value, committed by compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which munit.
    pub munit: MunitId,
    /// Where it runs, for people: a region or zone; `local` on one machine.
    pub region: String,
    /// The address its media come from and go to, for people.
    pub address: String,
    /// The version of its regulator.
    pub version: String,
    /// What it can take.
    pub capacity: Capacity,
    /// Since when it is registered.
    pub since: Timestamp,
    /// The regulator process that speaks for it; another one that finds itself displaced ends.
    pub instance: String,
    /// What it should be.
    pub wanted: Wanted,
    /// Whether its heartbeat went missing and its stations were given up.
    pub lost: bool,
    /// The stations it should have, and no others.
    pub stations: BTreeMap<StationId, Assigned>,
}

/// What a munit can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Stations; at most [`STATIONS_MAX`].
    pub stations: usize,
    /// Watched stations, summed over all viewers.
    pub viewers: usize,
}

/// What a munit carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Stations that its Janus really has.
    pub stations: usize,
    /// Watched stations, summed over all viewers.
    pub viewers: usize,
}

impl Load {
    /// How full a munit of this capacity is, in whole percent of whichever it has less left of, stations or
    /// viewers. Above 100 where the capacity was lowered since; 0 of no capacity is 0.
    pub fn percent_of(self, capacity: Capacity) -> usize {
        let percent = |has: usize, of: usize| has.saturating_mul(100).checked_div(of).unwrap_or_default();
        percent(self.stations, capacity.stations).max(percent(self.viewers, capacity.viewers))
    }
}

/// What an operator wants a munit to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Wanted {
    /// It takes stations.
    #[default]
    Active,
    /// It takes no new station and waits for those it has to end.
    Draining {
        /// When what is left is unassigned; `None` waits for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// Whether live stations are moved to other munits.
        #[serde(default)]
        migrate: bool,
    },
    /// It ends: stations are unassigned, then Janus and its regulator stop.
    Stopped {
        /// By when at the latest.
        by: Timestamp,
    },
}

/// A station that a munit should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Whose media.
    pub user: UserId,
    /// In which room.
    pub room: RoomId,
    /// Since when. Only the room's record says that it is in use: one that no room knows is an orphan.
    pub at: Timestamp,
}

/// How a munit stands (PROTOCOL.md §4, states).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum State {
    Starting,
    Active,
    Draining,
    Drained,
    Stopped,
    Lost,
}

/// A munit's heartbeat: kept beside its record, and no change of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The regulator process it comes from.
    pub instance: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether its Janus answers.
    pub ready: bool,
    /// What it carries.
    pub load: Load,
}

/// One thing that happens to a munit.
#[derive(Clone, Debug)]
pub enum Input {
    /// A regulator starts to speak for it.
    Register(Registration),
    /// A room wants it to have a station.
    Assign {
        /// Which; made by [`StationId::on`] for this munit.
        station: StationId,
        /// Whose media.
        user: UserId,
        /// In which room.
        room: RoomId,
    },
    /// A station is no longer wanted.
    Unassign(StationId),
    /// It shall take no new station.
    Drain {
        /// When what is left is unassigned.
        deadline: Option<Timestamp>,
        /// Whether live stations move to other munits.
        migrate: bool,
    },
    /// A draining or drained one takes stations again.
    Revive,
    /// It shall end.
    Stop {
        /// How long that may take.
        grace: Duration,
    },
    /// Its heartbeat is missing, and its rooms have been told.
    Lost,
}

/// How a regulator introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Registration {
    pub munit: MunitId,
    pub region: String,
    pub address: String,
    pub version: String,
    pub capacity: Capacity,
    pub instance: String,
}

/// What follows from an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is so already; nothing to commit.
    Same,
    /// Commit this.
    Put(Arc<Record>),
    /// It cannot be.
    Refused(Refusal),
}

/// Decides `input` at `now` on a munit as loaded; `None` is one that nobody registered.
pub fn apply(munit: &MunitId, record: Option<&Record>, now: Timestamp, input: Input) -> Decided {
    let Some(record) = record else {
        return match input {
            Input::Register(registration) => Decided::Put(Arc::new(Record::new(registration, now))),
            // What is gone has no stations and stopped long ago.
            Input::Unassign(_) | Input::Lost => Decided::Same,
            Input::Assign { .. } | Input::Drain { .. } | Input::Revive | Input::Stop { .. } => {
                let message = format!("there is no munit {munit}; see mobzctl munit list");
                Decided::Refused(Refusal::new(Code::NoSuchMunit, message))
            }
        };
    };
    let mut next = record.clone();
    match input {
        Input::Register(registration) => next.register(registration, now),
        Input::Assign { station, user, room } => {
            if let Some(known) = record.stations.get(&station)
                && known.room == room
                && known.user == user
            {
                return Decided::Same;
            }
            if !record.takes() {
                let message = format!("munit {munit} takes no station now; Offer again later");
                return Decided::Refused(Refusal::new(Code::NoCapacity, message).retry_after(CAPACITY_RETRY));
            }
            next.stations.insert(station, Assigned { user, room, at: now });
        }
        Input::Unassign(station) => {
            next.stations.remove(&station);
        }
        Input::Drain { deadline, migrate } => {
            if let Wanted::Stopped { .. } = record.wanted {
                return Decided::Same;
            }
            next.wanted = Wanted::Draining { deadline, migrate };
        }
        Input::Revive => {
            if let Wanted::Stopped { .. } = record.wanted {
                let message = format!("munit {munit} is stopping; start another");
                return Decided::Refused(Refusal::new(Code::MunitUnavailable, message));
            }
            next.wanted = Wanted::Active;
        }
        Input::Stop { grace } => {
            if let Wanted::Stopped { .. } = record.wanted {
                return Decided::Same;
            }
            next.wanted = Wanted::Stopped { by: now.after(grace) };
        }
        Input::Lost => {
            next.lost = true;
            next.stations.clear();
        }
    }
    if next == *record { Decided::Same } else { Decided::Put(Arc::new(next)) }
}

impl Record {
    fn new(registration: Registration, now: Timestamp) -> Self {
        let Registration { munit, region, address, version, capacity, instance } = registration;
        Self {
            munit,
            region,
            address,
            version,
            capacity,
            since: now,
            instance,
            wanted: Wanted::Active,
            lost: false,
            stations: BTreeMap::new(),
        }
    }

    /// A regulator that comes back finds its stations and what was wanted; one after a stop begins anew.
    fn register(&mut self, registration: Registration, now: Timestamp) {
        let fresh = Self::new(registration, now);
        let Self { wanted, stations, since, lost, .. } = std::mem::replace(self, fresh);
        if !matches!(wanted, Wanted::Stopped { .. }) {
            self.wanted = wanted;
            self.stations = stations;
            // Of a lost one the last word is too long ago: it lives from now on.
            self.since = if lost { now } else { since };
        }
    }

    /// Whether it may be given one more station.
    pub fn takes(&self) -> bool {
        self.free() > 0
    }

    /// How many more stations it may be given; none unless it is active.
    pub fn free(&self) -> usize {
        match self.wanted {
            Wanted::Active if !self.lost => self.capacity.stations.saturating_sub(self.stations.len()),
            Wanted::Active | Wanted::Draining { .. } | Wanted::Stopped { .. } => 0,
        }
    }

    /// How many more stations a placement should give it: as [`Record::free`], but none while its last
    /// heartbeat says that its Janus does not answer, or that it carries all the viewers it can.
    pub fn free_by(&self, beat: Option<&Beat>) -> usize {
        let takes = |beat: &Beat| beat.ready && beat.load.viewers < self.capacity.viewers;
        if self.own(beat).is_none_or(takes) { self.free() } else { 0 }
    }

    /// When it last said that it lives; registering is the first time.
    pub fn heard_at(&self, beat: Option<&Beat>) -> Timestamp {
        beat.map_or(self.since, |beat| beat.at.max(self.since))
    }

    /// The heartbeat, unless it is of another process than the one that speaks for it.
    fn own<'a>(&self, beat: Option<&'a Beat>) -> Option<&'a Beat> {
        beat.filter(|beat| beat.instance == self.instance)
    }

    /// How it stands at `now`, with its last heartbeat.
    pub fn state(&self, beat: Option<&Beat>, now: Timestamp) -> State {
        let silent = now.since(self.heard_at(beat)) > BEAT_MISSING_MAX;
        let beat = self.own(beat);
        match &self.wanted {
            Wanted::Stopped { .. } if silent || self.lost => State::Stopped,
            Wanted::Stopped { .. } => State::Draining,
            Wanted::Active | Wanted::Draining { .. } if self.lost || silent => State::Lost,
            Wanted::Active if beat.is_some_and(|beat| beat.ready) => State::Active,
            Wanted::Active => State::Starting,
            Wanted::Draining { .. } => {
                let left = beat.map_or(0, |beat| beat.load.viewers + beat.load.stations);
                if self.stations.is_empty() && left == 0 { State::Drained } else { State::Draining }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id() -> MunitId {
        "m1".parse().unwrap()
    }

    fn registration(instance: &str) -> Registration {
        Registration {
            munit: id(),
            region: "local".into(),
            address: "127.0.0.1".into(),
            version: "1".into(),
            capacity: Capacity { stations: 2, viewers: 10 },
            instance: instance.into(),
        }
    }

    fn put(decided: Decided) -> Record {
        let Decided::Put(record) = decided else { panic!("{decided:?}") };
        Arc::unwrap_or_clone(record)
    }

    fn does(record: &Record, input: Input) -> Record {
        put(apply(&id(), Some(record), NOW, input))
    }

    fn registered() -> Record {
        put(apply(&id(), None, NOW, Input::Register(registration("a"))))
    }

    fn assign(number: u64) -> Input {
        let (user, room) = ("ann".parse().unwrap(), "demo".parse().unwrap());
        Input::Assign { station: StationId::on(&id(), number), user, room }
    }

    fn refused(record: &Record, input: Input) -> Code {
        let Decided::Refused(refusal) = apply(&id(), Some(record), NOW, input) else { panic!("not refused") };
        refusal.code
    }

    #[test]
    fn a_munit_is_as_full_as_what_it_has_less_left_of() {
        let capacity = Capacity { stations: 100, viewers: 1000 };
        let percent = |stations, viewers| Load { stations, viewers }.percent_of(capacity);
        assert_eq!(percent(0, 0), 0);
        assert_eq!(percent(25, 100), 25);
        assert_eq!(percent(25, 999), 99);
        assert_eq!(percent(150, 0), 150);
        assert_eq!(Load { stations: 1, viewers: 1 }.percent_of(Capacity { stations: 0, viewers: 0 }), 0);
    }

    #[test]
    fn it_takes_stations_up_to_its_capacity() {
        let full = does(&does(&registered(), assign(1)), assign(2));
        assert_eq!(refused(&full, assign(3)), Code::NoCapacity);
        assert_eq!(
            apply(&id(), Some(&full), NOW, assign(2)),
            Decided::Same,
            "assigning twice changes nothing"
        );
        let freed = does(&full, Input::Unassign(StationId::on(&id(), 1)));
        assert!(freed.takes());
        assert_eq!(apply(&id(), Some(&freed), NOW, Input::Unassign(StationId::on(&id(), 1))), Decided::Same);
    }

    #[test]
    fn a_draining_one_takes_none_until_it_is_revived() {
        let drain = || Input::Drain { deadline: None, migrate: false };
        let draining = does(&does(&registered(), assign(1)), drain());
        assert_eq!(refused(&draining, assign(2)), Code::NoCapacity);
        assert_eq!(apply(&id(), Some(&draining), NOW, drain()), Decided::Same);
        assert!(does(&draining, Input::Revive).takes());
    }

    #[test]
    fn it_is_drained_once_nothing_is_left() {
        let drain = Input::Drain { deadline: None, migrate: false };
        let draining = does(&does(&registered(), assign(1)), drain);
        let mut beat =
            Beat { instance: "a".into(), at: NOW, ready: true, load: Load { stations: 0, viewers: 1 } };
        assert_eq!(draining.state(Some(&beat), NOW), State::Draining);
        let empty = does(&draining, Input::Unassign(StationId::on(&id(), 1)));
        assert_eq!(empty.state(Some(&beat), NOW), State::Draining, "a viewer is left");
        beat.load.viewers = 0;
        assert_eq!(empty.state(Some(&beat), NOW), State::Drained);
    }

    #[test]
    fn a_silent_one_is_lost_and_a_stopped_one_is_not() {
        let later = NOW.after(BEAT_MISSING_MAX).after(Duration::from_millis(1));
        assert_eq!(registered().state(None, NOW), State::Starting);
        assert_eq!(registered().state(None, later), State::Lost);
        let stopped = does(&registered(), Input::Stop { grace: Duration::from_secs(1) });
        assert_eq!(stopped.state(None, later), State::Stopped);
    }

    #[test]
    fn one_whose_regulator_is_replaced_lives_by_the_last_beat_of_either() {
        let later = NOW.after(10 * BEAT_MISSING_MAX);
        let beat = Beat { instance: "a".into(), at: later, ready: true, load: Load::default() };
        let back = put(apply(&id(), Some(&registered()), later, Input::Register(registration("b"))));
        assert_eq!((back.since, back.heard_at(Some(&beat))), (NOW, later));
        assert_eq!(back.state(Some(&beat), later), State::Starting, "the new one has not beaten yet");
        let lost = does(&registered(), Input::Lost);
        let again = put(apply(&id(), Some(&lost), later, Input::Register(registration("b"))));
        assert_eq!((again.since, again.state(None, later)), (later, State::Starting));
    }

    #[test]
    fn none_is_placed_where_janus_is_away_or_the_viewers_are_all_that_fit() {
        let beat = |ready, viewers| Beat {
            instance: "a".into(),
            at: NOW,
            ready,
            load: Load { stations: 0, viewers },
        };
        let free = |beat: Beat| registered().free_by(Some(&beat));
        assert_eq!((registered().free_by(None), free(beat(true, 9))), (2, 2));
        assert_eq!((free(beat(false, 0)), free(beat(true, 10))), (0, 0));
        assert_eq!(free(Beat { instance: "of another".into(), ..beat(false, 0) }), 2);
    }

    #[test]
    fn a_lost_one_has_no_stations_and_takes_some_when_it_registers_again() {
        let lost = does(&does(&registered(), assign(1)), Input::Lost);
        assert!(lost.stations.is_empty() && !lost.takes());
        assert!(does(&lost, Input::Register(registration("b"))).takes());
    }

    #[test]
    fn a_regulator_that_comes_back_finds_its_stations() {
        let assigned = does(&registered(), assign(1));
        let back = does(&assigned, Input::Register(registration("b")));
        assert_eq!((back.stations, back.instance.as_str()), (assigned.stations, "b"));
    }

    #[test]
    fn one_that_nobody_registered_is_no_such_munit() {
        let Decided::Refused(refusal) = apply(&id(), None, NOW, Input::Revive) else { panic!("not refused") };
        assert_eq!(refusal.code, Code::NoSuchMunit);
    }
}
