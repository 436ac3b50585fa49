//! The report: a table for people, a document for scripts, a verdict.

use std::fmt::{self, Write};

use serde::Serialize;

use super::figures::{Figured, Summary};
use super::judge::{Ruling, Verdict};
use super::rules::ALL;
use super::session::Session;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// The draft whose sections are named.
const DRAFT: &str = "draft-pantos-hls-rfc8216bis-22";

/// What a probe found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    url: String,
    playlist: String,
    draft: &'static str,
    conforms: bool,
    counts: Counts,
    seconds: f64,
    reloads: u64,
    rules: Vec<Ruling>,
    /// In milliseconds.
    figures_ms: Figured,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    pass: usize,
    fail: usize,
    warn: usize,
    not_applicable: usize,
    skipped: usize,
}

impl Counts {
    fn of(rules: &[Ruling]) -> Self {
        let count = |verdict| rules.iter().filter(|ruling| ruling.verdict == verdict).count();
        Self {
            pass: count(Verdict::Pass),
            fail: count(Verdict::Fail),
            warn: count(Verdict::Warn),
            not_applicable: count(Verdict::NotApplicable),
            skipped: count(Verdict::Skipped),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = ["pass", "fail", "warn", "not applicable", "skipped"];
        let counts = [self.pass, self.fail, self.warn, self.not_applicable, self.skipped];
        let told: Vec<_> = counts
            .iter()
            .zip(words)
            .filter(|(count, _)| **count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        f.write_str(&told.join(", "))
    }
}

/// Prints the report; a failure when a rule of weight is broken.
pub(super) fn print(session: &Session, url: &str, seconds: f64, output: &Output) -> Result<Exit> {
    let rules = session.judge.rulings();
    let counts = Counts::of(&rules);
    let broken: Vec<&str> =
        rules.iter().filter(|ruling| ruling.verdict == Verdict::Fail).map(|ruling| ruling.rule).collect();
    let failure = (!broken.is_empty()).then(|| {
        Failure::failed(
            format!("{url} does not conform to {DRAFT}"),
            format!("{} of {} rules fail: {}", broken.len(), ALL.len(), broken.join(", ")),
            "mend the server by what was seen of each; the sections say how it must be",
        )
    });
    let report = Report {
        url: url.to_owned(),
        playlist: session.url.to_string(),
        draft: DRAFT,
        conforms: broken.is_empty(),
        counts,
        seconds: (seconds * 10.0).round() / 10.0,
        reloads: session.reloads,
        figures_ms: session.figures.figured(),
        rules: rules.clone(),
    };
    output.document(&report, |output| table(output, &report))?;
    failure.map_or(Ok(Exit::Done), Err)
}

fn table(output: &Output, report: &Report) -> String {
    let name_width = ALL.iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    let section_width = ALL.iter().map(|rule| rule.section.len()).max().unwrap_or(0);
    let mut text = String::new();
    for group in report.rules.chunk_by(|one, next| one.group == next.group) {
        let heading = group.first().map_or("", |ruling| ruling.group).to_uppercase();
        let _ = writeln!(text, "{}  {}", output.bold(&heading), output.dim(&Counts::of(group).to_string()));
        for ruling in group {
            let word = format!("{:<7}", ruling.verdict.word());
            let (word, seen) = match ruling.verdict {
                Verdict::Pass => (output.good(&word), ruling.seen.clone()),
                Verdict::Fail => (output.bad(&word), explained(ruling)),
                Verdict::Warn => (output.warn(&word), explained(ruling)),
                Verdict::NotApplicable | Verdict::Skipped => (output.dim(&word), output.dim(&ruling.seen)),
            };
            let (rule, section) = (ruling.rule, ruling.section);
            let _ = writeln!(text, "{word}  {rule:<name_width$}  {section:<section_width$}  {seen}");
        }
        text.push('\n');
    }
    let figures = [
        ("from capture to the playlist", report.figures_ms.edge_age),
        ("a playlist that waits for nothing", report.figures_ms.reload),
        ("from part to part", report.figures_ms.part_interval),
        ("playlist after its hinted part", report.figures_ms.playlist_after_part),
        ("a part that is there", report.figures_ms.part_fetch),
    ];
    let _ = writeln!(
        text,
        "{}",
        output.bold("MEASURED, IN MS                       P50       P99       MAX    TIMES")
    );
    for (name, summary) in figures {
        let _ = writeln!(text, "{name:<33}{}", summary.map_or_else(|| "        -".to_owned(), row));
    }
    let _ = write!(
        text,
        "\n{}: {}; {} reloads in {} s; sections of {DRAFT}",
        report.playlist, report.counts, report.reloads, report.seconds
    );
    text
}

fn row(summary: Summary) -> String {
    format!("{:>9.1} {:>9.1} {:>9.1} {:>8}", summary.p50, summary.p99, summary.max, summary.count)
}

fn explained(ruling: &Ruling) -> String {
    let times = if ruling.checks > 1 {
        format!(" ({} of {} times)", ruling.broken, ruling.checks)
    } else {
        String::new()
    };
    format!("{}{times}: {}", ruling.seen, ruling.demand)
}
