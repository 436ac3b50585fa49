//! What a test of group calls found: one JSON document, or a table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::measure::{Percentiles, failures};
use super::floor::Found;
use super::meter::Meter;
use super::plan::Plan;
use super::sample::Sample;
use super::servers::Used;
use crate::args::load::Webrtc;
use crate::output::{Output, size};

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    started_at: String,
    url: String,
    publishers: usize,
    viewers: usize,
    rooms: usize,
    kbits: u32,
    fps: u32,
    audio_ms: u32,
    trickle: bool,
    /// Publishers and viewers.
    asked: usize,
    joined: u64,
    /// Feeds when everybody watches everybody who publishes.
    feeds: usize,
    /// Those of them whose offer came in a `JoinAck`.
    offered_inline: u64,
    /// Publishers whose media connection was up when it began to be measured.
    publishing: u64,
    /// Feeds that flowed when it began to be measured.
    flowing: u64,
    /// Feeds that flowed when that ended.
    flowing_at_end: u64,
    connect_ms: Percentiles,
    join_ms: Percentiles,
    /// From an Offer to its Answer.
    offer_ms: Percentiles,
    /// From that to the media connection.
    publish_ms: Percentiles,
    /// From a Watch to its `WatchAck`, of viewers that met no offer in their `JoinAck`.
    watch_ms: Percentiles,
    /// From a feed's offer to its first packet.
    first_media_ms: Percentiles,
    /// From a viewer's Join to the first packet of any feed.
    viewer_media_ms: Percentiles,
    /// How long it was measured. What follows is of that time.
    seconds: f64,
    #[serde(flatten)]
    counts: Counts,
    /// Of each feed, four times a second (RFC 3550 §6.4.1).
    jitter_ms: Percentiles,
    servers: Vec<Used>,
    client: Client,
    pub(super) floor: Option<Found>,
    ratios: Option<Ratios>,
    /// Of the whole test.
    errors: BTreeMap<String, u64>,
    series: Vec<Sample>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    packets: u64,
    bytes: u64,
    pictures: u64,
    lost: u64,
    /// Missing at first, sent again.
    recovered: u64,
    freezes: u64,
    frozen_seconds: f64,
    /// Datagrams that this machine did not take to send.
    unsent: u64,
}

/// This process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    pub(super) cpu_cores: f64,
    pub(super) memory_bytes: u64,
}

/// A Watch to the floor.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "each is a key of the report")]
struct Ratios {
    watch_p50: f64,
    watch_p90: f64,
    watch_p99: f64,
}

impl Counts {
    /// All so far.
    pub(super) fn of(meter: &Meter) -> Self {
        Self {
            packets: meter.packets.get(),
            bytes: meter.bytes.get(),
            pictures: meter.pictures.get(),
            lost: meter.lost(),
            recovered: meter.recovered.get(),
            freezes: meter.freezes.get(),
            frozen_seconds: Duration::from_micros(meter.frozen_micros.get()).as_secs_f64(),
            unsent: meter.unsent.get(),
        }
    }

    /// Those since an earlier moment. Packets that were missing then and came after all are not lost.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
            pictures: self.pictures - before.pictures,
            lost: self.lost.saturating_sub(before.lost),
            recovered: self.recovered - before.recovered,
            freezes: self.freezes - before.freezes,
            frozen_seconds: self.frozen_seconds - before.frozen_seconds,
            unsent: self.unsent - before.unsent,
        }
    }
}

impl Ratios {
    fn of(found: &Found) -> Option<Self> {
        let (watch, floor) = (found.watch_ms, found.attach_and_join_ms);
        (floor.count > 0).then(|| Self {
            watch_p50: watch.p50 / floor.p50,
            watch_p90: watch.p90 / floor.p90,
            watch_p99: watch.p99 / floor.p99,
        })
    }
}

impl Report {
    /// What is known before anything was measured.
    pub(super) fn new(args: &Webrtc, url: String, plan: Plan) -> Self {
        let nothing = Percentiles::default();
        Self {
            started_at: jiff::Timestamp::now().to_string(),
            url,
            publishers: plan.publishers,
            viewers: plan.viewers,
            rooms: plan.rooms,
            kbits: args.kbits,
            fps: args.fps,
            audio_ms: args.audio_ms,
            trickle: args.trickle,
            asked: plan.publishers + plan.viewers,
            joined: 0,
            feeds: plan.feeds(),
            offered_inline: 0,
            publishing: 0,
            flowing: 0,
            flowing_at_end: 0,
            connect_ms: nothing,
            join_ms: nothing,
            offer_ms: nothing,
            publish_ms: nothing,
            watch_ms: nothing,
            first_media_ms: nothing,
            viewer_media_ms: nothing,
            seconds: 0.0,
            counts: Counts::default(),
            jitter_ms: nothing,
            servers: Vec::new(),
            client: Client::default(),
            floor: None,
            ratios: None,
            errors: BTreeMap::new(),
            series: Vec::new(),
        }
    }

    /// It begins to be measured.
    pub(super) fn begin(&mut self, meter: &Meter) {
        (self.publishing, self.flowing) = (meter.publishing.get(), meter.flowing.get());
        // What was timed until now is thrown away.
        meter.jitter.round();
    }

