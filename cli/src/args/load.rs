//! `load signaling|hls|webrtc`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;
use mobz_runtime::config::duration;

use super::room::RoomMode;
use crate::complete;

/// The most messages that may be on their way in one pair while throughput is measured.
const WINDOW_MAX: i64 = 64;

/// The verbs of `load`.
#[derive(Debug, Subcommand)]
pub enum Load {
    /// Many clients join rooms and send each other signals: latencies, throughput, memory
    Signaling(Box<Signaling>),
    /// Many viewers watch an LL-HLS stream: delay of each part, stalls, CPU and memory
    Hls(Box<Hls>),
    /// Publishers and viewers of group calls, media and all: joins, watches, losses, freezes
    Webrtc(Box<Webrtc>),
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

/// `load hls`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  mobzctl load hls demo --viewers 1000 --publish video.mp4
  mobzctl load hls demo --viewers 5000 --ramp 20s --duration 60s --output json
  mobzctl load hls http://127.0.0.1:8080/live/master.m3u8 --viewers 1000 --clock parts.jsonl --pid 4711
  mobzctl load hls demo --viewers 100 --saturate

Each viewer does as a low-latency player does: multivariant and media playlist, initialization section,
then blocking reloads with delta updates on one connection, and each part as it is listed on another.
The delay of a part is measured from when its publisher sent it to a viewer's last byte: with --publish
this tool publishes a file itself; --clock reads lines of JSON from whatever publishes: sentAt, ackedAt
(RFC 3339), and msn with part, or digest (the first 16 hexadecimal digits of the SHA-1 of the payload of
the part's mdat). Without either it is measured from capture, by the playlist's program date times.
A viewer stalls when it falls behind by more than the playlist's PART-HOLD-BACK. Exit code 1 when
anything was refused, lost or cut. Only servers on this machine, unless told --yes-remote.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Hls {
    /// A room, or the URL of a multivariant or media playlist of any LL-HLS server (http://)
    #[arg(value_name = "ROOM|URL", add = ArgValueCandidates::new(complete::rooms))]
    pub source: String,
    /// How many viewers
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub viewers: u32,
    /// How long it is measured once all viewers play
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,
    /// Over how long the viewers come
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub ramp: Duration,
    /// The rendition, where there are several: a piece of its path; the first otherwise
    #[arg(long, value_name = "NAME")]
    pub track: Option<String>,
    /// Ask for hinted parts before they are listed
    #[arg(long, conflicts_with = "saturate")]
    pub hints: bool,
    /// Speak HTTP/2 with prior knowledge: one connection for each viewer
    #[arg(long)]
    pub http2: bool,
    /// Fetch the listed parts over and over, as fast as they come, on one connection for each viewer
    #[arg(long)]
    pub saturate: bool,
    /// Publish this file to the room meanwhile
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "clock")]
    pub publish: Option<PathBuf>,
    /// How long one published part lasts, in milliseconds
    #[arg(long, default_value_t = 333, value_name = "MS", requires = "publish", value_parser = clap::value_parser!(u32).range(50..=2000))]
    pub part_ms: u32,
    /// Read from this file, as it grows, when each part was published; - is stdin
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub clock: Option<PathBuf>,
    /// The server's process, to measure its memory and CPU; known for the stack of this machine
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Where the publisher connects, if not at the endpoint
    #[arg(long, env = "MOBZ_SIGNAL_URL", value_name = "ws(s)://…")]
    pub signal_url: Option<String>,
    /// Load a server that is not on this machine
    #[arg(long)]
    pub yes_remote: bool,
}

/// `load webrtc`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  mobzctl load webrtc --publishers 3 --viewers 20
  mobzctl load webrtc --publishers 9 --viewers 200 --ramp 30s --duration 60s --output json
  mobzctl load webrtc --publishers 1 --viewers 1 --floor

Publishers join, Offer, and send a synthetic picture (VP8) and sound (Opus) over real ICE, DTLS and SRTP;
then the viewers come, over --ramp, and watch every publisher of their room: by the offers in their JoinAck,
else by Watch. Nothing is decoded: packets and pictures are counted as they come. A feed is one publisher
at one viewer; it freezes when no picture comes for 500 ms. With --floor one client at rest watches and
unwatches a publisher, in turns with the same attach and join done on its Janus itself, and both are
compared. Exit code 1 when anything was refused or cut, or a feed did not flow at the end. Only servers on
this machine, unless told --yes-remote.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Webrtc {
    /// How many publish, over all rooms
    #[arg(long, short = 'p', default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub publishers: u32,
    /// How many watch, over all rooms
    #[arg(long, short = 'n', default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pub viewers: u32,
    /// In how many rooms; as few as hold them when left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub rooms: Option<u32>,
    /// How long it is measured once all feeds flow
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,
    /// Over how long the publishers come; and the viewers, after them
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub ramp: Duration,
    /// Viewers come before anybody publishes, and Watch each publisher as it comes
    #[arg(long)]
    pub viewers_first: bool,
    /// The bit rate of each publisher's picture, in kbit/s
    #[arg(long, default_value_t = 150, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub kbits: u32,
    /// How many pictures each publisher sends a second
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(5..=60))]
    pub fps: u32,
    /// How long one packet of sound lasts, in milliseconds; 0 sends none
    #[arg(long, default_value_t = 20, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=500))]
    pub audio_ms: u32,
    /// Tell candidates one by one, not in descriptions
    #[arg(long)]
    pub trickle: bool,
    /// Measure the same attach and join on a Janus itself, in the same run, and print how they compare
    #[arg(long)]
    pub floor: bool,
    /// The Janus of --floor; known for the stack of this machine
    #[arg(long, value_name = "ws://…", requires = "floor")]
    pub janus: Option<String>,
    /// The address of this machine that media use; found when left out
    #[arg(long, value_name = "IP")]
    pub media_address: Option<IpAddr>,
    /// A server's process, to measure its memory and CPU and those of its Janus; repeat it for more; known
    /// for the stack of this machine
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Where clients connect, if not at the endpoint
    #[arg(long, env = "MOBZ_SIGNAL_URL", value_name = "ws(s)://…")]
    pub signal_url: Option<String>,
    /// Load a server that is not on this machine
    #[arg(long)]
    pub yes_remote: bool,
}
