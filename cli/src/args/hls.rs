//! `hls push|tail|probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;
use mobz_core::id::{RoomId, TrackId, UserId};
use mobz_runtime::config::duration;
use reqwest::Url;

use crate::complete;

/// The verbs of `hls`.
#[derive(Debug, Subcommand)]
pub enum Hls {
    /// Publish a media file, or a stream on stdin, to a p2m room in real time
    Push(Push),
    /// A live line per part and segment as they become visible to a player
    Tail(Tail),
    /// Check any LL-HLS server by its URL: each rule pass or fail, with the draft's section
    Probe(Probe),
}

/// `hls push`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl hls push demo video.mp4 --loop
  ffmpeg -f lavfi -i testsrc2 -c:v libx264 -f mpegts - | mobzctl hls push demo -

A file is encoded by ffmpeg to H.264 and AAC. On stdin a fragmented MP4 (each moof and mdat one
part) goes as it is, anything else through ffmpeg. Ctrl-C ends the stream; a lost connection is
resumed, and nothing is lost or sent twice.")]
pub struct Push {
    /// The p2m room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
    /// A media file, or `-` for stdin
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// Begin again at the end of the file, for ever
    #[arg(long = "loop")]
    pub repeat: bool,
    /// How long one part lasts, in milliseconds
    #[arg(long, default_value_t = 333, value_name = "MS", value_parser = clap::value_parser!(u32).range(50..=2000))]
    pub part_ms: u32,
    /// The track's name
    #[arg(long, default_value = "main")]
    pub track: TrackId,
    /// The publisher's user id
    #[arg(long, default_value = "mobzctl")]
    pub user: UserId,
    /// Stop after this long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Leave the stream without an end: players wait for its next publisher
    #[arg(long)]
    pub no_end: bool,
    /// With --output json, also a line for each part: when it was sent, and when it was acknowledged
    #[arg(long)]
    pub acks: bool,
    /// Where clients connect, if not at the endpoint
    #[arg(long, env = "MOBZ_SIGNAL_URL", value_name = "ws(s)://…")]
    pub signal_url: Option<String>,
}

/// `hls tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl hls tail demo
  mobzctl hls tail https://live.example.org/hls/demo/index.m3u8 --output json
  mobzctl hls tail demo --bytes copy.mp4 --duration 10s

Ends when the stream ends, and on Ctrl-C, with exit code 0.")]
pub struct Tail {
    /// A room, or the URL of a multivariant or media playlist
    #[arg(value_name = "ROOM|URL", add = ArgValueCandidates::new(complete::rooms))]
    pub source: String,
    /// The track, where there are several; the first otherwise
    #[arg(long)]
    pub track: Option<TrackId>,
    /// Save the media too, as one fragmented MP4
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bytes: Option<PathBuf>,
    /// Stop after this long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Stop after this many parts (segments, in a stream without parts)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub parts: Option<u64>,
    /// Wait this long for a stream that is not there yet; exit code 5 when it does not come
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `hls probe`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl hls probe https://live.example.org/hls/demo/index.m3u8
  mobzctl hls probe http://127.0.0.1:7881/hls/demo/index.m3u8 --duration 60s
  mobzctl hls probe https://live.example.org/live.m3u8 --output json | jq '.rules[] | select(.verdict == \"fail\")'

Follows the stream as a low-latency player does, asks at the borders of every delivery directive,
compares media, and says of each server rule of draft-pantos-hls-rfc8216bis-22 that can be seen from
outside: pass, fail (a MUST), warn (a SHOULD), n/a (the stream has nothing of the kind) or skipped
(it could not be checked: never a pass). Measures latency beside it. Exit code 0 when no rule
fails, 1 when one does, 3 when nothing is there, 5 or 6 when the server does not answer.")]
pub struct Probe {
    /// The URL of a multivariant or media playlist, of any server
    #[arg(value_hint = ValueHint::Url)]
    pub url: Url,
    /// The rendition, where there are several: a piece of its path; the first otherwise
    #[arg(long, value_name = "NAME")]
    pub track: Option<String>,
    /// How long to look
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,
}