    /// It has been measured for so long.
    pub(super) fn measured(
        &mut self,
        meter: &Meter,
        before: Counts,
        seconds: f64,
        servers: Vec<Used>,
        client: Client,
    ) {
        self.counts = Counts::of(meter).since(before);
        self.jitter_ms = meter.jitter.round();
        self.flowing_at_end = meter.flowing.get();
        (self.seconds, self.servers, self.client) = (seconds, servers, client);
        for _ in self.flowing_at_end..self.feeds as u64 {
            meter.errors.count("feed: does not flow");
        }
    }

    /// The floor has been measured.
    pub(super) fn compared(&mut self, found: Found) {
        self.ratios = Ratios::of(&found);
        self.floor = Some(found);
    }

    /// All is over.
    pub(super) fn finished(&mut self, meter: &Meter, series: Vec<Sample>) {
        self.joined = meter.joined.get();
        self.offered_inline = meter.offered_inline.get();
        self.connect_ms = meter.connect.all();
        self.join_ms = meter.join.all();
        self.offer_ms = meter.offer.all();
        self.publish_ms = meter.publish.all();
        self.watch_ms = meter.watch.all();
        self.first_media_ms = meter.first_media.all();
        self.viewer_media_ms = meter.viewer_media.all();
        self.errors = meter.errors.by_code();
        self.series = series;
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// All failures, in words.
    pub(super) fn errors_line(&self) -> String {
        failures(&self.errors)
    }

    pub(super) fn table(&self, output: &Output) -> String {
        let seconds = self.seconds.max(f64::MIN_POSITIVE);
        let a_second = |count: u64| format!("{:.0}", count as f64 / seconds);
        let Counts { packets, bytes, lost, recovered, freezes, frozen_seconds, .. } = self.counts;
        let share = 100.0 * lost as f64 / (packets + lost).max(1) as f64;
        let mut rows: Vec<(String, String)> = [
            ("joined", format!("{} of {}", self.joined, self.asked)),
            ("join p50 / p99 / max", self.join_ms.in_words()),
            ("Offer to Answer", self.offer_ms.in_words()),
            ("Watch to WatchAck", self.watch_ms.in_words()),
            ("offer to first media", self.first_media_ms.in_words()),
            ("Join to first media", self.viewer_media_ms.in_words()),
            ("publishing", format!("{} of {}", self.publishing, self.publishers)),
            (
                "feeds that flow",
                format!("{} of {}; {} at the end", self.flowing, self.feeds, self.flowing_at_end),
            ),
            ("packets/s", a_second(packets)),
            ("Mbit/s", a_second(bytes * 8 / 1_000_000)),
            ("lost", format!("{lost} ({share:.3} %); {recovered} sent again")),
            ("jitter", self.jitter_ms.in_words()),
            ("freezes", format!("{freezes}, {frozen_seconds:.1} s")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        rows.extend(self.servers.iter().map(|server| {
            let Used { pid, name, memory_before_bytes, memory_peak_bytes, cpu_cores } = server;
            let (before, most) = (size(*memory_before_bytes), size(*memory_peak_bytes));
            (format!("{name} {pid}"), format!("{cpu_cores:.2} cores; memory {before}, {most} at most"))
        }));
        if let Some(floor) = &self.floor {
            rows.push(("Watch, by a client at rest".to_owned(), floor.watch_ms.in_words()));
            rows.push(("attach and join on Janus".to_owned(), floor.attach_and_join_ms.in_words()));
        }
        if let Some(Ratios { watch_p50, watch_p90, watch_p99 }) = self.ratios {
            let ratios = format!("p50 {watch_p50:.2}, p90 {watch_p90:.2}, p99 {watch_p99:.2}");
            rows.push(("Watch to the floor".to_owned(), ratios));
        }
        rows.push(("errors".to_owned(), self.errors.values().sum::<u64>().to_string()));
        let rows = rows.into_iter().map(|(name, value)| [name, value]).collect();
        let title = format!(
            "{} publishers and {} viewers in {} rooms at {} for {:.0} s; this client took {:.2} cores and {}",
            self.publishers,
            self.viewers,
            self.rooms,
            self.url,
            self.seconds,
            self.client.cpu_cores,
            size(self.client.memory_bytes)
        );
        format!("{title}\n\n{}", output.table(["", "SEEN"], rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_does_not_count() {
        let meter = Meter::default();
        meter.packets.plus(5);
        meter.missing.plus(3);
        let before = Counts::of(&meter);
        meter.packets.plus(7);
        meter.recovered.plus(2);
        let counts = Counts::of(&meter).since(before);
        assert_eq!((counts.packets, counts.lost, counts.recovered), (7, 0, 2));
    }

    #[test]
    fn a_ratio_needs_a_floor() {
        let found = |count| Found {
            janus: String::new(),
            watch_ms: Percentiles { count, p50: 3.0, p90: 4.0, p99: 6.0, ..Percentiles::default() },
            attach_and_join_ms: Percentiles { count, p50: 2.0, p90: 4.0, p99: 4.0, ..Percentiles::default() },
        };
        let ratios = Ratios::of(&found(1)).unwrap();
        let seen = [ratios.watch_p50, ratios.watch_p90, ratios.watch_p99];
        assert!(seen.iter().zip([1.5, 1.0, 1.5]).all(|(seen, of)| (seen - of).abs() < 1e-9), "{seen:?}");
        assert!(Ratios::of(&found(0)).is_none());
    }
}
