//! The state of one room's stream: what it lists, what it remembers, and how data signals change it.
//!
//! A value: it is loaded, asked for what comes next, and committed by compare-and-set. What a refused
//! signal would have changed is never seen, because [`Stream::ingest`] hands out a new value.

mod bitrate;
mod date_range;
mod iframe;
mod ingest;
mod media;
mod packed;
mod quota;
mod silence;
#[cfg(test)]
mod tests;
mod track;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::date_range::{DATE_RANGES_BYTES_MAX, DATE_RANGES_MAX, DateRange, Removed};
pub use self::iframe::{IFrame, Still};
pub use self::ingest::{Ingested, Refusal, RefusalKind};
pub use self::quota::Spent;
pub use self::silence::Ticked;
pub use self::track::{Digest, Form, Init, Part, Retired, Segment, Track, TrackInfo};

use self::track::Limits;
use crate::id::{TrackId, UserId};
use crate::time::{Timestamp, millis};

/// The target duration of a stream that asks for none (PROTOCOL.md §5), in seconds.
pub const TARGET_DURATION_DEFAULT: u32 = 2;
/// The longest target duration taken, in seconds.
pub const TARGET_DURATION_MAX: u32 = 60;
/// The most tracks one stream may have.
pub const TRACKS_MAX: usize = 16;
/// The most parts one segment may have; a publisher that numbers its own is refused beyond it, else a
/// new segment begins.
pub const SEGMENT_PARTS_MAX: usize = 240;
/// The most segments listed, however short they are; beyond it the oldest goes.
pub const SEGMENTS_MAX: usize = 16_384;
/// The most different inits a track may have in its window; beyond it a new one is refused.
pub const INITS_MAX: usize = 32;
/// The highest media sequence number taken: the largest whole number JSON carries safely.
pub const MSN_MAX: u64 = (1 << 53) - 1;
/// How long the bytes of acknowledged parts are remembered (by digest), so that sending them again is
/// told from other bytes under their number.
pub const DIGESTS_KEPT: Duration = Duration::from_secs(60);
/// After how much silence a stream ends (PROTOCOL.md §5).
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The window of a stream whose settings name none (PROTOCOL.md §6).
pub const WINDOW_DEFAULT: Duration = Duration::from_secs(60);
/// How much a room may send by default, in bits a second: several renditions of 4K.
pub const BITRATE_MAX_DEFAULT: u64 = 50_000_000;
/// How large a part may be by default, in bytes.
pub const PART_BYTES_MAX_DEFAULT: u64 = 8_000_000;
/// How much a room's playlists may list by default, in bytes.
pub const WINDOW_BYTES_MAX_DEFAULT: u64 = 1_000_000_000;
/// The largest encoded state that travels in a notice; a larger one is loaded by those who are told. An
/// hour of two-second segments has 20 KiB.
pub const NOTICE_STATE_BYTES_MAX: usize = 512 * 1024;

/// The layout of the encoded state; another one is refused, not guessed at.
const LAYOUT: u8 = 2;

/// What an operator decides of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much of the past a playlist lists; fixed for a stream when it begins, and never under three
    /// target durations (draft-pantos-hls-rfc8216bis-22 §6.2.2).
    pub window: Duration,
    /// The most media a room may send, in bits a second; ten seconds of it may come at once.
    pub bitrate_max: u64,
    /// The largest part, in bytes. Whole segments are held to what one data signal may carry.
    pub part_bytes_max: u64,
    /// The most media all of a room's playlists may list together, in bytes. The store holds about twice
    /// as much: what is no longer listed stays fetchable for a while.
    pub window_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: WINDOW_DEFAULT,
            bitrate_max: BITRATE_MAX_DEFAULT,
            part_bytes_max: PART_BYTES_MAX_DEFAULT,
            window_bytes_max: WINDOW_BYTES_MAX_DEFAULT,
        }
    }
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No init yet.
    #[default]
    Idle,
    /// It runs.
    Live,
    /// It ended at that time; its playlists stay for one window.
    Ended(Timestamp),
}

/// One room's stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Rises with every change; of two states of one stream the higher is the newer.
    pub serial: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Who sent the latest init.
    pub publisher: Option<UserId>,
    /// The window, in milliseconds.
    pub window: u64,
    /// The target duration, in seconds; fixed while the stream lives.
    pub target_duration: u32,
    /// The part target, in milliseconds; fixed by the first part or an init while the stream lives.
    pub part_target: Option<u32>,
    /// Its renditions. After an end they stay for their counters.
    pub tracks: BTreeMap<TrackId, Track>,
    /// What is listed of dates, in the order it was told.
    pub date_ranges: Vec<DateRange>,
    /// Date ranges that are no longer listed, for those who have a playlist of before, oldest first.
    pub removed_date_ranges: Vec<Removed>,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// What its publisher has sent lately.
    pub spent: Spent,
}

