//! What the record wants of a munit beyond its stations: draining, stopping. Pure.

use mobz_core::id::{RoomId, StationId};
use mobz_core::munit::{Load, Record, Wanted};
use mobz_core::time::Timestamp;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the room to move the station elsewhere, make before break.
    Move(StationId, RoomId),
    /// Give the station up; its publisher Offers again and is placed elsewhere.
    GiveUp(StationId),
    /// The regulator ends, and Janus with it.
    End,
}

/// What is to be done at `now`. Doing it twice does no harm.
pub fn steps(record: &Record, load: Load, now: Timestamp) -> Vec<Step> {
    let all = |step: fn(&StationId, &RoomId) -> Step| {
        record.stations.iter().map(|(station, assigned)| step(station, &assigned.room)).collect()
    };
    let give_up = |station: &StationId, _: &RoomId| Step::GiveUp(station.clone());
    let moved = |station: &StationId, room: &RoomId| Step::Move(station.clone(), room.clone());
    match record.wanted {
        Wanted::Draining { deadline: Some(deadline), .. } if now >= deadline => all(give_up),
        Wanted::Draining { migrate: true, .. } => all(moved),
        Wanted::Active | Wanted::Draining { .. } => Vec::new(),
        Wanted::Stopped { .. } if record.stations.is_empty() && load.stations == 0 => vec![Step::End],
        Wanted::Stopped { by } if now >= by => all(give_up),
        Wanted::Stopped { .. } => all(moved),
    }
}

/// When something is to be done next because time has passed; `None` where that is never, or was.
pub fn due(record: &Record, now: Timestamp) -> Option<Timestamp> {
    let at = match record.wanted {
        Wanted::Draining { deadline, .. } => deadline,
        Wanted::Stopped { by } => Some(by),
        Wanted::Active => None,
    };
    at.filter(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use mobz_core::munit::{Assigned, Capacity};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LATER: Timestamp = Timestamp::from_millis(1_000_001);

    fn record(wanted: Wanted, stations: u64) -> Record {
        let munit = "m1".parse().unwrap();
        let assigned = Assigned { user: "ann".parse().unwrap(), room: "demo".parse().unwrap(), at: NOW };
        let stations =
            (0..stations).map(|number| (StationId::on(&munit, number), assigned.clone())).collect();
        Record {
            munit,
            region: "local".into(),
            address: "127.0.0.1".into(),
            version: "1".into(),
            capacity: Capacity { stations: 10, viewers: 10 },
            since: NOW,
            instance: "a".into(),
            wanted,
            lost: false,
            stations,
        }
    }

    fn at(now: Timestamp, wanted: Wanted) -> Vec<Step> {
        steps(&record(wanted, 1), Load { stations: 1, viewers: 0 }, now)
    }

    fn station() -> StationId {
        StationId::on(&"m1".parse().unwrap(), 0)
    }

    #[test]
    fn a_drain_waits_and_gives_up_at_its_deadline() {
        let drain = |deadline| Wanted::Draining { deadline, migrate: false };
        assert_eq!(at(NOW, Wanted::Active), []);
        assert_eq!(at(NOW, drain(None)), []);
        assert_eq!(at(NOW, drain(Some(LATER))), []);
        assert_eq!(at(LATER, drain(Some(LATER))), [Step::GiveUp(station())]);
    }

    #[test]
    fn a_deadline_is_due_until_it_has_passed() {
        let drain = |deadline| Wanted::Draining { deadline, migrate: false };
        let due_at = |now, wanted| due(&record(wanted, 1), now);
        assert_eq!((due_at(NOW, Wanted::Active), due_at(NOW, drain(None))), (None, None));
        assert_eq!((due_at(NOW, drain(Some(LATER))), due_at(LATER, drain(Some(LATER)))), (Some(LATER), None));
        assert_eq!(due_at(NOW, Wanted::Stopped { by: LATER }), Some(LATER));
    }

    #[test]
    fn a_drain_that_migrates_moves_what_is_there_until_its_deadline() {
        let drain = |deadline| Wanted::Draining { deadline, migrate: true };
        assert_eq!(at(NOW, drain(None)), [Step::Move(station(), "demo".parse().unwrap())]);
        assert_eq!(at(LATER, drain(Some(LATER))), [Step::GiveUp(station())]);
    }

    #[test]
    fn a_stopped_one_ends_once_it_is_empty() {
        let stopped = || Wanted::Stopped { by: LATER };
        assert_eq!(at(NOW, stopped()), [Step::Move(station(), "demo".parse().unwrap())]);
        assert_eq!(at(LATER, stopped()), [Step::GiveUp(station())]);
        assert_eq!(steps(&record(stopped(), 0), Load::default(), NOW), [Step::End]);
        assert_eq!(steps(&record(stopped(), 0), Load { stations: 1, viewers: 0 }, NOW), []);
    }
}
