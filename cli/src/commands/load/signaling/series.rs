//! What a test looks like while it runs: a line that changes, and one sample a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::crowd::Shared;
use super::meter::get;
use crate::output::Output;
use crate::progress::Progress;

/// How far apart samples are.
const EVERY: Duration = Duration::from_secs(1);

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

#[derive(Debug, Default)]
struct State {
    doing: &'static str,
    samples: Vec<Sample>,
}

/// Takes the samples of one crowd until dropped.
#[derive(Debug)]
pub(super) struct Series {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Series {
    pub(super) fn start(shared: Arc<Shared>, output: &Output) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let progress = Progress::waiting(output, "connecting");
        let task = tokio::spawn(watch(shared, state.clone(), progress));
        Self { state, task }
    }

    /// Names what is done from now on.
    pub(super) fn doing(&self, doing: &'static str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).doing = doing;
    }

    /// All samples so far.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).samples.clone()
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(shared: Arc<Shared>, state: Arc<Mutex<State>>, progress: Progress) {
    let begun = Instant::now();
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    let (mut joins_before, mut relays_before, mut at_before) = (0, 0, begun);
    loop {
        every.tick().await;
        let meter = &shared.meter;
        let (joins, relays, now) = (get(&meter.joins), get(&meter.relays), Instant::now());
        let passed = now.duration_since(at_before).as_secs_f64();
        let (join, relay) = (meter.join.second(), meter.relay.second());
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = Sample {
            at: begun.elapsed().as_secs_f64(),
            doing: state.doing,
            connections: get(&meter.connections),
            joins: rate(joins - joins_before, passed),
            relays: rate(relays - relays_before, passed),
            join_p50_ms: join.p50,
            join_p99_ms: join.p99,
            relay_p50_ms: relay.p50,
            relay_p99_ms: relay.p99,
            errors: meter.errors().values().sum(),
        };
        progress.say(sample.line());
        state.samples.push(sample);
        drop(state);
        (joins_before, relays_before, at_before) = (joins, relays, now);
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

/// So many a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small and positive")]
pub(super) fn rate(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}
