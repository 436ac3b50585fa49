//! For how long what the store says has been the whole truth.

use std::time::Duration;

use tokio::time::Instant;

/// A look at the store that takes longer than this, or comes that much late, is an outage like any other:
/// others may have been kept from being heard meanwhile.
const STALL_MAX: Duration = Duration::from_secs(1);

/// Since when a loop that looks at the store again and again has had an answer each time.
#[derive(Debug)]
pub(super) struct Steady {
    since: Instant,
    /// When the loop last had nothing to do but to wait.
    rested: Instant,
}

impl Steady {
    pub(super) const fn since(now: Instant) -> Self {
        Self { since: now, rested: now }
    }

    /// Whether it has been so for this long, for a look that begins at `now`.
    pub(super) fn is_for(&self, long: Duration, now: Instant) -> bool {
        now.duration_since(self.rested) <= STALL_MAX && now.duration_since(self.since) >= long
    }

    /// A look began at `asked` and has ended at `now`.
    pub(super) fn looked(&mut self, is_answered: bool, asked: Instant, now: Instant) {
        let is_late = asked.duration_since(self.rested) > STALL_MAX;
        if !is_answered || is_late || now.duration_since(asked) > STALL_MAX {
            self.since = now;
        }
    }

    /// What came of the look is done.
    pub(super) const fn rests(&mut self, now: Instant) {
        self.rested = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(200);

    /// Looks every [`SHORT`] for `time`, answered at once.
    fn goes_on(steady: &mut Steady, from: Instant, time: Duration) -> Instant {
        let mut now = from;
        while now < from + time {
            now += SHORT;
            steady.looked(true, now, now);
            steady.rests(now);
        }
        now
    }

    #[tokio::test]
    async fn it_is_steady_once_every_look_was_answered_for_long_enough() {
        let began = Instant::now();
        let mut steady = Steady::since(began);
        let now = goes_on(&mut steady, began, LONG / 2);
        assert!(!steady.is_for(LONG, now));
        let now = goes_on(&mut steady, now, LONG);
        assert!(steady.is_for(LONG, now));
    }

    #[tokio::test]
    async fn no_answer_a_late_one_and_a_pause_of_ones_own_begin_it_anew() {
        let stalled = STALL_MAX + SHORT;
        for (is_answered, pause, takes) in
            [(false, SHORT, SHORT), (true, SHORT, stalled), (true, stalled, SHORT)]
        {
            let mut steady = Steady::since(Instant::now());
            let asked = goes_on(&mut steady, Instant::now(), LONG) + pause;
            assert_eq!(steady.is_for(LONG, asked), pause == SHORT);
            let now = asked + takes;
            steady.looked(is_answered, asked, now);
            steady.rests(now);
            assert!(!steady.is_for(LONG, now + SHORT));
            let now = goes_on(&mut steady, now, LONG);
            assert!(steady.is_for(LONG, now));
        }
    }

    #[tokio::test]
    async fn what_takes_long_after_a_look_is_no_outage() {
        let mut steady = Steady::since(Instant::now());
        let now = goes_on(&mut steady, Instant::now(), LONG);
        steady.looked(true, now, now);
        steady.rests(now + 3 * STALL_MAX);
        assert!(steady.is_for(LONG, now + 3 * STALL_MAX + SHORT));
    }
}
