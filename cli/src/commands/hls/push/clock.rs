//! When media was taken, and when it may be sent.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far ahead of its own timeline unpaced media may be sent.
const AHEAD_MAX: Duration = Duration::from_millis(500);
/// How late a part may be before the capture times are set anew: the media paused.
const CLOCK_SLIP_MAX: Duration = Duration::from_secs(2);

/// When media was taken, and when unpaced media may be sent. Tracks of one stream share a clock, so that
/// the same moment has the same date in each (draft-pantos-hls-rfc8216bis-22 §6.2.4).
#[derive(Debug)]
pub(super) struct Clock {
    /// When the media's timeline began, by both clocks.
    began: Option<(Instant, jiff::Timestamp)>,
    /// How much media there was of each track.
    media: Vec<Duration>,
    /// How much later than usual parts may be without a pause of the media: they waited here.
    excused: Duration,
    /// Whether the media may pause; if not, what is late was held up on its way.
    may_pause: bool,
}

impl Clock {
    /// A clock of so many tracks, of media that may pause or not.
    pub(super) fn new(tracks: usize, may_pause: bool) -> Self {
        Self { began: None, media: vec![Duration::ZERO; tracks], excused: Duration::ZERO, may_pause }
    }

    /// A track's media begins anew, and the whole timeline with it.
    pub(super) fn restart(&mut self, track: usize) {
        if self.media[track] > Duration::ZERO {
            *self = Self::new(self.media.len(), self.may_pause);
        }
    }

    /// Parts had to wait here for so long: that they are late is no pause of the media.
    pub(super) fn excuse(&mut self, waited: Duration) {
        self.excused += waited;
    }

    /// When the first frame of a part that has just arrived was taken, in milliseconds since the epoch,
    /// and how late it arrived. The earliest part so far, by its place in the media, is taken to have
    /// arrived with its last frame; the others follow the media's timeline and not the jitter.
    pub(super) fn captured(&mut self, track: usize, part: Duration) -> (u64, Duration) {
        let now = Instant::now();
        let begins = self.media[track];
        let ends = begins + part;
        let late = self.began.and_then(|(began, _)| now.checked_duration_since(began + ends));
        if late.is_some_and(|late| late <= CLOCK_SLIP_MAX) {
            self.excused = Duration::ZERO;
        }
        let slip_max = if self.may_pause { CLOCK_SLIP_MAX + self.excused } else { Duration::MAX };
        let late = late.filter(|late| *late <= slip_max).unwrap_or_else(|| {
            let wall = jiff::Timestamp::now().checked_sub(ends).unwrap_or_default();
            self.began = Some((now.checked_sub(ends).unwrap_or(now), wall));
            Duration::ZERO
        });
        let captured = self.began.and_then(|(_, wall)| wall.checked_add(begins).ok()).unwrap_or_default();
        self.media[track] = ends;
        (u64::try_from(captured.as_millisecond()).unwrap_or(0), late)
    }

    /// When the next part may be sent, where the source does not pace itself.
    pub(super) fn next_send(&self, is_paced: bool) -> Option<Instant> {
        let (began, _) = self.began.filter(|_| !is_paced)?;
        (began + self.media.iter().max().copied()?).checked_sub(AHEAD_MAX)
    }
}

/// A moment, or never.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Something that may begin at a moment.
pub(super) async fn after<T>(moment: Option<Instant>, what: impl Future<Output = T>) -> T {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
    what.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn capture_times_follow_the_media_and_not_the_jitter() {
        let mut clock = Clock::new(1, true);
        let (first, _) = clock.captured(0, Duration::from_millis(300));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (second, late) = clock.captured(0, Duration::from_millis(300));
        assert_eq!(second - first, 300);
        assert!(late >= Duration::from_millis(200), "{late:?}");
        assert!(clock.next_send(true).is_none());
        assert!(clock.next_send(false).is_some());
    }

    #[test]
    fn only_media_that_may_pause_is_dated_anew_when_it_is_late() {
        let part = Duration::from_millis(300);
        let second_after_a_while = |may_pause| {
            let mut clock = Clock::new(1, may_pause);
            let first = clock.captured(0, part).0;
            if let Some((began, _)) = &mut clock.began {
                *began -= CLOCK_SLIP_MAX * 2;
            }
            let (second, late) = clock.captured(0, part);
            (second.saturating_sub(first), late)
        };
        assert_eq!(second_after_a_while(true).1, Duration::ZERO, "it paused");
        let (apart, late) = second_after_a_while(false);
        assert_eq!(apart, 300);
        assert!(late > CLOCK_SLIP_MAX, "{late:?}");
    }

    #[test]
    fn the_same_moment_has_the_same_date_in_every_track() {
        let mut clock = Clock::new(2, true);
        let part = Duration::from_millis(300);
        let (high, low) = (clock.captured(0, part).0, clock.captured(1, part).0);
        assert!(high.abs_diff(low) <= 1, "{high} and {low}");
    }
}
