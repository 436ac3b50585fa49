//! What is counted and timed while viewers watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::measure::{Errors, Timing};

/// The counts and times of one audience.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Viewers that play now, or fetch.
    pub(super) playing: AtomicU64,
    /// Playlists received so far.
    pub(super) playlists: AtomicU64,
    /// Parts received so far.
    pub(super) parts: AtomicU64,
    /// Bytes of bodies received so far.
    pub(super) bytes: AtomicU64,
    /// How often a picture stood still.
    pub(super) stalls: AtomicU64,
    /// For how long, in microseconds.
    pub(super) stalled_micros: AtomicU64,
    /// Parts that were hinted and did not come.
    pub(super) hints_missed: AtomicU64,
    /// From connecting to having all that playback begins with.
    pub(super) startup: Timing,
    /// From asking for a part to its last byte, in a closed loop.
    pub(super) fetch: Timing,
    /// What went wrong, by code.
    pub(super) errors: Errors,
}

impl Meter {
    /// A picture stood still.
    pub(super) fn stalled(&self, how_long: Duration) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(how_long.as_micros()).unwrap_or(u64::MAX);
        self.stalled_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
