//! What was measured.

use std::time::Duration;

use serde::Serialize;

/// How many samples are kept of each figure; later ones are not counted.
const SAMPLES_MAX: usize = 100_000;

/// Samples of one duration.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    pub(super) fn add(&mut self, sample: Duration) {
        if self.0.len() < SAMPLES_MAX {
            self.0.push(sample);
        }
    }

    /// Percentiles in milliseconds; `None` without a sample.
    pub(super) fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let at = |percent: usize| (sorted[last * percent / 100].as_secs_f64() * 10_000.0).round() / 10.0;
        Some(Summary { count: sorted.len(), p50: at(50), p99: at(99), max: at(100) })
    }
}

/// Percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// All that is measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// How long a playlist takes that has nothing to wait for.
    pub reload: Samples,
    /// From the capture of the last media of a playlist to its arrival, by the program date times; takes
    /// this machine's clock to agree with the server's.
    pub edge_age: Samples,
    /// From one part's playlist to the next's.
    pub part_interval: Samples,
    /// By how much a blocking reload comes after the hinted part it tells of: the price of waiting for
    /// the playlist first.
    pub after_hint: Samples,
    /// How long a part takes that is there.
    pub part_fetch: Samples,
}

/// The figures as they are reported, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figured {
    pub reload: Option<Summary>,
    pub edge_age: Option<Summary>,
    pub part_interval: Option<Summary>,
    pub playlist_after_part: Option<Summary>,
    pub part_fetch: Option<Summary>,
}

impl Figures {
    pub(super) fn figured(&self) -> Figured {
        Figured {
            reload: self.reload.summary(),
            edge_age: self.edge_age.summary(),
            part_interval: self.part_interval.summary(),
            playlist_after_part: self.after_hint.summary(),
            part_fetch: self.part_fetch.summary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.summary(), None);
        for millis in (1..=101).rev() {
            samples.add(Duration::from_millis(millis));
        }
        let summary = Summary { count: 101, p50: 51.0, p99: 100.0, max: 101.0 };
        assert_eq!(samples.summary(), Some(summary));
    }
}
