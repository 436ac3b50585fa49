//! What is counted and timed while a crowd is at work.

use std::sync::atomic::AtomicU64;

use super::super::measure::{Errors, Timing};

/// The counts and times of one crowd.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Connections open now.
    pub(super) connections: AtomicU64,
    /// Joins acknowledged so far.
    pub(super) joins: AtomicU64,
    /// Messages sent so far.
    pub(super) sent: AtomicU64,
    /// Messages received so far.
    pub(super) relays: AtomicU64,
    /// From connecting to the end of the WebSocket handshake.
    pub(super) connect: Timing,
    /// From a Join to its acknowledgement.
    pub(super) join: Timing,
    /// From sending a message at the steady rate to receiving it.
    pub(super) relay: Timing,
    /// What went wrong, by code.
    pub(super) errors: Errors,
}
