//! At what pace a munit's stations are asked to move elsewhere. Pure.
//!
//! A move makes a connection for the publisher and one for each who watches, on both sides: made all at once they
//! would take the time that the media of all others need.

use std::collections::BTreeMap;
use std::time::Duration;

use mobz_core::id::{RoomId, StationId};
use mobz_core::time::Timestamp;

/// The pause for each connection that a move makes: 50 are made a second.
const PAUSE: Duration = Duration::from_millis(20);
/// How many connections are made at once, if no single station takes more.
const AT_ONCE_MAX: usize = 16;
/// After how long a room is asked again to move a station.
pub const MOVE_AGAIN: Duration = Duration::from_secs(10);

/// The stations whose rooms were asked to move them.
#[derive(Debug, Default)]
pub struct Moving {
    asked: BTreeMap<StationId, Timestamp>,
    /// When the next ones may be.
    next: Timestamp,
    waits: bool,
}

impl Moving {
    /// Those of `wanted` whose rooms are to be asked at `now`; `connections` tells how many a station's move makes.
    /// What is not wanted any more is forgotten.
    pub fn ask(
        &mut self,
        now: Timestamp,
        wanted: BTreeMap<StationId, RoomId>,
        connections: impl Fn(&StationId) -> usize,
    ) -> Vec<(StationId, RoomId)> {
        self.asked.retain(|station, _| wanted.contains_key(station));
        let is_new = |(station, _): &(StationId, RoomId)| {
            self.asked.get(station).is_none_or(|asked| now.since(*asked) >= MOVE_AGAIN)
        };
        let mut wait: Vec<_> = wanted.into_iter().filter(is_new).collect();
        self.waits = !wait.is_empty();
        if now < self.next || !self.waits {
            return Vec::new();
        }
        // Those that were asked already are not there any more, or nobody offers: after all others.
        wait.sort_by_key(|(station, _)| self.asked.get(station).copied());
        let mut made = 0;
        let fits = |(station, _): &(StationId, RoomId)| {
            let more = connections(station).max(1);
            let fits = made == 0 || made + more <= AT_ONCE_MAX;
            made += if fits { more } else { 0 };
            fits
        };
        let asks: Vec<_> = wait.iter().cloned().take_while(fits).collect();
        self.waits = asks.len() < wait.len();
        self.next = now.after(PAUSE * u32::try_from(made).unwrap_or(u32::MAX));
        self.asked.extend(asks.iter().map(|(station, _)| (station.clone(), now)));
        asks
    }

    /// When the next ones are to be asked; `None` where none waits.
    pub fn due(&self) -> Option<Timestamp> {
        self.waits.then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn stations(count: u64) -> BTreeMap<StationId, RoomId> {
        let munit = "m1".parse().unwrap();
        (0..count).map(|number| (StationId::on(&munit, number), "demo".parse().unwrap())).collect()
    }

    #[test]
    fn a_crowd_moves_a_few_connections_at_a_time_and_all_of_it_does() {
        let (mut moving, mut now, mut asked) = (Moving::default(), NOW, Vec::new());
        let all = stations(100);
        let left = |asked: &Vec<StationId>| {
            all.clone().into_iter().filter(|(station, _)| !asked.contains(station)).collect()
        };
        while asked.len() < all.len() {
            let asks = moving.ask(now, left(&asked), |_| 11);
            assert_eq!(asks.len(), 1, "two would be 22 connections");
            asked.extend(asks.into_iter().map(|(station, _)| station));
            assert_eq!(moving.ask(now, left(&asked), |_| 11), [], "not before its time");
            let Some(due) = moving.due() else { break };
            assert_eq!(due.since(now), PAUSE * 11);
            now = due;
        }
        assert_eq!((asked.len(), moving.due()), (100, None));
        assert!(now.since(NOW) < Duration::from_secs(30), "{:?}", now.since(NOW));
    }

    #[test]
    fn small_ones_move_together_and_one_too_large_alone() {
        let mut moving = Moving::default();
        assert_eq!(moving.ask(NOW, stations(5), |_| 4).len(), 4);
        let mut moving = Moving::default();
        assert_eq!(moving.ask(NOW, stations(2), |_| 201).len(), 1);
        assert_eq!(moving.due(), Some(NOW.after(PAUSE * 201)));
    }

    #[test]
    fn a_room_that_moves_nothing_is_asked_again_after_the_others() {
        let mut moving = Moving::default();
        let asked =
            |asks: Vec<(StationId, RoomId)>| asks.into_iter().map(|(station, _)| station).collect::<Vec<_>>();
        let slow = asked(moving.ask(NOW, stations(1), |_| 1));
        assert_eq!(slow.len(), 1);
        assert_eq!(moving.ask(NOW.after(MOVE_AGAIN / 2), stations(1), |_| 1), []);
        let again = asked(moving.ask(NOW.after(MOVE_AGAIN), stations(2), |_| 1));
        assert_eq!((again.len(), again.last()), (2, slow.first()));
    }
}
