//! Times, as percentiles of all of them, of a second and of a round; failures, by code.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time told apart, in microseconds; a longer one counts as this.
const MICROS_MAX: u64 = 60_000_000;
/// Significant digits of a percentile.
const DIGITS: u8 = 3;

/// Times of one kind: all of them, those of this second and those of this round.
#[derive(Debug)]
pub(super) struct Timing {
    histograms: Mutex<[Histogram<u64>; 3]>,
}

const ALL: usize = 0;
const SECOND: usize = 1;
const ROUND: usize = 2;

impl Default for Timing {
    fn default() -> Self {
        Self { histograms: Mutex::new([histogram(), histogram(), histogram()]) }
    }
}

impl Timing {
    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, MICROS_MAX);
        for histogram in lock(&self.histograms).iter_mut() {
            histogram.saturating_record(micros);
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Percentiles {
        Percentiles::of(&lock(&self.histograms)[ALL])
    }

    /// Those since the second before was taken.
    pub(super) fn second(&self) -> Percentiles {
        self.take(SECOND)
    }

    /// Those since the round before was taken.
    pub(super) fn round(&self) -> Percentiles {
        self.take(ROUND)
    }

    fn take(&self, which: usize) -> Percentiles {
        let histogram = &mut lock(&self.histograms)[which];
        let percentiles = Percentiles::of(histogram);
        histogram.reset();
        percentiles
    }
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Percentiles {
    pub(super) count: u64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Percentiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let count = histogram.len();
        let max = histogram.max() as f64 / 1000.0;
        Self { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
    }

    /// Median, 99th percentile and maximum as a table has them.
    pub(super) fn in_words(self) -> String {
        match self.count {
            0 => "-".to_owned(),
            _ => format!("{:.2} / {:.2} / {:.2} ms", self.p50, self.p99, self.max),
        }
    }
}

/// How often each thing failed, in words.
pub(super) fn failures<'a>(by_code: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let each = by_code.into_iter().map(|(code, count)| format!("{code} {count} times"));
    each.collect::<Vec<_>>().join(", ")
}

/// Failures, counted by code.
#[derive(Debug, Default)]
pub(super) struct Errors {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Errors {
    /// Counts a failure under its code.
    pub(super) fn count(&self, code: impl Into<String>) {
        *lock(&self.counts).entry(code.into()).or_default() += 1;
    }

    /// Failures so far, by code.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// How many there were so far.
    pub(super) fn total(&self) -> u64 {
        lock(&self.counts).values().sum()
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).unwrap_or_else(|_| unreachable!("constant bounds"))
}

/// Locks, whoever panicked while holding it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Adds one to a counter.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_second_are_taken_once_and_all_times_stay() {
        let timing = Timing::default();
        timing.record(Duration::from_millis(5));
        timing.record(Duration::from_millis(10));
        assert_eq!(timing.second().count, 2);
        timing.record(Duration::from_secs(1000));
        let (second, round, all) = (timing.second(), timing.round(), timing.all());
        assert_eq!((second.count, round.count, all.count), (1, 3, 3));
        assert!((9.9..10.1).contains(&all.p50) && all.max > 59_000.0, "{all:?}");
    }
}
