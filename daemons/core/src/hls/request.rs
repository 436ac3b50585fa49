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
    /// `iframes.m3u8`.
    IFrames,
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
        if file == "iframes.m3u8" {
            return Some(Self::IFrames);
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
                "_HLS_skip" if value == "YES" => extent = Extent::Delta,
                "_HLS_skip" if value == "v2" => extent = Extent::DeltaOfDateRanges,
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

/// Whether an I-frame playlist that must reach entry `msn` can be sent. It has no parts, so that a part asked
/// for is not looked at.
pub fn decide_iframes(stream: &Stream, track: &Track, msn: u64) -> Decision {
    let next = track.next_still();
    if stream.has_ended(track) || msn < next {
        Decision::Ready
    } else if msn >= next.saturating_add(2) {
        Decision::Bad("_HLS_msn is more than two beyond the last I-frame")
    } else {
        Decision::Wait
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hls::data::{DataKind, DataSignal, InitFields, PartFields};
    use crate::hls::stream::Settings;
    use crate::hls::testing::{Encoder, video_init};
    use crate::time::Timestamp;

    /// Parts of 500 ms, a keyframe every fourth: segments of four, so many parts in all.
    fn stream(parts: u32) -> Stream {
        let mut stream = Stream::default();
        let mut encoder = Encoder::default();
        let mut now = Timestamp::from_millis(1_700_000_000_000);
        let mut send = |now, kind, payload| {
            let signal = DataSignal { id: None, track: "main".parse().unwrap(), kind, chunk: None, payload };
            let ingested =
                stream.ingest(now, &Settings::default(), &"ann".parse().unwrap(), &signal).unwrap();
            stream = ingested.next.unwrap();
        };
        send(now, DataKind::Init(InitFields::default()), video_init());
        for part in 0..parts {
            now = now.after(Duration::from_millis(500));
            send(now, DataKind::Part(PartFields::default()), encoder.part(500, part % 4 == 0));
        }
        stream
    }

    fn decide(stream: &Stream, msn: u64, part: Option<u32>) -> Decision {
        decide_playlist(stream, &stream.tracks[&"main".parse().unwrap()], Edge { msn, part })
    }

    fn is_bad(decision: Decision) -> bool {
        matches!(decision, Decision::Bad(_))
    }

    #[test]
    fn what_is_there_is_answered_however_old() {
        let stream = stream(10);
        for (msn, part) in [(0, None), (1, None), (0, Some(0)), (1, Some(3)), (2, Some(0)), (2, Some(1))] {
            assert_eq!(decide(&stream, msn, part), Decision::Ready, "{msn} {part:?}");
        }
    }

    #[test]
    fn what_is_next_is_waited_for() {
        let stream = stream(10);
        for (msn, part) in [(2, None), (2, Some(2)), (2, Some(7)), (3, None), (3, Some(0)), (3, Some(99))] {
            assert_eq!(decide(&stream, msn, part), Decision::Wait, "{msn} {part:?}");
        }
    }

    #[test]
    fn a_part_past_a_complete_segments_end_is_the_first_of_the_next() {
        assert_eq!(decide(&stream(8), 1, Some(4)), Decision::Wait);
        assert_eq!(decide(&stream(9), 1, Some(4)), Decision::Ready);
        assert_eq!(decide(&stream(9), 1, Some(9)), Decision::Ready);
    }

    #[test]
    fn too_far_ahead_is_refused() {
        let ten = stream(10);
        assert!(is_bad(decide(&ten, 4, None)), "the last complete one is 1");
        assert!(is_bad(decide(&ten, 2, Some(8))), "3 / 0.5 s is six parts, and the last is 1");
        let eight = stream(8);
        assert_eq!(decide(&eight, 2, Some(5)), Decision::Wait);
        assert!(is_bad(decide(&eight, 2, Some(6))), "six parts beyond the one before the first");
    }

    #[test]
    fn of_parts_of_a_second_and_longer_three_may_be_asked_for_ahead() {
        for (millis, last, beyond) in [(700, 5, 6), (999, 4, 5), (1000, 4, 5), (2500, 4, 5)] {
            let mut stream = stream(10);
            stream.part_target = Some(millis);
            assert_eq!(decide(&stream, 2, Some(last)), Decision::Wait, "{millis} ms");
            assert!(is_bad(decide(&stream, 2, Some(beyond))), "{millis} ms");
        }
    }

    #[test]
    fn of_an_ended_stream_everything_is_there() {
        let mut ended = stream(10);
        ended.phase = crate::hls::stream::Phase::Ended(Timestamp::from_millis(1));
        assert_eq!(decide(&ended, 99, Some(99)), Decision::Ready);
    }

    #[test]
    fn only_the_hinted_part_is_waited_for() {
        let stream = stream(10);
        let track = &stream.tracks[&"main".parse().unwrap()];
        let decide = |msn, part| decide_part(&stream, track, msn, part);
        assert_eq!(stream.hint(track), Some((2, 2)));
        assert_eq!(decide(2, 1), Decision::Ready);
        assert_eq!(decide(0, 3), Decision::Ready);
        assert_eq!(decide(2, 2), Decision::Wait);
        for (msn, part) in [(2, 3), (3, 0), (0, 4), (9, 0)] {
            assert_eq!(decide(msn, part), Decision::NotFound, "{msn}.{part}");
        }
    }

    #[test]
    fn where_a_keyframe_is_due_the_hint_is_the_next_segments_first_part() {
        let mut stream = stream(5);
        // Segments of one second: as long as half the target, ended by keyframes.
        stream.target_duration = 4;
        let name = "main".parse().unwrap();
        let track = stream.tracks.get_mut(&name).unwrap();
        track.segments[0].duration = 2_000_000;
        let open = track.open.as_mut().unwrap();
        open.duration = 2_000_000;
        let track = &stream.tracks[&name];
        assert_eq!(stream.hint(track), Some((2, 0)));
    }

    #[test]
    fn directives_are_read_strictly() {
        let edge = |msn, part| Some(Edge { msn, part });
        let cases = [
            ("", None, Extent::Full),
            ("_HLS_msn=3", edge(3, None), Extent::Full),
            ("_HLS_msn=3&_HLS_part=0&_HLS_skip=YES", edge(3, Some(0)), Extent::Delta),
            ("_HLS_skip=v2&other=x", None, Extent::DeltaOfDateRanges),
        ];
        for (query, until, extent) in cases {
            assert_eq!(Directives::parse(query), Ok(Directives { until, extent }), "{query}");
        }
        for query in [
            "_HLS_part=1",
            "_HLS_msn=x",
            "_HLS_msn=-1",
            "_HLS_msn=",
            "_HLS_msn=1&_HLS_part=1.5",
            "_HLS_skip=NO",
        ] {
            assert!(Directives::parse(query).is_err(), "{query}");
        }
    }
}
