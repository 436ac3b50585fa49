//! What a room may send: how fast, how large, and how much is listed. What goes beyond is refused with
//! the limit's name, and the stream stays as it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ingest::{Refusal, RefusalKind};
use super::{Settings, Stream};
use crate::hls::data::{DataKind, DataSignal};
use crate::time::{Timestamp, millis};

/// How many seconds of the highest bitrate may come at once: what piles up while a publisher reconnects.
const BURST_SECONDS: u64 = 10;

/// A leaky bucket: what was sent, less what the highest bitrate allows since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    bytes: u64,
    at: Timestamp,
}

impl Stream {
    /// Refuses a part that is larger than the room's may be, before it is read.
    pub(super) fn check_part_bytes(settings: &Settings, signal: &DataSignal) -> Result<(), Refusal> {
        let bytes = signal.payload.len() as u64;
        if matches!(signal.kind, DataKind::Part(_)) && bytes > settings.part_bytes_max {
            let message = format!(
                "the part has {bytes} bytes, and a part of this room at most {} (part-bytes-max); send shorter parts or lower the bitrate",
                settings.part_bytes_max
            );
            return Err(Refusal { kind: RefusalKind::TooLarge, message });
        }
        Ok(())
    }

    /// Counts new media that has been taken into `self` by now against the room's bitrate and window.
    pub(super) fn charge(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        signal: &DataSignal,
    ) -> Result<(), Refusal> {
        if !matches!(signal.kind, DataKind::Part(_) | DataKind::Segment(_)) {
            return Ok(());
        }
        let listed: u64 = self.tracks.values().map(super::Track::listed_bytes).sum();
        if listed > settings.window_bytes_max {
            let message = format!(
                "with this the room's playlists list {listed} bytes, and at most {} (window-bytes-max); lower the bitrate, or shorten the window",
                settings.window_bytes_max
            );
            return Err(Refusal { kind: RefusalKind::TooLarge, message });
        }
        self.spent = self.spent.with(now, signal.payload.len() as u64, settings.bitrate_max)?;
        Ok(())
    }
}

impl Spent {
    fn with(self, now: Timestamp, bytes: u64, bitrate_max: u64) -> Result<Self, Refusal> {
        let per_second = (bitrate_max / 8).max(1);
        let drained = millis(now.since(self.at)).saturating_mul(per_second) / 1000;
        let sent = self.bytes.saturating_sub(drained) + bytes;
        let most = per_second.saturating_mul(BURST_SECONDS);
        if sent > most {
            let message = format!(
                "the room sends more than {bitrate_max} bits a second (bitrate-max); lower the bitrate of the encoder"
            );
            let wait = Duration::from_millis((sent - most).saturating_mul(1000).div_ceil(per_second));
            return Err(Refusal { kind: RefusalKind::RateLimited { retry_after: wait }, message });
        }
        Ok(Self { bytes: sent, at: now.max(self.at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_of_the_highest_bitrate_may_come_at_once_and_no_more() {
        let at = |seconds: u64| Timestamp::from_millis(1_700_000_000_000 + seconds * 1000);
        let full = Spent::default().with(at(0), 10_000, 8_000).unwrap();
        let refused = full.with(at(0), 500, 8_000).unwrap_err();
        let retry_after = Duration::from_millis(500);
        assert_eq!(refused.kind, RefusalKind::RateLimited { retry_after });
        assert!(full.with(at(1), 1_000, 8_000).is_ok());
        assert!(full.with(at(1), 1_001, 8_000).is_err());
        assert!(full.with(at(60), 10_000, 8_000).is_ok());
    }
}
