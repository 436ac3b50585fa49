//! `load signaling`.

use std::time::Duration;

use clap::{Args, Subcommand};
use mobz_runtime::config::duration;

use super::room::RoomMode;

/// The most messages that may be on their way in one pair while throughput is measured.
const WINDOW_MAX: i64 = 64;

/// The verbs of `load`.
#[derive(Debug, Subcommand)]
pub enum Load {
    /// Many clients join rooms and send each other signals: latencies, throughput, memory
    Signaling(Box<Signaling>),
    /// The bare relay that --floor measures against; prints its URL, ends with its stdin
    #[command(hide = true)]
    Relay,
}

/// `load signaling`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  mobzctl load signaling --connections 1000 --rate 500
  mobzctl load signaling --connections 10000 --messages-per-second 0 --duration 5s --output json
  mobzctl load signaling --connections 1000 --floor --pid $(pgrep -x mobz-signaling)

Clients connect and join at --rate, rest, send at --messages-per-second for --duration, and leave. In p2p a
message is an iceCandidate to the peer; in p2m and m2m it is an UpdateVideo of the room's publisher,
counted once for each client that gets it. With --floor a bare relay (accept, read type and target of the
JSON, forward) runs as a process beside it, and both are measured in turn. Exit code 1 when anything was
refused, lost or cut. Only servers on this machine, unless told --yes-remote: load your own.")]
pub struct Signaling {
    /// How many clients
    #[arg(long, short = 'c', default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub connections: u32,
    /// In how many rooms; in p2p one for every two clients when left out, else one for every ten
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub rooms: Option<u32>,
    /// How many clients connect and join a second
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// The mode of the rooms
    #[arg(long, value_enum, default_value = "p2p")]
    pub mode: RoomMode,
    /// How long messages are sent; with --saturate or --floor each part of the measurement takes this long
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,
    /// How many messages a second all clients send together
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=200_000))]
    pub messages_per_second: u32,
    /// How long a p2p message is, in bytes
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(160..=65_536))]
    pub message_bytes: u32,
    /// Also measure the most relays a second: pairs that answer each message with one
    #[arg(long)]
    pub saturate: bool,
    /// Measure a bare relay in the same run, and print how the server compares; p2p only, with --saturate
    #[arg(long)]
    pub floor: bool,
    /// How many pairs send while throughput is measured
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pairs: u32,
    /// How many messages are on their way in each of these pairs
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=WINDOW_MAX))]
    pub window: u32,
    /// The server's process, to measure its memory and CPU; known for the stack of this machine
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Where clients connect, if not at the endpoint
    #[arg(long, env = "MOBZ_SIGNAL_URL", value_name = "ws(s)://…")]
    pub signal_url: Option<String>,
    /// Load a server that is not on this machine
    #[arg(long)]
    pub yes_remote: bool,
}
