//! Media playlists (draft-pantos-hls-rfc8216bis-22) as values, and as text.

use std::fmt;
use std::time::Duration;

use super::reports::{self, Own};
use super::stream::{DateRange, Form, Segment, Stream, Track};
use super::text::{DateTime, Micros, Millis};
use crate::id::TrackId;

/// How many target durations from its end a playlist may be skipped up to (`CAN-SKIP-UNTIL`, §4.4.3.8).
pub const SKIP_BOUNDARY_TARGETS: u64 = 6;
/// For how many target durations before its end a playlist lists parts (§6.2.2).
pub const PARTS_LISTED_TARGETS: u64 = 3;
/// Of how many complete segments it lists parts at most: with the one to come that is three, and three of
/// these are no longer than three target durations, however exact anybody adds up.
const PARTS_LISTED_SEGMENTS: usize = 2;

/// Which of a playlist's forms is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// All of it.
    Full,
    /// A Playlist Delta Update (§6.2.5.1), without the older segments.
    Delta,
    /// One without the older date ranges too.
    DeltaOfDateRanges,
}

/// One track's playlist, of one moment.
#[derive(Clone, Copy, Debug)]
pub struct MediaPlaylist<'a> {
    stream: &'a Stream,
    name: &'a TrackId,
    track: &'a Track,
    extent: Extent,
}

impl<'a> MediaPlaylist<'a> {
    /// The playlist of a track; `None` while it has no media.
    pub fn new(stream: &'a Stream, name: &'a TrackId, extent: Extent) -> Option<Self> {
        let (name, track) = stream.tracks.get_key_value(name).filter(|(_, track)| track.has_media())?;
        Some(Self { stream, name, track, extent })
    }

    /// How many segments a delta update leaves out: those that end before the skip boundary.
    fn skipped(&self) -> usize {
        match self.extent {
            Extent::Full => 0,
            // The boundary counts from the end of the last complete segment.
            Extent::Delta | Extent::DeltaOfDateRanges => {
                let open = self.track.open.as_ref().map_or(0, |open| open.duration);
                let limit = SKIP_BOUNDARY_TARGETS * self.target_micros() + open;
                self.ends().take_while(|(_, end)| *end >= limit).count()
            }
        }
    }

    /// Where each complete segment begins and ends, in microseconds before the playlist's end.
    fn ends(&self) -> impl Iterator<Item = (u64, u64)> {
        self.track.segments.iter().scan(self.track.listed_duration(), |left, segment| {
            let begin = *left;
            *left -= segment.duration;
            Some((begin, *left))
        })
    }

    /// The date ranges this playlist lists, in the order of their places.
    fn date_ranges(&self, skipped: usize) -> Vec<((u64, u32), &'a DateRange)> {
        let boundary = Duration::from_secs(SKIP_BOUNDARY_TARGETS * u64::from(self.stream.target_duration));
        let leaves_out = skipped > 0 && self.extent == Extent::DeltaOfDateRanges;
        let is_listed =
            |range: &&DateRange| !leaves_out || self.stream.changed_at.since(range.added_at) <= boundary;
        let ranges = self.stream.date_ranges.iter().filter(is_listed);
        let mut placed: Vec<_> =
            ranges.map(|range| (range.places.get(self.name).copied().unwrap_or_default(), range)).collect();
        placed.sort_by_key(|(place, _)| *place);
        placed
    }

    fn skip(&self, f: &mut fmt::Formatter<'_>, skipped: usize) -> fmt::Result {
        write!(f, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        if self.extent == Extent::DeltaOfDateRanges {
            let removed = self.stream.removed_date_ranges.iter().map(|removed| removed.id.as_str());
            write!(f, ",RECENTLY-REMOVED-DATERANGES=\"{}\"", removed.collect::<Vec<_>>().join("\t"))?;
        }
        writeln!(f)
    }

    fn target_micros(&self) -> u64 {
        u64::from(self.stream.target_duration) * 1_000_000
    }

    fn head(&self, f: &mut fmt::Formatter<'_>, skipped: usize) -> fmt::Result {
        let (stream, track) = (self.stream, self.track);
        let is_low_latency = track.form == Form::Parts;
        let target = u64::from(stream.target_duration);
        // A playlist with EXT-X-SKIP is at least version 9, and 10 where that speaks of date ranges (§8).
        let version = match self.extent {
            Extent::DeltaOfDateRanges if skipped > 0 => 10,
            Extent::Delta if skipped > 0 => 9,
            Extent::Full | Extent::Delta | Extent::DeltaOfDateRanges if is_low_latency => 9,
            Extent::Full | Extent::Delta | Extent::DeltaOfDateRanges => 8,
        };
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}")?;
        write!(f, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={}", 3 * target)?;
        if let Some(part_target) = stream.part_target.filter(|_| is_low_latency) {
            write!(f, ",PART-HOLD-BACK={}", Millis(u64::from(part_target) * 3))?;
        }
        writeln!(f, ",CAN-SKIP-UNTIL={},CAN-SKIP-DATERANGES=YES", SKIP_BOUNDARY_TARGETS * target)?;
        if let Some(part_target) = stream.part_target.filter(|_| is_low_latency) {
            writeln!(f, "#EXT-X-PART-INF:PART-TARGET={}", Millis(part_target.into()))?;
        }
        let first = track.segments.front().or(track.open.as_ref()).map_or(0, |segment| segment.msn);
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
        writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", track.discontinuity_sequence)
    }
}

impl fmt::Display for MediaPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let track = self.track;
        let skipped = self.skipped();
        self.head(f, skipped)?;
        if skipped > 0 {
            self.skip(f, skipped)?;
        }
        let older = track.segments.len().saturating_sub(PARTS_LISTED_SEGMENTS);
        let listed = PARTS_LISTED_TARGETS * self.target_micros();
        let without_parts = self.ends().take_while(|(begin, _)| *begin > listed).count().max(older);
        let ranges = self.date_ranges(skipped);
        let mut ranges = Ranges { left: &ranges };
        // A delta update's reader knows the map of what it skips.
        let mut map = skipped.checked_sub(1).and_then(|last| track.segments.get(last)).map(|last| last.init);
        for (place, segment) in track.segments.iter().enumerate().skip(skipped) {
            ranges.write_up_to(f, (segment.msn, 0))?;
            if map != Some(segment.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.init)?;
                map = Some(segment.init);
            }
            write_segment(f, &mut ranges, segment, place >= without_parts, false)?;
        }
        if let Some(open) = &track.open {
            ranges.write_up_to(f, (open.msn, 0))?;
            if map != Some(open.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"init-{}.mp4\"", open.init)?;
            }
            write_segment(f, &mut ranges, open, true, true)?;
        }
        ranges.write_up_to(f, (u64::MAX, u32::MAX))?;
        if self.stream.has_ended(track) {
            return writeln!(f, "#EXT-X-ENDLIST");
        }
        if let Some((msn, part)) = self.stream.hint(track) {
            writeln!(f, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{msn}.{part}.m4s\"")?;
        }
        reports::write(f, self.stream, Own::Media(self.name))
    }
}

