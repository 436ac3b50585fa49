//! What a test of group calls will do, checked before anything is loaded.

use mobz_core::room::{M2M_PUBLISHERS_MAX, M2M_VIEWERS_MAX};

use super::super::limits::WHAT;
use crate::args::load::Webrtc;
use crate::error::{Failure, Result};

/// Who is in which room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) publishers: usize,
    pub(super) viewers: usize,
    pub(super) rooms: usize,
}

impl Plan {
    /// Fits what was asked for together, or says what does not fit.
    pub(super) fn new(args: &Webrtc) -> Result<Self> {
        let (publishers, viewers) = (args.publishers as usize, args.viewers as usize);
        let fewest = publishers.div_ceil(M2M_PUBLISHERS_MAX).max(viewers.div_ceil(M2M_VIEWERS_MAX));
        let rooms = args.rooms.map_or(fewest, |rooms| rooms as usize);
        if rooms > publishers {
            let why = format!("{rooms} rooms and {publishers} publishers: some rooms would have none");
            return Err(Failure::usage(WHAT, why, "give more --publishers, or fewer --rooms or --viewers"));
        }
        if rooms < fewest {
            let why = format!(
                "a room takes {M2M_PUBLISHERS_MAX} publishers and {M2M_VIEWERS_MAX} viewers, so that {fewest} rooms are needed"
            );
            return Err(Failure::usage(WHAT, why, "give more --rooms, or leave it out"));
        }
        Ok(Self { publishers, viewers, rooms })
    }

    /// The room of a publisher or viewer, counted each from 0.
    pub(super) fn room_of(self, number: usize) -> usize {
        number % self.rooms
    }

    /// How many publish in a room.
    pub(super) fn publishers_in(self, room: usize) -> usize {
        share(self.publishers, self.rooms, room)
    }

    /// How many feeds there are when everybody watches everybody who publishes.
    pub(super) fn feeds(self) -> usize {
        (0..self.rooms).map(|room| self.publishers_in(room) * share(self.viewers, self.rooms, room)).sum()
    }
}

/// How many of `count` are in this room when they are spread evenly.
fn share(count: usize, rooms: usize, room: usize) -> usize {
    count / rooms + usize::from(room < count % rooms)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command, load::Load};

    fn plan(flags: &[&str]) -> Result<Plan> {
        let line = [&["mobzctl", "load", "webrtc"], flags].concat();
        let command = Args::try_parse_from(line).unwrap().command;
        let Command::Load(Load::Webrtc(args)) = command else { panic!("{command:?}") };
        Plan::new(&args)
    }

    #[test]
    fn everybody_watches_who_publishes_in_their_room() {
        assert_eq!(plan(&["--publishers", "9", "--viewers", "200"]).unwrap().feeds(), 1800);
        let spread = plan(&["--publishers", "5", "--viewers", "3", "--rooms", "2"]).unwrap();
        assert_eq!((spread.publishers_in(0), spread.publishers_in(1)), (3, 2));
        assert_eq!(spread.feeds(), 2 * 3 + 2);
    }

    #[test]
    fn rooms_are_as_few_as_hold_them() {
        assert_eq!(plan(&["--publishers", "10", "--viewers", "0"]).unwrap().rooms, 2);
        assert!(plan(&["--publishers", "10", "--rooms", "1"]).is_err());
        assert!(plan(&["--publishers", "1", "--viewers", "201"]).is_err());
        assert!(plan(&["--publishers", "2", "--rooms", "3"]).is_err());
    }
}
