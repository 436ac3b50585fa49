//! What a test looks like while it runs: a line that changes, and one sample a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::output::Output;
use crate::progress::Progress;

/// How far apart samples are.
const EVERY: Duration = Duration::from_secs(1);

/// When a sample is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Seconds since the test began.
    pub(super) at: f64,
    /// Seconds since the sample before.
    pub(super) passed: f64,
    /// What the test does now.
    pub(super) doing: &'static str,
}

#[derive(Debug)]
struct State<S> {
    doing: &'static str,
    samples: Vec<S>,
}

/// Takes samples until dropped.
#[derive(Debug)]
pub(super) struct Series<S> {
    state: Arc<Mutex<State<S>>>,
    task: JoinHandle<()>,
}

impl<S: Clone + Send + 'static> Series<S> {
    /// Starts; `take` makes a sample and the line that tells of it.
    pub(super) fn start(
        output: &Output,
        doing: &'static str,
        take: impl FnMut(Moment) -> (S, String) + Send + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State { doing, samples: Vec::new() }));
        let progress = Progress::waiting(output, doing);
        let task = tokio::spawn(watch(state.clone(), progress, take));
        Self { state, task }
    }

    /// Names what is done from now on.
    pub(super) fn doing(&self, doing: &'static str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).doing = doing;
    }

    /// All samples so far.
    pub(super) fn samples(&self) -> Vec<S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).samples.clone()
    }
}

impl<S> Drop for Series<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch<S>(
    state: Arc<Mutex<State<S>>>,
    progress: Progress,
    mut take: impl FnMut(Moment) -> (S, String),
) {
    let begun = Instant::now();
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    let mut before = begun;
    loop {
        every.tick().await;
        let now = Instant::now();
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.duration_since(before).as_secs_f64();
        let moment = Moment { at: begun.elapsed().as_secs_f64(), passed, doing: state.doing };
        let (sample, line) = take(moment);
        progress.say(line);
        state.samples.push(sample);
        drop(state);
        before = now;
    }
}

/// So many a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small and positive")]
pub(super) fn rate(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}
