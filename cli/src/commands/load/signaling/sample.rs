//! One second of a test of signaling.

use std::sync::Arc;

use serde::Serialize;

use super::super::measure::get;
use super::super::series::{Moment, rate};
use super::crowd::Shared;

/// One second of a test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Seconds since the test began.
    pub(super) at: f64,
    pub(super) doing: &'static str,
    pub(super) connections: u64,
    pub(super) joins: u64,
    pub(super) relays: u64,
    pub(super) join_p50_ms: f64,
    pub(super) join_p99_ms: f64,
    pub(super) relay_p50_ms: f64,
    pub(super) relay_p99_ms: f64,
    /// So far.
    pub(super) errors: u64,
}

/// Takes samples of one crowd.
pub(super) fn sampler(shared: Arc<Shared>) -> impl FnMut(Moment) -> (Sample, String) {
    let (mut joins_before, mut relays_before) = (0, 0);
    move |moment| {
        let meter = &shared.meter;
        let (joins, relays) = (get(&meter.joins), get(&meter.relays));
        let (join, relay) = (meter.join.second(), meter.relay.second());
        let sample = Sample {
            at: moment.at,
            doing: moment.doing,
            connections: get(&meter.connections),
            joins: rate(joins - joins_before, moment.passed),
            relays: rate(relays - relays_before, moment.passed),
            join_p50_ms: join.p50,
            join_p99_ms: join.p99,
            relay_p50_ms: relay.p50,
            relay_p99_ms: relay.p99,
            errors: meter.errors.total(),
        };
        (joins_before, relays_before) = (joins, relays);
        let line = sample.line();
        (sample, line)
    }
}

impl Sample {
    fn line(&self) -> String {
        let Self { doing, connections, joins, relays, errors, .. } = self;
        let (join, relay) = (self.join_p99_ms, self.relay_p99_ms);
        let (join_p50, relay_p50) = (self.join_p50_ms, self.relay_p50_ms);
        format!(
            "{doing}: {connections} connections · {joins} joins/s, p50 {join_p50:.1} p99 {join:.1} ms · {relays} relays/s, p50 {relay_p50:.1} p99 {relay:.1} ms · {errors} errors"
        )
    }
}
