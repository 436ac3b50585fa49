//! What a test of a stream found: one JSON document, or a table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::measure::{Percentiles, failures, get};
use super::clock::{Clock, Source};
use super::meter::Meter;
use super::sample::Sample;
use crate::args::load::Hls;
use crate::output::{Output, size};

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) started_at: String,
    pub(super) url: String,
    pub(super) viewers: u32,
    pub(super) http: &'static str,
    pub(super) hints: bool,
    /// What delays are measured from: `publisher` or `capture`.
    pub(super) clock: &'static str,
    /// How long it was measured.
    pub(super) seconds: f64,
    /// How many viewers played when it began to be measured.
    pub(super) playing: u64,
    pub(super) startup_ms: Percentiles,
    /// What follows is of the time that was measured.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// From sending (or capture) to a viewer's last byte.
    pub(super) delay_ms: Percentiles,
    /// From the acknowledgement, where the publisher told of it; what came before it counts as 1 µs.
    pub(super) after_ack_ms: Percentiles,
    /// From asking to the last byte, in a closed loop.
    pub(super) fetch_ms: Percentiles,
    /// Arrivals whose publishing time nobody told.
    pub(super) unmatched: u64,
    pub(super) server: Option<Server>,
    pub(super) client: Client,
    /// Of the whole test.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) series: Vec<Sample>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    playlists: u64,
    parts: u64,
    bytes: u64,
    stalls: u64,
    stalled_seconds: f64,
    hints_missed: u64,
}

/// The server's process.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub(super) pid: u32,
    /// Before the first viewer came.
    pub(super) memory_before_bytes: u64,
    /// The most that a sample a second saw.
    pub(super) memory_peak_bytes: u64,
    /// CPU time in a second of the time measured.
    pub(super) cpu_cores: f64,
    /// The same for each viewer.
    pub(super) cpu_micros_per_viewer_second: f64,
    /// The same for each part.
    pub(super) cpu_micros_per_part: f64,
}

/// This process.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    pub(super) cpu_cores: f64,
    pub(super) memory_bytes: u64,
}

impl Counts {
    /// All so far.
    pub(super) fn of(meter: &Meter) -> Self {
        Self {
            playlists: get(&meter.playlists),
            parts: get(&meter.parts),
            bytes: get(&meter.bytes),
            stalls: get(&meter.stalls),
            stalled_seconds: Duration::from_micros(get(&meter.stalled_micros)).as_secs_f64(),
            hints_missed: get(&meter.hints_missed),
        }
    }

    /// Those since an earlier moment.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            playlists: self.playlists - before.playlists,
            parts: self.parts - before.parts,
            bytes: self.bytes - before.bytes,
            stalls: self.stalls - before.stalls,
            stalled_seconds: self.stalled_seconds - before.stalled_seconds,
            hints_missed: self.hints_missed - before.hints_missed,
        }
    }

    /// How many parts.
    pub(super) fn parts(self) -> u64 {
        self.parts
    }
}

impl Report {
    /// What is known before anything was measured.
    pub(super) fn new(args: &Hls, url: String, source: Source, meter: &Meter) -> Self {
        let nothing = Percentiles::default();
        let counts = Counts::of(meter);
        Self {
            started_at: jiff::Timestamp::now().to_string(),
            url,
            viewers: args.viewers,
            http: if args.http2 { "2" } else { "1.1" },
            hints: args.hints,
            clock: match source {
                Source::Publisher => "publisher",
                Source::Capture => "capture",
            },
            seconds: 0.0,
            playing: 0,
            startup_ms: nothing,
            counts,
            delay_ms: nothing,
            after_ack_ms: nothing,
            fetch_ms: nothing,
            unmatched: 0,
            server: None,
            client: Client { cpu_cores: 0.0, memory_bytes: 0 },
            errors: BTreeMap::new(),
            series: Vec::new(),
        }
    }

    /// Takes what was timed in the round that ends now.
    pub(super) fn timed(&mut self, meter: &Meter, clock: &Clock) {
        self.startup_ms = meter.startup.all();
        self.delay_ms = clock.delay.round();
        self.after_ack_ms = clock.after_ack.round();
        self.fetch_ms = meter.fetch.round();
        self.unmatched = clock.unmatched();
    }

    /// All failures, in words.
    pub(super) fn errors_line(&self) -> String {
        failures(&self.errors)
    }

    pub(super) fn table(&self, output: &Output) -> String {
        let seconds = self.seconds.max(f64::MIN_POSITIVE);
        let a_second = |count: u64| format!("{:.0}", count as f64 / seconds);
        let server = |of: &dyn Fn(&Server) -> String| self.server.as_ref().map_or_else(|| "-".to_owned(), of);
        let delay = if self.clock == "capture" { "capture to last byte" } else { "sent to last byte" };
        let Counts { parts, bytes, stalls, stalled_seconds, .. } = self.counts;
        let rows: [(&str, String); 12] = [
            ("playing", format!("{} of {}", self.playing, self.viewers)),
            ("start-up p50 / p99 / max", self.startup_ms.in_words()),
            (delay, self.delay_ms.in_words()),
            ("acknowledged to last byte", self.after_ack_ms.in_words()),
            ("fetch of a part", self.fetch_ms.in_words()),
            ("parts/s", a_second(parts)),
            ("Mbit/s", a_second(bytes * 8 / 1_000_000)),
            ("stalls", format!("{stalls}, {stalled_seconds:.1} s")),
            ("server CPU", server(&|server| format!("{:.2} cores", server.cpu_cores))),
            (
                "server CPU per viewer",
                server(&|server| format!("{:.0} µs/s", server.cpu_micros_per_viewer_second)),
            ),
            (
                "server memory before / most",
                server(&|server| {
                    format!("{} / {}", size(server.memory_before_bytes), size(server.memory_peak_bytes))
                }),
            ),
            ("errors", self.errors.values().sum::<u64>().to_string()),
        ];
        let rows = rows.into_iter().map(|(name, value)| [name.to_owned(), value]).collect();
        let title = format!(
            "{} viewers of {} over HTTP/{} for {:.0} s; this client took {:.2} cores and {}",
            self.viewers,
            self.url,
            self.http,
            self.seconds,
            self.client.cpu_cores,
            size(self.client.memory_bytes)
        );
        format!("{title}\n\n{}", output.table(["", "SEEN"], rows))
    }
}
