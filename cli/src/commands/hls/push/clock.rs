//! When media was taken, and when it may be sent.

use std::time::Duration;

use tokio::time::Instant;

/// How far ahead of its own timeline unpaced media may be sent.
const AHEAD_MAX: Duration = Duration::from_millis(500);
/// How late a part may be before the capture times are set anew: the media paused.
const CLOCK_SLIP_MAX: Duration = Duration::from_secs(2);

/// When media was taken, and when unpaced media may be sent.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the media's timeline began, by both clocks.
    began: Option<(Instant, jiff::Timestamp)>,
    /// How much media there was.
    media: Duration,
}

impl Clock {
    /// When the first frame of a part that has just arrived was taken, in milliseconds since the epoch,
    /// and how late it arrived. The earliest part so far, by its place in the media, is taken to have
    /// arrived with its last frame; the others follow the media's timeline and not the jitter.
    pub(super) fn captured(&mut self, part: Duration) -> (u64, Duration) {
        let now = Instant::now();
        let ends = self.media + part;
        let late = self.began.and_then(|(began, _)| now.checked_duration_since(began + ends));
        let late = late.filter(|late| *late <= CLOCK_SLIP_MAX).unwrap_or_else(|| {
            let wall = jiff::Timestamp::now().checked_sub(ends).unwrap_or_default();
            self.began = Some((now.checked_sub(ends).unwrap_or(now), wall));
            Duration::ZERO
        });
        let captured = self.began.and_then(|(_, wall)| wall.checked_add(self.media).ok()).unwrap_or_default();
        self.media = ends;
        (u64::try_from(captured.as_millisecond()).unwrap_or(0), late)
    }

    /// When the next part may be sent, where the source does not pace itself.
    pub(super) fn next_send(&self, is_paced: bool) -> Option<Instant> {
        let (began, _) = self.began.filter(|_| !is_paced)?;
        (began + self.media).checked_sub(AHEAD_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn capture_times_follow_the_media_and_not_the_jitter() {
        let mut clock = Clock::default();
        let (first, _) = clock.captured(Duration::from_millis(300));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (second, late) = clock.captured(Duration::from_millis(300));
        assert_eq!(second - first, 300);
        assert!(late >= Duration::from_millis(200), "{late:?}");
        assert!(clock.next_send(true).is_none());
        assert!(clock.next_send(false).is_some());
    }
}
