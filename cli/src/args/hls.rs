//! `hls push|tail|probe`.

use std::path::PathBuf;
use std::str::FromStr;
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
  mobzctl hls push demo video.mp4 --renditions 720p,360p --parts 200ms
  ffmpeg -f lavfi -i testsrc2 -c:v libx264 -f mpegts - | mobzctl hls push demo -

A file is encoded by ffmpeg to H.264 and AAC. On stdin a fragmented MP4 (each moof and mdat one
part) goes as it is, anything else through ffmpeg. Renditions are tracks of one room with the same
keyframes, parts and sound, so that players switch between them without a gap. Ctrl-C ends the
stream; a lost connection is resumed, and nothing is lost or sent twice.")]
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
    /// How long one part lasts; `on` is 333ms, `off` sends whole segments (plain HLS)
    #[arg(long, default_value = "on", value_name = "on|off|TIME")]
    pub parts: Parts,
    /// The older spelling of `--parts`, in milliseconds
    #[arg(long, hide = true, conflicts_with = "parts", value_name = "MS", value_parser = clap::value_parser!(u32).range(50..=2000))]
    pub part_ms: Option<u32>,
    /// Encode pictures of these heights, one track each, named as written here
    #[arg(long, value_name = "720p,360p", value_delimiter = ',', conflicts_with = "track")]
    pub renditions: Vec<Rendition>,
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

impl Push {
    /// How long a part lasts, in milliseconds; `None` for whole segments.
    pub fn part_millis(&self) -> Option<u32> {
        self.part_ms.or(match self.parts {
            Parts::On => Some(PART_MILLIS_DEFAULT),
            Parts::Off => None,
            Parts::Lasting(millis) => Some(millis),
        })
    }
}

/// How long a part lasts where nobody says, in milliseconds.
const PART_MILLIS_DEFAULT: u32 = 333;
/// The shortest and the longest part, in milliseconds.
const PART_MILLIS: std::ops::RangeInclusive<u32> = 50..=2000;
/// The lowest and the highest picture of a rendition, in lines.
const RENDITION_LINES: std::ops::RangeInclusive<u32> = 90..=2160;

/// Whether media is sent in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// In parts of the usual length.
    On,
    /// In whole segments.
    Off,
    /// In parts of so many milliseconds.
    Lasting(u32),
}

impl FromStr for Parts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            text => {
                let millis = duration(text).ok().and_then(|time| u32::try_from(time.as_millis()).ok());
                let millis = millis.filter(|millis| PART_MILLIS.contains(millis)).ok_or_else(|| {
                    format!("on, off, or a time from {}ms to {}ms", PART_MILLIS.start(), PART_MILLIS.end())
                })?;
                Ok(Self::Lasting(millis))
            }
        }
    }
}

/// A rendition to encode: `720p`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// The track's name: as it was written.
    pub track: TrackId,
    /// The picture's height in lines, even.
    pub height: u32,
}

impl FromStr for Rendition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let why = || {
            let (least, most) = (RENDITION_LINES.start(), RENDITION_LINES.end());
            format!("an even height from {least}p to {most}p, as in 720p")
        };
        let height = text.strip_suffix('p').and_then(|height| height.parse().ok());
        let is_fit = |height: &u32| RENDITION_LINES.contains(height) && height.is_multiple_of(2);
        let height = height.filter(is_fit).ok_or_else(why)?;
        Ok(Self { track: text.parse().map_err(|_| why())?, height })
    }
}

/// `hls tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl hls tail demo
  mobzctl hls tail https://live.example.org/hls/demo/index.m3u8 --output json
  mobzctl hls tail demo --bytes copy.mp4 --duration 10s

Ends when the stream ends, and on Ctrl-C, with exit code 0. Goes on when another publisher does. With
--bytes, what goes on from something else (a discontinuity) is saved to a file of its own: copy.mp4,
copy-2.mp4 and so on, each of which plays.")]
pub struct Tail {
    /// A room, or the URL of a multivariant or media playlist
    #[arg(value_name = "ROOM|URL", add = ArgValueCandidates::new(complete::rooms))]
    pub source: String,
    /// The track, where there are several; the first otherwise
    #[arg(long)]
    pub track: Option<TrackId>,
    /// Save the media too, as fragmented MP4: one file until the first discontinuity
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
fails, 1 when one does, 3 when nothing is there, 5 or 6 when the server does not answer.

The table stands under headings, what a rule is about. JSON is one document: {\"url\", \"playlist\",
\"draft\", \"conforms\", \"counts\": {\"pass\", \"fail\", \"warn\", \"notApplicable\", \"skipped\"}, \"seconds\",
\"reloads\", \"rules\": [{\"rule\", \"group\", \"section\", \"level\": must|should, \"verdict\", \"demand\", \"seen\",
\"checks\", \"broken\"}], \"figuresMs\": {\"edgeAge\", \"reload\", \"partInterval\", \"playlistAfterPart\",
\"partFetch\": {\"p50\", \"p99\", \"max\", \"count\"} or null}}.")]
pub struct Probe {
    /// The URL of a multivariant or media playlist, of any server
    #[arg(value_hint = ValueHint::Url)]
    pub url: Url,
    /// The rendition, where there are several: a piece of its path; the first otherwise
    #[arg(long, value_name = "NAME")]
    pub track: Option<String>,
    /// How long to follow the stream; what is asked before takes a few target durations more
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_on_off_or_a_time_within_limits() {
        assert_eq!("on".parse(), Ok(Parts::On));
        assert_eq!("off".parse(), Ok(Parts::Off));
        assert_eq!("200ms".parse(), Ok(Parts::Lasting(200)));
        assert_eq!("1s".parse(), Ok(Parts::Lasting(1000)));
        for text in ["", "yes", "10ms", "3s", "200"] {
            assert!(text.parse::<Parts>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rendition_is_an_even_height_with_a_p() {
        let rendition: Rendition = "720p".parse().unwrap();
        assert_eq!((rendition.track.as_ref(), rendition.height), ("720p", 720));
        for text in ["720", "p", "721p", "10p", "9000p", "-2p"] {
            assert!(text.parse::<Rendition>().is_err(), "{text}");
        }
    }
}
