//! What an operator sets and the rules need to know.

use std::time::Duration;

use crate::id::RoomId;
use crate::signal::IceServer;
use crate::time::Timestamp;
use crate::token::{Claims, Keys};
use crate::turn::Turn;

/// The operator's settings, as core sees them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often a client is asked to send a heartbeat.
    pub heartbeat_interval: Duration,
    /// How long it may be silent.
    pub heartbeat_timeout: Duration,
    /// How long an away participant is waited for.
    pub resume_grace: Duration,
    /// STUN servers and such, the same for everyone.
    pub ice_servers: Vec<IceServer>,
    /// TURN servers with time-limited credentials.
    pub turn: Option<Turn>,
    /// Where players reach the origin, without a slash at the end.
    pub origin_url: Option<String>,
    /// The keys that playback tokens are signed with, when playback is private.
    pub private_playback: Option<Keys>,
    /// The largest message a client may send, in bytes.
    pub frame_max: usize,
    /// The part target publishers are asked to aim at.
    pub part_target: Duration,
}

/// The largest message the daemon takes, in bytes (PROTOCOL.md §2).
pub const FRAME_MAX: usize = 1 << 20;

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(30),
            resume_grace: Duration::from_secs(15),
            ice_servers: Vec::new(),
            turn: None,
            origin_url: None,
            private_playback: None,
            frame_max: FRAME_MAX,
            part_target: Duration::from_millis(333),
        }
    }
}

impl Settings {
    /// Where `room` plays, as far as that is known; with private playback under a token of its own,
    /// in the path, so that every relative URL inherits it (PROTOCOL.md §6).
    pub fn playback_url(&self, room: &RoomId, now: Timestamp) -> Option<String> {
        let origin = self.origin_url.as_ref()?;
        let Some(keys) = &self.private_playback else {
            return Some(format!("{origin}/hls/{room}/index.m3u8"));
        };
        let token = keys.sign(keys.first()?, &Claims::playback(room.clone(), now)).ok()?;
        Some(format!("{origin}/hls/{room}/~{token}/index.m3u8"))
    }
}
