//! What a player would show: how much it has before the picture stands still.

use std::time::Duration;

use tokio::time::Instant;

/// One viewer's playback: from the end of its first parts on, in real time.
#[derive(Debug, Default)]
pub(super) struct Playback {
    /// When what has come so far has been played.
    until: Option<Instant>,
}

impl Playback {
    /// Begins to play `buffered` behind the end of what is there.
    pub(super) fn begin(&mut self, at: Instant, buffered: Duration) {
        self.until = Some(at + buffered);
    }

    /// More media came; returns for how long the picture stood still before.
    pub(super) fn add(&mut self, at: Instant, media: Duration) -> Option<Duration> {
        let until = self.until?;
        let stalled = at.checked_duration_since(until).filter(|stalled| !stalled.is_zero());
        self.until = Some(until.max(at) + media);
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_stalls_when_it_falls_behind_by_more_than_it_holds_back() {
        let (start, part) = (Instant::now(), Duration::from_millis(333));
        let at = |millis| start + Duration::from_millis(millis);
        let mut playback = Playback::default();
        assert_eq!(playback.add(at(0), part), None);
        playback.begin(at(0), Duration::from_secs(1));
        assert_eq!(playback.add(at(900), part), None);
        // All there is ends at 1,333 ms.
        assert_eq!(playback.add(at(1433), part), Some(Duration::from_millis(100)));
        assert_eq!(playback.add(at(1766), part), None);
    }
}
