//! What the origin counts, in Prometheus' text format.

use hyper::StatusCode;
use mobz_runtime::views::Views;
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::live::Live;
use crate::media::MediaCache;

pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    blocked: IntGauge,
    media_bytes: IntCounter,
    media_fetches: IntCounter,
    connections: IntGauge,
    views: IntGauge,
    watchers: IntGauge,
    cache_bytes: IntGauge,
    cache_pieces: IntGauge,
}

/// Counts up while it lives.
pub(crate) struct Held(IntGauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        let requests = Opts::new("mobz_origin_requests_total", "Requests answered");
        Self {
            requests: register(&registry, IntCounterVec::new(requests, &["kind", "status"])),
            blocked: gauge("mobz_origin_blocked_requests", "Requests that wait for media now"),
            media_bytes: counter("mobz_origin_media_bytes_total", "Bytes of media answered with"),
            media_fetches: counter(
                "mobz_origin_media_fetches_total",
                "Pieces of media fetched from the store",
            ),
            connections: gauge("mobz_origin_connections", "Open connections"),
            views: gauge("mobz_origin_views", "Rooms watched now"),
            watchers: gauge("mobz_origin_watchers", "Requests under way on watched rooms"),
            cache_bytes: gauge("mobz_origin_cache_bytes", "Bytes of media kept beside the store now"),
            cache_pieces: gauge("mobz_origin_cache_pieces", "Pieces of media kept beside the store now"),
            registry,
        }
    }
}

impl Metrics {
    pub(crate) fn answered(&self, kind: &str, status: StatusCode) {
        self.requests.with_label_values(&[kind, status.as_str()]).inc();
    }

    pub(crate) fn media_sent(&self, bytes: usize) {
        self.media_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn media_fetched(&self) {
        self.media_fetches.inc();
    }

    pub(crate) fn block(&self) -> Held {
        hold(&self.blocked)
    }

    pub(crate) fn connect(&self) -> Held {
        hold(&self.connections)
    }

    pub(crate) fn render(&self, views: &Views<Live>, cache: &MediaCache) -> String {
        let (bytes, pieces) = cache.size();
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.cache_pieces.set(i64::try_from(pieces).unwrap_or(i64::MAX));
        self.views.set(i64::try_from(views.len()).unwrap_or(i64::MAX));
        self.watchers.set(i64::try_from(views.watchers()).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn hold(gauge: &IntGauge) -> Held {
    gauge.inc();
    Held(gauge.clone())
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
