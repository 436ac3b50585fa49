//! What a test will do, checked before anything is loaded.

use mobz_core::connection::RATE;
use mobz_core::room::{M2M_VIEWERS_MAX, Mode};
use reqwest::Url;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::args::load::Signaling;
use crate::error::{Failure, Result};

/// How many clients share a room of many where nothing is said.
const PEOPLE_A_ROOM: u32 = 10;
/// Files a process has open beside its clients' sockets.
const FILES_BESIDE: u64 = 64;

const WHAT: &str = "cannot run this load test";

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

/// Refuses a server that is not on this machine, unless that was asked for.
pub(super) fn check_remote(url: &Url, yes: bool) -> Result<()> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if here || yes {
        return Ok(());
    }
    Err(Failure::refused(
        format!("did not load {host}"),
        "it is not on this machine, and a load test harms whoever else uses it",
        "add --yes-remote if it is yours",
    ))
}

/// Lets this process, and those it starts, open as many files as the test needs.
pub(super) fn allow_files(args: &Signaling) -> Result<()> {
    let crowds = if args.floor { 2 } else { 1 };
    let needed = u64::from(args.connections) * crowds + FILES_BESIDE;
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if most < needed {
        let why = format!("it needs {needed} open files, and this process may have {most}");
        return Err(Failure::refused(
            WHAT,
            why,
            "raise the hard limit (ulimit -Hn), or use fewer --connections",
        ));
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| Failure::failed(WHAT, error.to_string(), "raise the limit (ulimit -n)"))
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

    #[test]
    fn another_machine_is_loaded_only_when_told() {
        let remote: Url = "ws://192.0.2.1/signal".parse().unwrap();
        assert!(check_remote(&remote, false).is_err());
        assert!(check_remote(&remote, true).is_ok());
        for here in ["ws://127.0.0.1:7880/signal", "ws://localhost/signal", "ws://[::1]:7880/signal"] {
            assert!(check_remote(&here.parse().unwrap(), false).is_ok(), "{here}");
        }
    }
}
