//! What a test will do, checked before anything is loaded.

use mobz_core::connection::RATE;
use mobz_core::room::{M2M_VIEWERS_MAX, Mode};

use super::super::limits::WHAT;
use crate::args::load::Signaling;
use crate::error::{Failure, Result};

/// How many clients share a room of many where nothing is said.
const PEOPLE_A_ROOM: u32 = 10;

/// Sizes that fit the mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) connections: usize,
    pub(super) rooms: usize,
    /// How many clients send at the steady rate.
    pub(super) senders: u32,
}

impl Plan {
    /// Fits what was asked for together, or says what does not fit.
    pub(super) fn new(args: &Signaling) -> Result<Self> {
        let mode = Mode::from(args.mode);
        let share = if mode == Mode::P2p { 2 } else { PEOPLE_A_ROOM };
        let rooms = args.rooms.unwrap_or(args.connections.div_ceil(share)).min(args.connections);
        let people_max = match mode {
            Mode::P2p => 2,
            Mode::P2m => u32::MAX,
            Mode::M2m => 1 + u32::try_from(M2M_VIEWERS_MAX).unwrap_or(u32::MAX),
        };
        let people = args.connections.div_ceil(rooms);
        if people > people_max {
            let why = format!("{people} clients in a room, and a {} room takes {people_max}", mode.as_str());
            return Err(Failure::usage(WHAT, why, "give more --rooms, or fewer --connections"));
        }
        if mode != Mode::P2p && (args.floor || args.saturate) {
            let why = "throughput and the floor are measured with messages from peer to peer";
            return Err(Failure::usage(WHAT, why, "use --mode p2p, or leave --floor and --saturate out"));
        }
        let senders = if mode == Mode::P2p { args.connections } else { rooms };
        // A little less than the server allows each: clocks differ.
        let most = u64::from(senders) * RATE * 9 / 10;
        if u64::from(args.messages_per_second) > most {
            let why = format!("{senders} senders may send {most} messages a second together");
            return Err(Failure::usage(WHAT, why, "give fewer --messages-per-second"));
        }
        Ok(Self { mode, connections: args.connections as usize, rooms: rooms as usize, senders })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command, load::Load};

    fn args(flags: &[&str]) -> Signaling {
        let line = [&["mobzctl", "load", "signaling"], flags].concat();
        let command = Args::try_parse_from(line).unwrap().command;
        let Command::Load(Load::Signaling(args)) = command else { panic!("{command:?}") };
        *args
    }

    #[test]
    fn p2p_rooms_hold_two_and_no_more() {
        let plan = Plan::new(&args(&["--connections", "7"])).unwrap();
        assert_eq!((plan.rooms, plan.senders), (4, 7));
        assert!(Plan::new(&args(&["--connections", "7", "--rooms", "3"])).is_err());
    }

    #[test]
    fn more_than_the_server_takes_of_each_client_is_refused() {
        assert!(Plan::new(&args(&["--connections", "10", "--messages-per-second", "1800"])).is_ok());
        assert!(Plan::new(&args(&["--connections", "10", "--messages-per-second", "1801"])).is_err());
    }
}
