//! One second of a test of a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::super::measure::get;
use super::super::process::Process;
use super::super::series::{Moment, rate};
use super::viewer::Shared;

/// One second of a test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Seconds since the test began.
    at: f64,
    doing: &'static str,
    viewers: u64,
    playlists: u64,
    parts: u64,
    bits_per_second: u64,
    delay_p50_ms: f64,
    delay_p99_ms: f64,
    fetch_p99_ms: f64,
    stalls: u64,
    memory_bytes: Option<u64>,
    /// So far.
    errors: u64,
}

/// Takes samples; notes the most memory the server had in any.
pub(super) fn sampler(
    shared: Arc<Shared>,
    process: Option<Process>,
    peak: Arc<AtomicU64>,
) -> impl FnMut(Moment) -> (Sample, String) {
    let mut before = [0; 4];
    move |moment| {
        let (meter, clock) = (&shared.meter, &shared.clock);
        let now = [&meter.playlists, &meter.parts, &meter.bytes, &meter.stalls].map(get);
        let [playlists, parts, bytes, stalls] = std::array::from_fn(|index| now[index] - before[index]);
        before = now;
        let delay = clock.delay.second();
        let memory = process.and_then(Process::memory);
        peak.fetch_max(memory.unwrap_or_default(), Ordering::Relaxed);
        let sample = Sample {
            at: moment.at,
            doing: moment.doing,
            viewers: get(&meter.playing),
            playlists: rate(playlists, moment.passed),
            parts: rate(parts, moment.passed),
            bits_per_second: rate(bytes * 8, moment.passed),
            delay_p50_ms: delay.p50,
            delay_p99_ms: delay.p99,
            fetch_p99_ms: meter.fetch.second().p99,
            stalls,
            memory_bytes: memory,
            errors: meter.errors.total(),
        };
        let line = sample.line();
        (sample, line)
    }
}

impl Sample {
    fn line(&self) -> String {
        let Self { doing, viewers, parts, delay_p50_ms, delay_p99_ms, stalls, errors, .. } = self;
        let megabits = self.bits_per_second as f64 / 1e6;
        format!(
            "{doing}: {viewers} viewers · {parts} parts/s, {megabits:.0} Mbit/s · delay p50 {delay_p50_ms:.1} p99 {delay_p99_ms:.1} ms · {stalls} stalls · {errors} errors"
        )
    }
}
