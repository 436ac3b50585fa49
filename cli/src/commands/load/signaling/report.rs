//! What a test found: one JSON document, or a table.

use std::collections::BTreeMap;
use std::time::Duration;

use mobz_core::room::Mode;
use serde::Serialize;

use super::super::measure::{Percentiles, failures, get};
use super::super::series::rate;
use super::meter::Meter;
use super::plan::Plan;
use super::sample::Sample;
use crate::args::load::Signaling;
use crate::output::{Output, size};

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    started_at: String,
    mode: &'static str,
    connections: usize,
    rooms: usize,
    rate: u32,
    messages_per_second: u32,
    message_bytes: u32,
    seconds_per_part: f64,
    server: Measured,
    floor: Option<Measured>,
    ratios: Option<Ratios>,
    series: Vec<Sample>,
}

/// What was measured of one server.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    pub(super) url: String,
    pub(super) asked: usize,
    pub(super) joined: u64,
    pub(super) joins_per_second: u64,
    pub(super) connect_ms: Percentiles,
    pub(super) join_ms: Percentiles,
    pub(super) memory: Option<Memory>,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// At the steady rate.
    pub(super) relay_ms: Percentiles,
    /// Rounds at the steady rate.
    pub(super) steady: Vec<Steady>,
    /// Rounds of pairs that answer each message with one.
    pub(super) saturated: Vec<Saturated>,
    pub(super) errors: BTreeMap<String, u64>,
}

/// The memory of a server with and without clients.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    pub(super) pid: u32,
    pub(super) empty_bytes: u64,
    pub(super) idle_bytes: u64,
    pub(super) per_connection_bytes: u64,
}

/// One round at the steady rate.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Steady {
    pub(super) relays_per_second: u64,
    pub(super) relay_ms: Percentiles,
}

/// One round of pairs that answer each message with one.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saturated {
    pub(super) relays_per_second: u64,
    pub(super) cpu_micros_per_relay: Option<f64>,
}

/// Server to floor; each the median of the rounds' ratios.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ratios {
    relays_per_second: Option<f64>,
    relay_p50: Option<f64>,
    relay_p99: Option<f64>,
    cpu_per_relay: Option<f64>,
}

impl Measured {
    /// All have joined, or failed to.
    pub(super) fn gathered(&mut self, took: Duration, meter: &Meter) {
        self.joined = get(&meter.joins);
        self.joins_per_second = rate(self.joined, took.as_secs_f64());
    }

    /// The messages have been sent and, where they ever are, received.
    pub(super) fn finished(&mut self, meter: &Meter, plan: &Plan, whole: bool) {
        self.joined = get(&meter.joins);
        self.connect_ms = meter.connect.all();
        self.join_ms = meter.join.all();
        self.relay_ms = meter.relay.all();
        (self.sent, self.received) = (get(&meter.sent), get(&meter.relays));
        let lost = self.sent.saturating_sub(self.received);
        if whole && plan.mode == Mode::P2p && lost > 0 {
            (0..lost).for_each(|_| meter.errors.count("lost"));
        }
    }

    fn relays_per_second(&self) -> Option<f64> {
        median(self.saturated.iter().map(|round| round.relays_per_second as f64))
    }

    fn cpu_per_relay(&self) -> Option<f64> {
        median(self.saturated.iter().filter_map(|round| round.cpu_micros_per_relay))
    }
}

impl Ratios {
    fn of(server: &Measured, floor: &Measured) -> Self {
        let steady = |of: fn(&Steady) -> f64| {
            median(server.steady.iter().zip(&floor.steady).map(|(server, floor)| of(server) / of(floor)))
        };
        let saturated = |of: fn(&Saturated) -> Option<f64>| {
            let rounds = server.saturated.iter().zip(&floor.saturated);
            median(rounds.filter_map(|(server, floor)| Some(of(server)? / of(floor)?)))
        };
        Self {
            relays_per_second: saturated(|round| Some(round.relays_per_second as f64)),
            relay_p50: steady(|round| round.relay_ms.p50),
            relay_p99: steady(|round| round.relay_ms.p99),
            cpu_per_relay: saturated(|round| round.cpu_micros_per_relay),
        }
    }
}