/// Date ranges that are not written yet, in the order of their places.
struct Ranges<'a> {
    left: &'a [((u64, u32), &'a DateRange)],
}

impl Ranges<'_> {
    /// Writes those that come before a part.
    fn write_up_to(&mut self, f: &mut fmt::Formatter<'_>, next: (u64, u32)) -> fmt::Result {
        while let Some(((_, range), rest)) = self.left.split_first().filter(|((place, _), _)| *place <= next)
        {
            writeln!(f, "{range}")?;
            self.left = rest;
        }
        Ok(())
    }
}

fn write_segment(
    f: &mut fmt::Formatter<'_>,
    ranges: &mut Ranges<'_>,
    segment: &Segment,
    shows_parts: bool,
    is_open: bool,
) -> fmt::Result {
    if segment.discontinuity {
        writeln!(f, "#EXT-X-DISCONTINUITY")?;
    }
    writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.date_time))?;
    if shows_parts {
        for (number, part) in (0..).zip(&segment.parts) {
            ranges.write_up_to(f, (segment.msn, number))?;
            write!(f, "#EXT-X-PART:DURATION={},URI=\"{}.{number}.m4s\"", Micros(part.duration), segment.msn)?;
            writeln!(f, "{}", if part.independent { ",INDEPENDENT=YES" } else { "" })?;
        }
    }
    if is_open {
        return Ok(());
    }
    ranges.write_up_to(f, (segment.msn, u32::MAX))?;
    if segment.gap {
        writeln!(f, "#EXT-X-GAP")?;
    }
    writeln!(f, "#EXTINF:{},\n{}.m4s", Micros(segment.duration), segment.msn)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hls::data::{DataKind, DataSignal, InitFields, PartFields};
    use crate::hls::stream::Settings;
    use crate::hls::testing::{Encoder, video_init};
    use crate::time::Timestamp;

    /// Parts of 500 ms, four a segment, so many of them.
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

    fn text(stream: &Stream, extent: Extent) -> String {
        MediaPlaylist::new(stream, &"main".parse().unwrap(), extent).unwrap().to_string()
    }

    #[test]
    fn a_playlist_reads_as_the_draft_says() {
        let expected = r#"#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6,PART-HOLD-BACK=1.500,CAN-SKIP-UNTIL=12,CAN-SKIP-DATERANGES=YES
#EXT-X-PART-INF:PART-TARGET=0.500
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-MAP:URI="init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
#EXT-X-PART:DURATION=0.50000,URI="0.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50000,URI="0.1.m4s"
#EXT-X-PART:DURATION=0.50000,URI="0.2.m4s"
#EXT-X-PART:DURATION=0.50000,URI="0.3.m4s"
#EXTINF:2.00000,
0.m4s
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z
#EXT-X-PART:DURATION=0.50000,URI="1.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1.1.m4s"
#EXT-X-RENDITION-REPORT:URI="../main/iframes.m3u8",LAST-MSN=0
"#;
        assert_eq!(text(&stream(5), Extent::Full), expected);
    }

    #[test]
    fn parts_are_listed_for_the_last_three_target_durations_only() {
        let playlist = text(&stream(40), Extent::Full);
        assert_eq!(playlist.matches("#EXTINF").count(), 10);
        let parts: Vec<_> = playlist.lines().filter(|line| line.starts_with("#EXT-X-PART:")).collect();
        assert_eq!(parts.len(), 8, "{playlist}");
        assert!(parts[0].contains("\"8.0.m4s\""), "{playlist}");
    }

    #[test]
    fn a_delta_update_leaves_out_what_lies_before_the_skip_boundary() {
        let stream = stream(40);
        let (full, delta) = (text(&stream, Extent::Full), text(&stream, Extent::Delta));
        assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"), "{delta}");
        assert!(!delta.contains("#EXT-X-MAP"), "{delta}");
        let rest = &delta[delta.find("#EXT-X-PROGRAM-DATE-TIME").unwrap()..];
        assert!(full.ends_with(rest), "{delta}");
        assert_eq!(rest.matches("#EXTINF").count(), 6);
        assert_eq!(
            text(&self::stream(8), Extent::Delta),
            text(&self::stream(8), Extent::Full),
            "nothing to skip"
        );
    }
}
