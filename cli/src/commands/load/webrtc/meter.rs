//! What is counted and timed while publishers publish and viewers watch.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::measure::{Errors, Timing};

/// A number that many tasks change.
#[derive(Debug, Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    pub(super) fn plus(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn minus(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts and times of one test.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Clients that have joined, so far.
    pub(super) joined: Number,
    /// Publishers whose media connection is up now.
    pub(super) publishing: Number,
    /// Feeds that were offered in a `JoinAck`.
    pub(super) offered_inline: Number,
    /// Feeds that flow now.
    pub(super) flowing: Number,
    /// Packets that came.
    pub(super) packets: Number,
    /// Bytes of their payloads.
    pub(super) bytes: Number,
    /// Pictures that came.
    pub(super) pictures: Number,
    /// Packets that had not come when a later one came.
    pub(super) missing: Number,
    /// Those of them that came later.
    pub(super) recovered: Number,
    /// How often a picture stood still for longer than [`super::feed::FREEZE`].
    pub(super) freezes: Number,
    /// For how long, in microseconds, as far as another picture came.
    pub(super) frozen_micros: Number,
    /// Datagrams that this machine did not take to send.
    pub(super) unsent: Number,
    /// From connecting to the end of the WebSocket handshake.
    pub(super) connect: Timing,
    /// From a Join to its acknowledgement.
    pub(super) join: Timing,
    /// From an Offer to its Answer.
    pub(super) offer: Timing,
    /// From the Answer to the media connection.
    pub(super) publish: Timing,
    /// From a Watch to its acknowledgement.
    pub(super) watch: Timing,
    /// From the offer's being there to the feed's first packet.
    pub(super) first_media: Timing,
    /// From a viewer's Join to the first packet of any of its feeds.
    pub(super) viewer_media: Timing,
    /// The jitter of each feed that flows (RFC 3550 §6.4.1), of picture or sound whichever is more, at each
    /// look.
    pub(super) jitter: Timing,
    /// What went wrong, by code.
    pub(super) errors: Errors,
}

impl Meter {
    /// Packets that have not come until now.
    pub(super) fn lost(&self) -> u64 {
        self.missing.get().saturating_sub(self.recovered.get())
    }
}
