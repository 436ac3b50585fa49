//! Parts put together to whole segments, for streams without parts.

use bytes::{Bytes, BytesMut};
use mobz_core::hls::fmp4::Fragment;
use mobz_core::hls::stream::TARGET_DURATION_DEFAULT;

/// How long a segment is to be, in microseconds: the target duration.
const TARGET: u64 = TARGET_DURATION_DEFAULT as u64 * 1_000_000;

/// The segment under way.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    media: BytesMut,
    /// In microseconds.
    duration: u64,
    /// When its first frame was taken, in milliseconds since the epoch.
    captured: u64,
}

impl Joiner {
    /// Adds a part; hands out the segments that are whole with it, each with the time of its first frame.
    /// A segment ends before an independent part once it lasts half the target duration, and where another
    /// part would not fit, as at the server (PROTOCOL.md §5).
    pub(super) fn add(&mut self, captured: u64, part: &Fragment, media: &[u8]) -> Vec<(u64, Bytes)> {
        let mut whole = Vec::new();
        if part.independent && self.duration >= TARGET / 2 {
            whole.extend(self.end());
        }
        if self.media.is_empty() {
            self.captured = captured;
        }
        self.media.extend_from_slice(media);
        self.duration += part.duration;
        if self.duration + part.duration / 2 > TARGET {
            whole.extend(self.end());
        }
        whole
    }

    /// What there is of the segment under way; another one begins.
    pub(super) fn end(&mut self) -> Option<(u64, Bytes)> {
        self.duration = 0;
        (!self.media.is_empty()).then(|| (self.captured, self.media.split().freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(millis: u64, independent: bool) -> Fragment {
        Fragment { duration: millis * 1000, decode_time: 0, independent, samples: 1, first_frame: None }
    }

    fn lengths(parts: &[(u64, bool)]) -> Vec<usize> {
        let mut joiner = Joiner::default();
        let mut whole: Vec<_> = parts
            .iter()
            .flat_map(|(millis, independent)| joiner.add(0, &part(*millis, *independent), b"x"))
            .collect();
        whole.extend(joiner.end());
        whole.iter().map(|(_, media)| media.len()).collect()
    }

    #[test]
    fn a_segment_is_as_long_as_the_target_duration() {
        let parts: Vec<_> = (0..14).map(|number| (333, number % 6 == 0)).collect();
        assert_eq!(lengths(&parts), [6, 6, 2]);
        assert_eq!(lengths(&[(2000, true), (2000, true)]), [1, 1], "handed out without waiting for the next");
    }

    #[test]
    fn a_segment_ends_before_an_independent_part_once_it_lasts_half_the_target() {
        assert_eq!(lengths(&[(500, true), (500, false), (500, true), (500, false)]), [2, 2]);
        assert_eq!(lengths(&[(400, true), (400, true), (400, true), (400, true)]), [3, 1]);
    }
}
