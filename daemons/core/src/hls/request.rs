//! What a player asks for and whether it is there yet: the blocking rules of PROTOCOL.md §6, as decisions.

use super::playlist::Extent;
use super::stream::{Form, Stream, Track};

/// The delivery directives of a playlist request (draft-pantos-hls-rfc8216bis-22 §6.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn` and `_HLS_part`.
    pub until: Option<Edge>,
    /// `_HLS_skip`.
    pub extent: Extent,
}

/// What a playlist must have before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// `_HLS_msn`.
    pub msn: u64,
    /// `_HLS_part`; without it the whole segment is meant.
    pub part: Option<u32>,
}

/// What to do with a request now; asked again whenever the stream has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with what is there.
    Ready,
    /// Keep it until the stream changes.
    Wait,
    /// 400: it asks for what is too far ahead, or makes no sense.
    Bad(&'static str),
    /// 404.
    NotFound,
}

/// A resource of one track, by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `media.m3u8`.
    Playlist,
    /// `init-<n>.mp4`.
    Init(u64),
    /// `<msn>.m4s`.
    Segment(u64),
    /// `<msn>.<part>.m4s`.
    Part(u64, u32),
}

impl Resource {
    /// The resource a file name means; numbers are written in one way only.
    pub fn parse(file: &str) -> Option<Self> {
        if file == "media.m3u8" {
            return Some(Self::Playlist);
        }
        if let Some(number) = file.strip_prefix("init-").and_then(|rest| rest.strip_suffix(".mp4")) {
            return Some(Self::Init(plain_number(number)?));
        }
        let name = file.strip_suffix(".m4s")?;
        Some(match name.split_once('.') {
            None => Self::Segment(plain_number(name)?),
            Some((msn, part)) => Self::Part(plain_number(msn)?, u32::try_from(plain_number(part)?).ok()?),
        })
    }
}

impl Directives {
    /// Reads a query string; directives other than the three of `_HLS_` are ignored.
    ///
    /// # Errors
    ///
    /// What is wrong, for a 400.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let (mut msn, mut part, mut extent) = (None, None, Extent::Full);
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "_HLS_msn" => {
                    msn = Some(value.parse::<u64>().map_err(|_| "_HLS_msn is a media sequence number")?);
                }
                "_HLS_part" => part = Some(value.parse::<u32>().map_err(|_| "_HLS_part is a part's number")?),
                "_HLS_skip" if value == "YES" || value == "v2" => extent = Extent::Delta,
                "_HLS_skip" => return Err("_HLS_skip is YES or v2"),
                _ => {}
            }
        }
        let until = match (msn, part) {
            (None, None) => None,
            (None, Some(_)) => return Err("_HLS_part needs _HLS_msn"),
            (Some(msn), part) => Some(Edge { msn, part }),
        };
        Ok(Self { until, extent })
    }
}

/// Whether a playlist that must reach `until` can be sent. Of an ended track it always can.
pub fn decide_playlist(stream: &Stream, track: &Track, until: Edge) -> Decision {
    if stream.has_ended(track) || has(track, until) {
        return Decision::Ready;
    }
    let first_beyond = track.last_complete().map_or(0, |last| last + 1).saturating_add(2);
    if until.msn >= first_beyond {
        return Decision::Bad("_HLS_msn is more than two beyond the last complete segment");
    }
    let (open, parts) = track.open.as_ref().map_or((track.next_msn, 0), |open| (open.msn, open.part_count));
    if let Some(part) = until.part
        && until.msn == open
    {
        let ahead = u64::from(part) + 1 - u64::from(parts);
        let part_target = u64::from(stream.part_target.unwrap_or(1000));
        let is_too_far = if part_target < 1000 { ahead * part_target > 3000 } else { ahead > 3 };
        if is_too_far {
            return Decision::Bad("_HLS_part is too far beyond the last part");
        }
    }
    Decision::Wait
}

/// Whether a part is there, or is worth waiting for because the playlist hints at it.
pub fn decide_part(stream: &Stream, track: &Track, msn: u64, part: u32) -> Decision {
    let open = track.open.as_ref().filter(|open| open.msn == msn).map(|open| open.part_count);
    match open.or_else(|| track.fetchable(msn)) {
        Some(count) if part < count => Decision::Ready,
        Some(_) | None if stream.hint(track) == Some((msn, part)) => Decision::Wait,
        Some(_) | None => Decision::NotFound,
    }
}

/// Whether the playlist reaches `until`.
fn has(track: &Track, until: Edge) -> bool {
    let is_complete = |msn| track.last_complete().is_some_and(|last| msn <= last);
    let part = until.part.filter(|_| track.form == Form::Parts);
    match part {
        None => is_complete(until.msn),
        Some(part) if is_complete(until.msn) => {
            // A part past a complete segment's end is the first of the next; of a segment no longer
            // listed the count is not known, but then the next is there too.
            let count = track.segment(until.msn).map_or(u32::MAX, |segment| segment.part_count);
            part < count || is_complete(until.msn + 1) || track.open.is_some()
        }
        Some(part) => track.open.as_ref().is_some_and(|open| open.msn == until.msn && part < open.part_count),
    }
}

/// A number as these file names are written: digits, no sign, no leading zero.
fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
