//! What the driver waits for, and what it does then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use janus_client::{Change, Told};
use mobz_core::munit::BEAT_INTERVAL;
use mobz_core::store::Subscription;
use mobz_runtime::clock;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Driver, MediaServer, News, RegulatorError};
use crate::lifecycle;
use crate::plane::Input;

/// The longest time between two looks at what waits in the plane.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what nobody uses any more is looked for.
const CARE_EVERY: Duration = Duration::from_secs(30);
/// How often it is logged how full the munit is.
const LOAD_EVERY: Duration = Duration::from_secs(60);
/// How long the end may take: rooms are told that their stations are gone.
const END_MAX: Duration = Duration::from_secs(5);

/// A regulator with what comes to it.
pub(crate) struct Running {
    pub(super) driver: Driver,
    pub(super) coming: mpsc::Receiver<News>,
    pub(super) subscription: Box<dyn Subscription>,
}

impl Running {
    /// Serves until `shutdown`, or until the munit is stopped.
    ///
    /// # Errors
    /// When another process speaks for the munit.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), RegulatorError> {
        let mut beat = interval(BEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut care = interval(CARE_EVERY);
        care.set_missed_tick_behavior(MissedTickBehavior::Delay);
        care.reset();
        let mut load = interval(LOAD_EVERY);
        load.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let driver = &mut self.driver;
        let served = loop {
            let now = clock::now();
            let live = driver.record.as_ref().and_then(|record| lifecycle::due(record, now));
            let live = live.into_iter().chain(driver.moving.due()).min();
            let due = driver.plane.due().into_iter().chain(live).min();
            let due = Instant::now() + due.map_or(LOOK_EVERY, |due| due.since(now)).min(LOOK_EVERY);
            let janus = driver.janus.clone();
            // The rare before the frequent: however much is asked, the munit beats. What was asked for is
            // done before more is asked.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                () = ended(janus.as_deref()) => janus.iter().for_each(|janus| driver.dead(janus)),
                _ = beat.tick() => {
                    driver.beat();
                    if driver.live() {
                        break Ok(());
                    }
                }
                _ = care.tick() => driver.care(),
                _ = load.tick() => driver.log_load(),
                () = sleep_until(due) => {
                    driver.apply(Input::Due);
                    if live.is_some_and(|live| live <= clock::now()) && driver.live() {
                        break Ok(());
                    }
                }
                Some(change) = next_change(&mut driver.changes) => driver.changed(&change),
                Some(news) = self.coming.recv() => match driver.news(news) {
                    Ok(false) => {}
                    Ok(true) => break Ok(()),
                    Err(error) => break Err(error),
                },
                Some(told) = next_told(&mut driver.events) => driver.told(told),
                event = self.subscription.next() => match event {
                    Some(event) => driver.signal(event),
                    None => break Ok(()),
                },
            }
        };
        driver.metrics.ready.store(false, Ordering::Relaxed);
        if timeout(END_MAX, driver.end(&served)).await.is_err() {
            tracing::warn!("the end took too long; rooms will notice by themselves");
        }
        served
    }
}

async fn ended(janus: Option<&dyn MediaServer>) {
    match janus {
        Some(janus) => janus.ended().await,
        None => std::future::pending().await,
    }
}

async fn next_told(events: &mut Option<BoxStream<'static, Told>>) -> Option<Told> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn next_change(changes: &mut Option<BoxStream<'static, Change>>) -> Option<Change> {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}
