//! I-frames: what a player that winds, or shows thumbnails, loads instead of whole segments.

use serde::{Deserialize, Serialize};

use super::track::{Segment, Track};
use crate::hls::fmp4::ByteRange;

/// Where a segment has an I-frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IFrame {
    /// How far into the segment it is shown, in microseconds.
    pub at: u64,
    /// Its bytes in the segment: from its `moof` to the end of its sample.
    pub range: ByteRange,
}

/// One entry of an I-frame playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Still {
    /// How far into its segment it begins, in microseconds.
    pub at: u64,
    /// How long it is shown: until the next, in microseconds.
    pub duration: u64,
    /// Its bytes in the segment; `None` where there is no I-frame, which is listed as a gap so that no
    /// entry is longer than the target duration.
    pub range: Option<ByteRange>,
}

impl Segment {
    /// What an I-frame playlist lists of it: together as long as it is, and at least one.
    pub fn stills(&self) -> impl Iterator<Item = Still> {
        let before = match self.iframes.first() {
            Some(first) if first.at == 0 => None,
            Some(first) => Some(Still { at: 0, duration: first.at, range: None }),
            None => Some(Still { at: 0, duration: self.duration, range: None }),
        };
        let ends = self.iframes.iter().skip(1).map(|next| next.at).chain([self.duration]);
        let frames = self.iframes.iter().zip(ends).map(|(frame, end)| Still {
            at: frame.at,
            duration: end.saturating_sub(frame.at),
            range: (!self.gap).then_some(frame.range),
        });
        before.into_iter().chain(frames)
    }

    /// How many that are: they number the entries, so it never changes once the segment is complete.
    pub fn still_count(&self) -> u64 {
        let is_led = self.iframes.first().is_some_and(|first| first.at == 0);
        self.iframes.len() as u64 + u64::from(!is_led)
    }

    /// The bytes of its I-frames.
    pub(super) fn iframe_bytes(&self) -> u64 {
        self.iframes.iter().map(|frame| u64::from(frame.range.length)).sum()
    }
}

impl Track {
    /// The number the next entry of the I-frame playlist gets: one more than that of the last listed.
    pub fn next_still(&self) -> u64 {
        self.iframe_sequence + self.segments.iter().map(Segment::still_count).sum::<u64>()
    }

    /// Whether a complete and listed segment has an I-frame: then there is an I-frame playlist.
    pub fn has_iframes(&self) -> bool {
        self.segments.iter().any(|segment| !segment.gap && !segment.iframes.is_empty())
    }
}
