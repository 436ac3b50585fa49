//! Media playlists (draft-pantos-hls-rfc8216bis-22) as values, and as text.

use std::fmt;

use super::stream::{Form, Segment, Stream, Track};
use crate::id::TrackId;

/// How many target durations from its end a playlist may be skipped up to (`CAN-SKIP-UNTIL`, §4.4.3.8).
pub const SKIP_BOUNDARY_TARGETS: u64 = 6;
/// For how many target durations before its end a playlist lists parts (§6.2.2).
pub const PARTS_LISTED_TARGETS: u64 = 3;
/// Of how many complete segments it lists parts at most: with the one to come that is three, and three of
/// these are no longer than three target durations, however exact anybody adds up.
const PARTS_LISTED_SEGMENTS: usize = 2;

/// Which of a playlist's two forms is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// All of it.
    Full,
    /// A Playlist Delta Update (§6.2.5.1).
    Delta,
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
            Extent::Delta => self.beyond(SKIP_BOUNDARY_TARGETS),
        }
    }

    /// How many segments at the front begin further than `targets` target durations from the end.
    fn beyond(&self, targets: u64) -> usize {
        let mut left = self.track.listed_duration();
        let limit = targets * self.target_micros();
        self.track
            .segments
            .iter()
            .take_while(|segment| {
                let begins = left;
                left -= segment.duration;
                begins > limit
            })
            .count()
    }

    fn target_micros(&self) -> u64 {
        u64::from(self.stream.target_duration) * 1_000_000
    }

    fn head(&self, f: &mut fmt::Formatter<'_>, skipped: usize) -> fmt::Result {
        let (stream, track) = (self.stream, self.track);
        let is_low_latency = track.form == Form::Parts;
        let target = u64::from(stream.target_duration);
        // A playlist with EXT-X-SKIP is at least version 9 (§8).
        let version = if is_low_latency || skipped > 0 { 9 } else { 8 };
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}")?;
        write!(f, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={}", 3 * target)?;
        if let Some(part_target) = stream.part_target.filter(|_| is_low_latency) {
            write!(f, ",PART-HOLD-BACK={}", Millis(u64::from(part_target) * 3))?;
        }
        writeln!(f, ",CAN-SKIP-UNTIL={}", SKIP_BOUNDARY_TARGETS * target)?;
        if let Some(part_target) = stream.part_target.filter(|_| is_low_latency) {
            writeln!(f, "#EXT-X-PART-INF:PART-TARGET={}", Millis(part_target.into()))?;
        }
        let first = track.segments.front().or(track.open.as_ref()).map_or(0, |segment| segment.msn);
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
        writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", track.discontinuity_sequence)
    }

    fn reports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, track) in self.stream.listed().filter(|(name, _)| *name != self.name) {
            let Some((msn, part)) = track.edge() else { continue };
            write!(f, "#EXT-X-RENDITION-REPORT:URI=\"../{name}/media.m3u8\",LAST-MSN={msn}")?;
            match (track.form, part) {
                (Form::Parts, part) => writeln!(f, ",LAST-PART={}", part.unwrap_or(0))?,
                (Form::Segments | Form::Unknown, _) => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for MediaPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let track = self.track;
        let skipped = self.skipped();
        self.head(f, skipped)?;
        if skipped > 0 {
            writeln!(f, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let older = track.segments.len().saturating_sub(PARTS_LISTED_SEGMENTS);
        let without_parts = self.beyond(PARTS_LISTED_TARGETS).max(older);
        // A delta update's reader knows the map of what it skips.
        let mut map = skipped.checked_sub(1).and_then(|last| track.segments.get(last)).map(|last| last.init);
        for (place, segment) in track.segments.iter().enumerate().skip(skipped) {
            if map != Some(segment.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.init)?;
                map = Some(segment.init);
            }
            write_segment(f, segment, place >= without_parts, false)?;
        }
        if let Some(open) = &track.open {
            if map != Some(open.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"init-{}.mp4\"", open.init)?;
            }
            write_segment(f, open, true, true)?;
        }
        if self.stream.has_ended(track) {
            return writeln!(f, "#EXT-X-ENDLIST");
        }
        if let Some((msn, part)) = self.stream.hint(track) {
            writeln!(f, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{msn}.{part}.m4s\"")?;
        }
        self.reports(f)
    }
}

fn write_segment(
    f: &mut fmt::Formatter<'_>,
    segment: &Segment,
    shows_parts: bool,
    is_open: bool,
) -> fmt::Result {
    if segment.discontinuity {
        writeln!(f, "#EXT-X-DISCONTINUITY")?;
    }
    writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.date_time))?;
    if shows_parts {
        for (number, part) in segment.parts.iter().enumerate() {
            write!(f, "#EXT-X-PART:DURATION={},URI=\"{}.{number}.m4s\"", Micros(part.duration), segment.msn)?;
            writeln!(f, "{}", if part.independent { ",INDEPENDENT=YES" } else { "" })?;
        }
    }
    if is_open {
        return Ok(());
    }
    if segment.gap {
        writeln!(f, "#EXT-X-GAP")?;
    }
    writeln!(f, "#EXTINF:{},\n{}.m4s", Micros(segment.duration), segment.msn)
}

/// Seconds with three decimals, from milliseconds.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Seconds with five decimals, rounded, from microseconds.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = self.0.saturating_add(5) / 10;
        write!(f, "{}.{:05}", rounded / 100_000, rounded % 100_000)
    }
}

/// A date and time as ISO 8601 writes it in UTC, to the millisecond, from microseconds since the Unix epoch.
struct DateTime(u64);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1000;
        let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
        // Days of the proleptic Gregorian calendar, counted from 1 March 0000 so that leap days come last.
        let from_march = days + 719_468;
        let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
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
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6,PART-HOLD-BACK=1.500,CAN-SKIP-UNTIL=12
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

    #[test]
    fn date_times_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(DateTime(millis * 1000).to_string(), text);
        }
    }
}
