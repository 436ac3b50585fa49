//! What the regulator counts, in Prometheus' text format.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mobz_core::munit::Load;
use prometheus::{Encoder as _, IntCounter, IntGauge, Registry, TextEncoder};

/// The counters of one regulator.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Whether Janus answers and the munit is registered.
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) stations: IntGauge,
    pub(crate) viewers: IntGauge,
    pub(crate) signals: IntCounter,
    pub(crate) commands: IntCounter,
    pub(crate) stations_lost: IntCounter,
    pub(crate) janus_losses: IntCounter,
    pub(crate) orphans: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        Self {
            ready: Arc::default(),
            stations: gauge("mobz_munit_stations", "Stations of this munit"),
            viewers: gauge("mobz_munit_viewers", "Watched stations, summed over all viewers"),
            signals: counter("mobz_munit_signals_total", "Signals from nodes and munits"),
            commands: counter("mobz_munit_janus_commands_total", "Commands given to Janus"),
            stations_lost: counter("mobz_munit_stations_lost_total", "Stations given up"),
            janus_losses: counter(
                "mobz_munit_janus_losses_total",
                "How often Janus was lost with all it had",
            ),
            orphans: counter("mobz_munit_orphans_total", "Stations that no room knew"),
            registry,
        }
    }
}

impl Metrics {
    pub(crate) fn load(&self, load: Load) {
        self.stations.set(i64::try_from(load.stations).unwrap_or(i64::MAX));
        self.viewers.set(i64::try_from(load.viewers).unwrap_or(i64::MAX));
    }

    /// All of them as text (Prometheus exposition format 0.0.4).
    pub(crate) fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.unwrap_or_else(|_| unreachable!("metric names are literals and valid"));
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "a metric is registered twice");
    }
    metric
}
