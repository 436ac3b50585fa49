//! The silent publisher (PROTOCOL.md §5): lost media is listed as gaps, and in the end the stream ends.
//!
//! Everything here follows from when media last arrived, not from when it is looked at, so every node
//! comes to the same gaps.

use std::time::Duration;

use super::ingest::change_of;
use super::{Phase, SILENCE_MAX, Stream};
use crate::hls::store::StreamChange;
use crate::time::Timestamp;

/// What the passing of time has made of a stream.
#[derive(Clone, Debug)]
pub struct Ticked {
    /// The stream.
    pub next: Stream,
    /// What to commit.
    pub change: StreamChange,
}

impl Stream {
    /// What silence up to `now` changes; `None` when nothing is due.
    pub fn tick(&self, now: Timestamp) -> Option<Ticked> {
        if self.due()? > now {
            return None;
        }
        let mut next = self.clone();
        if !next.pass(now) {
            return None;
        }
        next.expire_date_ranges(now);
        next.serial += 1;
        next.changed_at = now;
        let change = change_of(&next, Vec::new());
        Some(Ticked { next, change })
    }

    /// When [`Self::tick`] is due next; `None` for a stream that waits for nothing.
    pub fn due(&self) -> Option<Timestamp> {
        if !self.is_live() {
            return None;
        }
        let tracks = self.tracks.values().filter(|track| !track.ended && track.owner.is_some());
        let due = tracks.map(|track| {
            let end = track.last_media_at.after(SILENCE_MAX);
            let gap = track.last_media_at.after(self.silence_before_gap(track.silent_gaps));
            if track.has_media() { gap.min(end) } else { end }
        });
        due.min()
    }

    /// Applies what is due at `now`; returns whether anything was.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        if !self.is_live() {
            return false;
        }
        let limits = self.limits();
        let mut waits = Vec::new();
        for gaps in 0..=SILENCE_MAX.as_secs() {
            waits.push(self.silence_before_gap(u32::try_from(gaps).unwrap_or(u32::MAX)));
        }
        let mut changed = false;
        for track in self.tracks.values_mut().filter(|track| !track.ended && track.owner.is_some()) {
            let end = track.last_media_at.after(SILENCE_MAX);
            let before = (track.silent_gaps, track.ended);
            while track.has_media() {
                let wait = waits.get(track.silent_gaps as usize).copied().unwrap_or(SILENCE_MAX);
                let at = track.last_media_at.after(wait);
                if at > now || at >= end {
                    break;
                }
                track.close(limits);
                track.push_gap(limits.target);
                track.silent_gaps += 1;
            }
            if end <= now {
                track.close(limits);
                track.ended = true;
            }
            if before != (track.silent_gaps, track.ended) {
                track.trim(now, limits);
                track.serial += 1;
                changed = true;
            }
        }
        let running = self.tracks.values().any(|track| track.owner.is_some() && !track.ended);
        if !running {
            let last = self.tracks.values().map(|track| track.last_media_at).max().unwrap_or(now);
            self.phase = Phase::Ended(last.after(SILENCE_MAX));
            changed = true;
        }
        changed
    }

    /// How long after the last media gap number `gaps` is listed: 1.5 target durations for the first, one
    /// more for each.
    fn silence_before_gap(&self, gaps: u32) -> Duration {
        let target = Duration::from_secs(self.target_duration.into());
        target * 3 / 2 + target * gaps
    }
}