impl Report {
    pub(super) fn new(
        args: &Signaling,
        plan: &Plan,
        began: jiff::Timestamp,
        measured: Vec<Measured>,
        series: Vec<Sample>,
    ) -> Self {
        let mut measured = measured.into_iter();
        let server = measured.next().unwrap_or_default();
        let floor = measured.next();
        Self {
            started_at: began.to_string(),
            mode: plan.mode.as_str(),
            connections: plan.connections,
            rooms: plan.rooms,
            rate: args.rate,
            messages_per_second: args.messages_per_second,
            message_bytes: args.message_bytes,
            seconds_per_part: args.duration.as_secs_f64(),
            ratios: floor.as_ref().map(|floor| Ratios::of(&server, floor)),
            server,
            floor,
            series,
        }
    }

    fn sides(&self) -> impl Iterator<Item = &Measured> {
        std::iter::once(&self.server).chain(&self.floor)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.sides().any(|side| !side.errors.is_empty())
    }

    pub(super) fn errors_line(&self) -> String {
        failures(self.sides().flat_map(|side| &side.errors))
    }

    pub(super) fn table(&self, output: &Output) -> String {
        let (server, floor) = (&self.server, self.floor.as_ref());
        let ratios = self.ratios.as_ref();
        let row = |name: &str, of: &dyn Fn(&Measured) -> String, ratio: Option<f64>| {
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            [name.to_owned(), of(server), floor.map_or_else(String::new, of), ratio]
        };
        let number =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.0}"));
        let rows = vec![
            row("joined", &|side| format!("{} of {}", side.joined, side.asked), None),
            row("joins/s", &|side| side.joins_per_second.to_string(), None),
            row("connect p50 / p99 / max", &|side| side.connect_ms.in_words(), None),
            row("join p50 / p99 / max", &|side| side.join_ms.in_words(), None),
            row("memory per connection", &|side| memory(side.memory.as_ref()), None),
            row("relay p50 / p99 / max", &|side| side.relay_ms.in_words(), ratios.and_then(|r| r.relay_p99)),
            row(
                "most relays/s",
                &|side| number(side.relays_per_second()),
                ratios.and_then(|r| r.relays_per_second),
            ),
            row(
                "CPU µs per relay",
                &|side| side.cpu_per_relay().map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1}")),
                ratios.and_then(|r| r.cpu_per_relay),
            ),
            row("errors", &|side| side.errors.values().sum::<u64>().to_string(), None),
        ];
        let heading = [
            "",
            "SERVER",
            if floor.is_some() { "FLOOR" } else { "" },
            if floor.is_some() { "RATIO" } else { "" },
        ];
        let title = format!(
            "{} clients in {} {} rooms at {}, {} messages/s of {} bytes",
            self.connections, self.rooms, self.mode, server.url, self.messages_per_second, self.message_bytes
        );
        format!("{title}\n\n{}", output.table(heading, rows))
    }
}

fn memory(memory: Option<&Memory>) -> String {
    memory.map_or_else(|| "-".to_owned(), |memory| size(memory.per_connection_bytes))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_its_rounds() {
        let side = |rounds: [u64; 3]| Measured {
            saturated: rounds
                .map(|relays_per_second| Saturated { relays_per_second, cpu_micros_per_relay: None })
                .to_vec(),
            ..Measured::default()
        };
        let ratios = Ratios::of(&side([80, 10, 90]), &side([100, 100, 100]));
        assert_eq!(ratios.relays_per_second, Some(0.8));
        assert_eq!((ratios.relay_p99, ratios.cpu_per_relay), (None, None));
    }
}
