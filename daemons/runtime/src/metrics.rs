//! What a daemon counts, in Prometheus' text format.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// The counters of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Open WebSocket connections.
    pub connections: IntGauge,
    /// Rooms with connections on this node.
    pub rooms: IntGauge,
    /// Signals received, by type.
    pub signals_received: IntCounter,
    /// Texts handed to connections.
    pub signals_sent: IntCounter,
    /// Bytes of media taken in as data signals.
    pub media_bytes: IntCounter,
    /// Refusals, by code.
    pub refusals: IntCounterVec,
    /// Commits that met another's and were decided again.
    pub commit_conflicts: IntCounter,
    /// Operations the store did not answer.
    pub store_failures: IntCounter,
    /// Messages to and from other nodes.
    pub node_messages: IntCounterVec,
    /// Signals to munits, by whether they were heard, or acknowledged too late.
    pub munit_signals: IntCounterVec,
    /// Stations that were to be placed, by what came of it.
    pub placements: IntCounterVec,
    /// Munits whose heartbeat this node found missing.
    pub munits_lost: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        let by = |name: &str, help: &str, label: &str| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        Self {
            connections: gauge("mobz_connections", "Open WebSocket connections"),
            rooms: gauge("mobz_rooms", "Rooms with connections on this node"),
            signals_received: counter("mobz_signals_received_total", "Signals received from clients"),
            signals_sent: counter("mobz_signals_sent_total", "Signals sent to clients"),
            media_bytes: counter("mobz_media_bytes_total", "Bytes of media received as data signals"),
            refusals: by("mobz_refusals_total", "Refused signals", "code"),
            commit_conflicts: counter("mobz_commit_conflicts_total", "Commits decided again"),
            store_failures: counter("mobz_store_failures_total", "Store operations that failed"),
            node_messages: by("mobz_node_messages_total", "Messages between nodes", "direction"),
            munit_signals: by("mobz_munit_signals_total", "Signals to munits", "outcome"),
            placements: by("mobz_placements_total", "Stations to be placed", "outcome"),
            munits_lost: counter("mobz_munits_lost_total", "Munits found silent"),
            registry,
        }
    }
}

impl Metrics {
    /// All of them as text (Prometheus exposition format 0.0.4).
    pub fn render(&self) -> String {
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
