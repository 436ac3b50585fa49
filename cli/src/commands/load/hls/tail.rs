//! What a viewer needs of a media playlist. Viewers who get the same bytes share one reading of them: a
//! test of thousands must not cost thousands of parsers.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use reqwest::Url;

use super::super::measure::lock;
use super::wire::Answer;
use crate::commands::hls::playlist::{self, Media, Resource, span};

/// How many readings are kept: viewers are at most a few parts apart.
const READINGS_MAX: usize = 8;
/// The largest playlist that is read, in bytes.
const PLAYLIST_BYTES_MAX: u64 = 4 << 20;

/// Where a piece of media is: its path, and its first byte and length where it is a piece of what is there.
type Section = (Arc<str>, Option<(u64, u64)>);

/// A part that is listed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// Segment and part.
    pub(super) number: (u64, u64),
    pub(super) path: Arc<str>,
    /// First byte and length.
    pub(super) range: Option<(u64, u64)>,
    pub(super) duration: Duration,
    pub(super) is_independent: bool,
    /// When its last frame was taken, by the playlist's program date time.
    pub(super) captured: Option<Timestamp>,
}

/// A playlist, as far as a viewer at its end cares.
#[derive(Debug)]
pub(super) struct Tail {
    /// All parts that are listed and not a gap.
    pub(super) parts: Vec<Listed>,
    /// The part that the next reload asks for.
    pub(super) next: (u64, u64),
    /// The part that is hinted.
    pub(super) hint: Option<Arc<str>>,
    /// The initialization section.
    pub(super) init: Option<Section>,
    /// Whether delta updates are offered.
    pub(super) can_skip: bool,
    /// Whether reloads block.
    pub(super) can_block: bool,
    /// How far from the end a player plays.
    pub(super) hold_back: Duration,
    pub(super) target_duration: Duration,
    pub(super) has_ended: bool,
}

impl Tail {
    /// Where a player begins: at the last independent part from which there is as much as it holds back,
    /// or at the first one.
    pub(super) fn start(&self) -> usize {
        let mut rest = Duration::ZERO;
        for (index, part) in self.parts.iter().enumerate().rev() {
            rest += part.duration;
            if part.is_independent && rest >= self.hold_back {
                return index;
            }
        }
        self.parts.iter().position(|part| part.is_independent).unwrap_or(0)
    }

    fn read(url: &Url, text: &str) -> Result<Self, String> {
        let media = playlist::media(text)?;
        let path = |uri: &str| {
            let url = url.join(uri).map_err(|error| format!("{uri} is no URI: {error}"))?;
            Ok::<Arc<str>, String>(path_of(&url).into())
        };
        let hint = media.hints.iter().find(|hint| hint.kind == "PART" && hint.range.is_none());
        let control = media.control.clone().unwrap_or_default();
        let hold_back = control.part_hold_back.or(media.part_target.map(|target| 3.0 * target));
        Ok(Self {
            parts: parts(&media, path)?,
            next: (media.open_msn, media.open.len() as u64),
            hint: hint.map(|hint| path(&hint.uri)).transpose()?,
            init: media.map.as_ref().map(|map| Ok::<_, String>((path(&map.uri)?, map.range))).transpose()?,
            can_skip: control.can_skip_until.is_some(),
            can_block: media.can_block_reload,
            hold_back: seconds(hold_back.unwrap_or_default()),
            target_duration: seconds(media.target_duration),
            has_ended: media.ended,
        })
    }
}

