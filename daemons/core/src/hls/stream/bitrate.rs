//! Bitrates as a multivariant playlist states them (draft-pantos-hls-rfc8216bis-22 §4.4.6.2).

use std::collections::VecDeque;

use super::track::Segment;

/// The highest bitrate, in bits a second, of any contiguous segments that end with the last one and last
/// between half and one and a half target durations together; `None` where none do. `bytes` says what of
/// a segment counts, `target` is in microseconds.
pub(super) fn peak_at_end(
    segments: &VecDeque<Segment>,
    target: u64,
    bytes: impl Fn(&Segment) -> u64,
) -> Option<u64> {
    let (mut sum, mut duration) = (0u64, 0u64);
    let mut peak = None;
    for segment in segments.iter().rev().take_while(|segment| !segment.gap) {
        sum += bytes(segment);
        duration += segment.duration;
        if duration * 2 > target * 3 {
            break;
        }
        if duration * 2 >= target {
            peak = peak.max((sum * 8_000_000).checked_div(duration));
        }
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of segments of so many seconds and bytes, and a target duration of 4 s.
    fn peak(segments: &[(u64, u64)]) -> Option<u64> {
        let segment = |(seconds, bytes): &(u64, u64)| Segment {
            duration: seconds * 1_000_000,
            bytes: *bytes,
            ..Segment::default()
        };
        peak_at_end(&segments.iter().map(segment).collect(), 4_000_000, |segment| segment.bytes)
    }

    #[test]
    fn segments_count_together_from_half_to_one_and_a_half_target_durations() {
        assert_eq!(peak(&[(4, 1_000)]), Some(2_000));
        assert_eq!(peak(&[(1, 9_000)]), None, "too short to tell");
        assert_eq!(peak(&[(1, 3_000), (1, 1_000)]), Some(16_000));
        assert_eq!(peak(&[(2, 4_000), (4, 1_000)]), Some(6_666), "six seconds are one and a half");
        assert_eq!(peak(&[(4, 90_000), (4, 1_000)]), Some(2_000), "eight are too many");
    }

    #[test]
    fn what_lies_before_a_gap_does_not_count() {
        let segment = |gap| Segment { duration: 2_000_000, bytes: 1_000, gap, ..Segment::default() };
        let segments = [segment(false), segment(true), segment(false)].into();
        assert_eq!(peak_at_end(&segments, 4_000_000, |segment| segment.bytes), Some(4_000));
    }
}