/// Bytes that are no state of this layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no stream state of layout {LAYOUT}: {0}")]
pub struct StateError(String);

impl Stream {
    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] when the bytes are of another layout, or broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&LAYOUT, rest)) => {
                postcard::from_bytes(rest).map_err(|error| StateError(error.to_string()))
            }
            Some((other, _)) => Err(StateError(format!("it is layout {other}; run daemons of one version"))),
            None => Err(StateError("it is empty".to_owned())),
        }
    }

    /// Writes it compactly: about 10 bytes a segment and 15 a part, because it is written with every part.
    pub fn encode(&self) -> Bytes {
        // Writing to memory fails for types that cannot be told in advance only, and there are none here.
        postcard::to_extend(self, vec![LAYOUT]).unwrap_or_default().into()
    }

    /// Whether it runs.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether there is nothing to play at `now`: no media yet, or over for longer than the window.
    pub fn is_gone(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Live => false,
            Phase::Ended(at) => now > at.after(Duration::from_millis(self.window)),
        }
    }

    /// Tracks with something to play.
    pub fn listed(&self) -> impl Iterator<Item = (&TrackId, &Track)> {
        self.tracks.iter().filter(|(_, track)| track.has_media())
    }

    /// Whether a rendition that was told of is still without media while the stream is so young that no
    /// rendition has a complete segment. Who reads the multivariant playlist then would never hear of it.
    pub fn awaits_renditions(&self) -> bool {
        let is_awaited = |track: &Track| track.owner.is_some() && !track.ended && !track.has_media();
        self.is_live()
            && self.tracks.values().any(is_awaited)
            && self.tracks.values().all(|track| track.segments.is_empty())
    }

    /// Whether a track gets no more media: it, or the whole stream, has ended.
    pub fn has_ended(&self, track: &Track) -> bool {
        !self.is_live() || track.ended
    }

    /// The part a player may ask for before it is there (`EXT-X-PRELOAD-HINT`).
    pub fn hint(&self, track: &Track) -> Option<(u64, u32)> {
        if self.has_ended(track) || track.form != Form::Parts {
            return None;
        }
        Some(match &track.open {
            None => (track.next_msn, 0),
            Some(open) if self.is_about_to_break(track, open) => (track.next_msn, 0),
            Some(open) => (open.msn, open.part_count),
        })
    }

    /// The stream with all its media marked as lost: for a store that came back empty. The numbers and the
    /// inits are kept, so that it goes on.
    #[must_use]
    pub fn without_media(&self) -> Self {
        let limits = self.limits();
        let mut next = self.clone();
        for track in next.tracks.values_mut() {
            track.lose_media(limits);
        }
        next
    }

    /// How long media stays fetchable from when it is stored: as long as it can be listed, and after
    /// that its own duration and the longest playlist's (draft-pantos-hls-rfc8216bis-22 §6.2.2).
    pub fn media_lifetime(&self) -> Duration {
        Duration::from_millis(2 * self.window) + 8 * Duration::from_secs(self.target_duration.into())
    }

    /// Whether the open segment is as long as the one before it was when a sync sample ended it, so that
    /// the next part is likely the first of a new segment.
    fn is_about_to_break(&self, track: &Track, open: &Segment) -> bool {
        let before = track.segments.back().filter(|before| !before.gap);
        let half_part = u64::from(self.part_target.unwrap_or(0)) * 1000 / 2;
        track.automatic
            && open.duration >= self.target_micros() / 2
            && before.is_some_and(|before| before.duration.abs_diff(open.duration) < half_part)
    }

    fn target_micros(&self) -> u64 {
        u64::from(self.target_duration) * 1_000_000
    }

    fn limits(&self) -> Limits {
        let target = self.target_micros();
        Limits { target, window: (self.window * 1000).max(3 * target), lifetime: self.media_lifetime() }
    }

    fn begin(&mut self, now: Timestamp, settings: &Settings, target_duration: u32, part_target: Option<u32>) {
        let limits = self.limits();
        for track in self.tracks.values_mut() {
            track.clear(now, limits);
        }
        self.forget_date_ranges(now);
        self.phase = Phase::Live;
        self.window = millis(settings.window).max(u64::from(target_duration) * 3000);
        self.target_duration = target_duration;
        self.part_target = part_target;
    }
}
