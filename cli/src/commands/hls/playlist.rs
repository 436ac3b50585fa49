//! Playlists as a player reads them (draft-pantos-hls-rfc8216bis-22 §4).

mod read;

use std::collections::BTreeMap;

use jiff::Timestamp;

#[cfg(test)]
pub(super) use self::read::attributes;
pub(super) use self::read::multivariant;
pub(in crate::commands) use self::read::{media, variants};

/// A media playlist.
#[allow(clippy::struct_excessive_bools, reason = "each is a tag that is there or not")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::commands) struct Media {
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_duration: f64,
    /// Whether the server holds a request until what it asks for is there.
    pub can_block_reload: bool,
    /// Complete segments, in order.
    pub segments: Vec<Segment>,
    /// Parts of the segment that is not complete.
    pub open: Vec<Part>,
    /// The number of the segment that is not complete.
    pub open_msn: u64,
    /// Whether the segment that is not complete goes on from something else.
    pub open_discontinuity: bool,
    /// When the segment that is not complete began, where the playlist says so.
    pub open_time: Option<Timestamp>,
    /// The initialization section of the last media listed.
    pub map: Option<Resource>,
    /// Whether the stream is over.
    pub ended: bool,
    /// `EXT-X-VERSION`; 1 where there is none.
    pub version: u64,
    /// `EXT-X-MEDIA-SEQUENCE`: the number of the first segment, skipped ones included.
    pub sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `PART-TARGET`, in seconds.
    pub part_target: Option<f64>,
    /// `EXT-X-SERVER-CONTROL`.
    pub control: Option<Control>,
    /// `SKIPPED-SEGMENTS` of a delta update.
    pub skipped: Option<u64>,
    /// `EXT-X-PRELOAD-HINT`, each.
    pub hints: Vec<Hint>,
    /// `EXT-X-RENDITION-REPORT`, each.
    pub reports: Vec<Report>,
    /// `EXT-X-DATERANGE`, each, as it stands there.
    pub ranges: Vec<Attributes>,
    /// `RECENTLY-REMOVED-DATERANGES` of a delta update: identifiers, apart by tabs.
    pub removed_ranges: Option<String>,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub kind: Option<String>,
    /// `EXT-X-I-FRAMES-ONLY`.
    pub only_i_frames: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// What stands where it must not, in words.
    pub misplaced: Vec<String>,
}

/// The attributes of a tag.
pub(in crate::commands) type Attributes = BTreeMap<String, String>;

/// `EXT-X-SERVER-CONTROL` (§4.4.3.8); times in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::commands) struct Control {
    /// The Skip Boundary.
    pub can_skip_until: Option<f64>,
    /// How far from the end to play.
    pub hold_back: Option<f64>,
    /// How far from the end to play in low-latency mode.
    pub part_hold_back: Option<f64>,
    /// Whether delta updates may leave out date ranges.
    pub can_skip_ranges: bool,
    /// All of it, as it stands there.
    pub written: Attributes,
}

/// `EXT-X-PRELOAD-HINT` (§4.4.5.3).
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Hint {
    /// `PART` or `MAP`.
    pub kind: String,
    /// As the playlist has it.
    pub uri: String,
    /// First byte, and how many where that is known.
    pub range: Option<(u64, Option<u64>)>,
}

/// `EXT-X-RENDITION-REPORT` (§4.4.5.4).
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Report {
    /// As the playlist has it.
    pub uri: String,
    /// `LAST-MSN`.
    pub last_msn: Option<u64>,
    /// `LAST-PART`.
    pub last_part: Option<u64>,
}

impl Media {
    /// Whether it lists parts.
    pub(in crate::commands) fn has_parts(&self) -> bool {
        !self.open.is_empty() || self.segments.iter().any(|segment| !segment.parts.is_empty())
    }

    /// The listed segment of that number.
    pub(in crate::commands) fn segment(&self, msn: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.msn == msn)
    }

    /// The parts of a segment, complete or not; none where they are not listed.
    pub(in crate::commands) fn parts(&self, msn: u64) -> &[Part] {
        if msn == self.open_msn {
            return &self.open;
        }
        self.segment(msn).map_or(&[], |segment| &segment.parts)
    }

    /// The number of the last complete segment.
    pub(in crate::commands) fn last_msn(&self) -> Option<u64> {
        self.open_msn.checked_sub(1).filter(|last| *last >= self.sequence)
    }

    /// The last media there is: a segment, and the part of it where parts are listed.
    pub(in crate::commands) fn edge(&self) -> (u64, Option<u64>) {
        if let Some(last) = self.open.len().checked_sub(1) {
            return (self.open_msn, Some(last as u64));
        }
        let last = self.segments.last();
        let part = last.and_then(|segment| segment.parts.len().checked_sub(1));
        (last.map_or(self.sequence, |segment| segment.msn), part.map(|part| part as u64))
    }

    /// When its last media was captured, by the program date times.
    pub(in crate::commands) fn edge_time(&self) -> Option<Timestamp> {
        let open: f64 = self.open.iter().map(|part| part.duration).sum();
        self.open_time.and_then(|time| time.checked_add(span(open)).ok())
    }

    /// How long all of it is, in seconds: complete segments and open parts.
    pub(in crate::commands) fn duration(&self) -> f64 {
        let complete: f64 = self.segments.iter().map(|segment| segment.duration).sum();
        complete + self.open.iter().map(|part| part.duration).sum::<f64>()
    }
}

/// A complete segment.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Segment {
    /// Its media sequence number.
    pub msn: u64,
    /// In seconds.
    pub duration: f64,
    /// The media.
    pub resource: Resource,
    /// Its parts, while they are listed.
    pub parts: Vec<Part>,
    /// When its first frame was taken.
    pub time: Option<Timestamp>,
    /// Whether its media is missing.
    pub gap: bool,
    /// Its initialization section.
    pub map: Option<Resource>,
    /// Whether it goes on from something else.
    pub discontinuity: bool,
    /// `EXT-X-BITRATE`, in kilobits a second.
    pub bitrate: Option<u64>,
}

/// A part.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Part {
    /// In seconds.
    pub duration: f64,
    /// Whether a decoder may start with it.
    pub independent: bool,
    /// Whether its media is missing.
    pub gap: bool,
    /// The media.
    pub resource: Resource,
}

/// Where media is: a URI, perhaps a range of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Resource {
    /// As the playlist has it.
    pub uri: String,
    /// First byte and length.
    pub range: Option<(u64, u64)>,
}

/// A multivariant playlist (§4.4.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Multivariant {
    /// `EXT-X-STREAM-INF`, each with the URI after it.
    pub variants: Vec<(Attributes, Option<String>)>,
    /// `EXT-X-MEDIA`, each.
    pub renditions: Vec<Attributes>,
    /// `EXT-X-I-FRAME-STREAM-INF`, each.
    pub i_frames: Vec<Attributes>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
}

/// Seconds as a span of time.
pub(in crate::commands) fn span(seconds: f64) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default()
}
