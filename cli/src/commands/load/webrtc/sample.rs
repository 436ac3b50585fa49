//! One second of a test of group calls.

use std::sync::Arc;

use serde::Serialize;

use super::super::series::{Moment, rate};
use super::meter::Meter;
use super::servers::Servers;

/// One second of a test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Seconds since the test began.
    at: f64,
    doing: &'static str,
    /// Clients that have joined, so far.
    joined: u64,
    /// Publishers whose media connection is up.
    publishing: u64,
    /// Feeds that flow.
    flowing: u64,
    packets: u64,
    bits_per_second: u64,
    lost: u64,
    freezes: u64,
    join_p99_ms: f64,
    watch_p99_ms: f64,
    first_media_p99_ms: f64,
    jitter_p99_ms: f64,
    /// Of all servers together.
    memory_bytes: Option<u64>,
    /// So far.
    errors: u64,
}

/// Takes samples; has the servers note the most memory they had in any.
pub(super) fn sampler(meter: Arc<Meter>, servers: Arc<Servers>) -> impl FnMut(Moment) -> (Sample, String) {
    let mut before = [0; 4];
    move |moment| {
        let now = [meter.packets.get(), meter.bytes.get(), meter.lost(), meter.freezes.get()];
        // Packets that were missing and came after all make fewer lost ones.
        let [packets, bytes, lost, freezes] =
            std::array::from_fn(|index| u64::saturating_sub(now[index], before[index]));
        before = now;
        let sample = Sample {
            at: moment.at,
            doing: moment.doing,
            joined: meter.joined.get(),
            publishing: meter.publishing.get(),
            flowing: meter.flowing.get(),
            packets: rate(packets, moment.passed),
            bits_per_second: rate(bytes * 8, moment.passed),
            lost,
            freezes,
            join_p99_ms: meter.join.second().p99,
            watch_p99_ms: meter.watch.second().p99,
            first_media_p99_ms: meter.first_media.second().p99,
            jitter_p99_ms: meter.jitter.second().p99,
            memory_bytes: servers.look(),
            errors: meter.errors.total(),
        };
        let line = sample.line();
        (sample, line)
    }
}

impl Sample {
    fn line(&self) -> String {
        let Self { doing, joined, publishing, flowing, packets, lost, freezes, errors, .. } = self;
        let megabits = self.bits_per_second as f64 / 1e6;
        format!(
            "{doing}: {joined} joined · {publishing} publish · {flowing} feeds flow · {packets} packets/s, {megabits:.0} Mbit/s, {lost} lost · {freezes} freezes · {errors} errors"
        )
    }
}
