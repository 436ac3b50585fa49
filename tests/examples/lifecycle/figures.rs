//! What was measured, and the table of it.

use std::fmt::Write as _;
use std::time::Duration;

/// What one round has found: the figure's name, and all that was measured for it.
pub(crate) type Found = Vec<(Figure, Vec<f64>)>;

/// A figure.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// What it must not exceed, and of which of its percentiles that is said.
    pub(crate) target: Option<(Percentile, f64)>,
}

/// Of which value a target speaks.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Percentile {
    P95,
    Max,
}

/// Something that is counted and should not be: none at all may be.
pub(crate) const fn none(name: &'static str) -> Figure {
    Figure { name, target: Some((Percentile::Max, 0.0)) }
}

/// Milliseconds that nothing is wanted of.
pub(crate) const fn seen(name: &'static str) -> Figure {
    Figure { name, target: None }
}

/// Milliseconds that must not be more than this, ever.
pub(crate) const fn at_most(name: &'static str, ms: f64) -> Figure {
    Figure { name, target: Some((Percentile::Max, ms)) }
}

/// Milliseconds that must not be more than this in 95 of 100.
pub(crate) const fn mostly(name: &'static str, ms: f64) -> Figure {
    Figure { name, target: Some((Percentile::P95, ms)) }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A round in one line.
pub(crate) fn line(found: &Found) -> String {
    let mut line = String::new();
    for (figure, values) in found {
        let most = values.iter().copied().fold(0.0, f64::max);
        write!(line, "{} {most:.0}  ", figure.name).unwrap();
    }
    line
}

#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, case: &str, rounds: Vec<Found>) {
        let count = rounds.len();
        let mut figures: Found = Vec::new();
        for (figure, values) in rounds.into_iter().flatten() {
            match figures.iter_mut().find(|(known, _)| *known == figure) {
                Some((_, all)) => all.extend(values),
                None => figures.push((figure, values)),
            }
        }
        for (figure, mut values) in figures {
            values.sort_by(f64::total_cmp);
            let (p50, p95, most) = (at(&values, 50), at(&values, 95), at(&values, 100));
            let verdict = figure.target.map_or_else(String::new, |(of, most_wanted)| {
                let (name, value) = match of {
                    Percentile::P95 => ("p95", p95),
                    Percentile::Max => ("max", most),
                };
                let met = if value <= most_wanted { "met" } else { "MISSED" };
                format!("{name} ≤ {most_wanted:.0}: {met}")
            });
            self.lines.push(format!(
                "{case:<10} {:<44} {count:>6} {:>6} {p50:>8.0} {p95:>8.0} {most:>8.0}  {verdict}",
                figure.name,
                values.len()
            ));
        }
    }

    pub(crate) fn failed(&mut self, case: &str, error: &tokio::task::JoinError) {
        self.lines.push(format!("{case:<10} FAILED: {error}"));
    }

    pub(crate) fn print(&self) {
        println!(
            "\n{:<10} {:<44} {:>6} {:>6} {:>8} {:>8} {:>8}",
            "case", "figure (times in ms)", "rounds", "values", "p50", "p95", "max"
        );
        for line in &self.lines {
            println!("{line}");
        }
    }
}

/// The smallest value that `percent` of all do not exceed; they are in order.
fn at(values: &[f64], percent: usize) -> f64 {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}