/// Path and query, as a request has them.
pub(super) fn path_of(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

fn parts(media: &Media, path: impl Fn(&str) -> Result<Arc<str>, String>) -> Result<Vec<Listed>, String> {
    let mut listed = Vec::new();
    let complete = media.segments.iter().map(|segment| (segment.msn, segment.time, &segment.parts));
    let open = std::iter::once((media.open_msn, media.open_time, &media.open));
    for (msn, time, parts) in complete.chain(open) {
        let mut ends = time;
        for (index, part) in (0..).zip(parts) {
            ends = ends.and_then(|time| time.checked_add(span(part.duration)).ok());
            let Resource { uri, range } = &part.resource;
            if !part.gap {
                listed.push(Listed {
                    number: (msn, index),
                    path: path(uri)?,
                    range: *range,
                    duration: seconds(part.duration),
                    is_independent: part.independent,
                    captured: ends,
                });
            }
        }
    }
    Ok(listed)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The readings of one media playlist.
#[derive(Debug)]
pub(super) struct Readings {
    url: Url,
    recent: Mutex<VecDeque<(Bytes, Arc<Tail>)>>,
}

impl Readings {
    /// None yet; what is listed at `url` is relative to it.
    pub(super) fn new(url: Url) -> Self {
        Self { url, recent: Mutex::default() }
    }

    /// Reads a playlist, unless these bytes were read before.
    pub(super) fn read(&self, answer: &Answer) -> Result<Arc<Tail>, String> {
        let known = |recent: &VecDeque<(Bytes, Arc<Tail>)>| {
            recent.iter().find(|(bytes, _)| *bytes == answer.body).map(|(_, tail)| tail.clone())
        };
        if let Some(tail) = known(&lock(&self.recent)) {
            return Ok(tail);
        }
        let tail = Arc::new(Tail::read(&self.url, &text_of(answer)?)?);
        let mut recent = lock(&self.recent);
        recent.push_front((answer.body.clone(), tail.clone()));
        recent.truncate(READINGS_MAX);
        Ok(tail)
    }
}

/// The text of a playlist, decompressed.
pub(super) fn text_of(answer: &Answer) -> Result<String, String> {
    let mut text = String::new();
    let read = if answer.is_gzip {
        GzDecoder::new(&*answer.body).take(PLAYLIST_BYTES_MAX).read_to_string(&mut text)
    } else {
        answer.body.as_ref().take(PLAYLIST_BYTES_MAX).read_to_string(&mut text)
    };
    read.map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYLIST: &str = "#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:3
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-SKIP:SKIPPED-SEGMENTS=4
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI=\"7.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI=\"7.1.m4s\"
#EXTINF:1,
7.m4s
#EXT-X-PART:DURATION=0.5,URI=\"8.0.m4s\",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.1.m4s\"
";

    fn read(readings: &Readings, text: &str) -> Arc<Tail> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let (length, is_gzip, ended) = (0, false, tokio::time::Instant::now());
        readings.read(&Answer { body, length, is_gzip, ended }).unwrap()
    }

    #[test]
    fn a_viewer_begins_where_there_is_enough_to_hold_back() {
        let readings = Readings::new("http://a.example/live/media.m3u8?t=1".parse().unwrap());
        let tail = read(&readings, PLAYLIST);
        let numbers: Vec<_> = tail.parts.iter().map(|part| part.number).collect();
        assert_eq!((numbers, tail.start(), tail.next), (vec![(7, 0), (7, 1), (8, 0)], 0, (8, 1)));
        assert_eq!((&*tail.parts[2].path, tail.hint.as_deref()), ("/live/8.0.m4s", Some("/live/8.1.m4s")));
        assert_eq!(tail.parts[1].captured, Some("2026-01-01T00:00:01Z".parse().unwrap()));
        assert!(tail.can_skip && tail.can_block && !tail.has_ended);
    }

    #[test]
    fn the_same_bytes_are_read_once() {
        let readings = Readings::new("http://a.example/media.m3u8".parse().unwrap());
        let (first, other) = (read(&readings, PLAYLIST), read(&readings, &PLAYLIST.replace("1.5", "0.5")));
        assert!(Arc::ptr_eq(&first, &read(&readings, PLAYLIST)) && !Arc::ptr_eq(&first, &other));
        assert_eq!(other.start(), 2);
    }
}
