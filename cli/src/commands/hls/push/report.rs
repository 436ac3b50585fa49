//! What a push shows while it runs: bitrate, how fast parts are acknowledged, drift.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::error::Result;
use crate::output::{Format, Output, size};
use crate::progress::Progress;

/// Over how long bitrate and latency are taken.
const SPAN: Duration = Duration::from_secs(5);
/// The most parts that are looked at for them, however short.
const SAMPLES_MAX: usize = 256;

/// What is shown.
#[derive(Debug)]
pub(super) struct Report {
    began: Instant,
    recent: VecDeque<(Instant, u64, Duration)>,
    parts: u64,
    bytes: u64,
    media: Duration,
    late: Duration,
    last: Option<(u64, Option<u64>)>,
    progress: Option<Progress>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    at: String,
    state: &'static str,
    parts: u64,
    bytes: u64,
    media_seconds: f64,
    bits_per_second: u64,
    /// From sending to the acknowledgement, of the last seconds: the median and the worst.
    ack_ms: Option<f64>,
    ack_max_ms: Option<f64>,
    drift_ms: i64,
    msn: Option<u64>,
    part: Option<u64>,
}

/// A part that the server has stored, told with `--acks`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Acknowledged {
    state: &'static str,
    msn: u64,
    part: u64,
    bytes: usize,
    /// When its first byte was handed to the connection.
    sent_at: String,
    acked_at: String,
}

impl Acknowledged {
    /// Acknowledged now, `after` it was sent.
    pub(super) fn now(msn: u64, part: u64, bytes: usize, after: Duration) -> Self {
        let now = jiff::Timestamp::now();
        let sent = now.checked_sub(after).unwrap_or(now);
        let (sent_at, acked_at) = (format!("{sent:.6}"), format!("{now:.6}"));
        Self { state: "acknowledged", msn, part, bytes, sent_at, acked_at }
    }
}

impl Report {
    /// Nothing sent yet.
    pub(super) fn new(output: &Output) -> Self {
        Self {
            began: Instant::now(),
            recent: VecDeque::new(),
            parts: 0,
            bytes: 0,
            media: Duration::ZERO,
            late: Duration::ZERO,
            last: None,
            progress: output.is_live().then(|| Progress::waiting(output, "waiting for media")),
        }
    }

    /// Writes a note above what moves.
    pub(super) fn note(&self, output: &Output, text: &str) {
        match &self.progress {
            Some(progress) => progress.above(output, text),
            None => output.note(text),
        }
    }

    /// A part of so much media was sent for the first time, so late against the media's own timeline.
    pub(super) fn sent(&mut self, media: Duration, late: Duration) {
        self.media += media;
        self.late = late;
    }

    /// A part or a segment was acknowledged.
    pub(super) fn acknowledged(&mut self, bytes: usize, after: Duration, at: Option<(u64, Option<u64>)>) {
        self.parts += 1;
        self.bytes += bytes as u64;
        self.last = at.or(self.last);
        let now = Instant::now();
        self.recent.push_back((now, bytes as u64, after));
        while self.recent.len() > SAMPLES_MAX
            || self.recent.front().is_some_and(|(when, ..)| now.duration_since(*when) > SPAN)
        {
            self.recent.pop_front();
        }
    }

    fn line(&self, state: &'static str) -> Line {
        let recent = || self.recent.iter().filter(|(when, ..)| when.elapsed() <= SPAN);
        let bytes: u64 = recent().map(|(_, bytes, _)| bytes).sum();
        let over = self.began.elapsed().min(SPAN).as_secs_f64().max(0.001);
        let mut acks: Vec<Duration> = recent().map(|(.., after)| *after).collect();
        acks.sort_unstable();
        Line {
            at: format!("{:.3}", jiff::Timestamp::now()),
            state,
            parts: self.parts,
            bytes: self.bytes,
            media_seconds: (self.media.as_secs_f64() * 1000.0).round() / 1000.0,
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a bitrate is positive and far below the limit"
            )]
            bits_per_second: (bytes as f64 * 8.0 / over) as u64,
            ack_ms: acks.get(acks.len() / 2).map(tenths),
            ack_max_ms: acks.last().map(tenths),
            drift_ms: i64::try_from(self.late.as_millis()).map_or(i64::MIN, |late| -late),
            msn: self.last.map(|(msn, _)| msn),
            part: self.last.and_then(|(_, part)| part),
        }
    }

    /// Shows where it stands: in place on a terminal, a JSON line each time otherwise.
    pub(super) fn show(&self, output: &Output, state: &'static str) -> Result<()> {
        let line = self.line(state);
        if output.format != Format::Table {
            return output.object(&line, |_| String::new());
        }
        if let Some(progress) = &self.progress {
            let at = match self.last {
                None => "-".to_owned(),
                Some((msn, None)) => msn.to_string(),
                Some((msn, Some(part))) => format!("{msn}.{part}"),
            };
            let ack = line.ack_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
            progress.say(format!(
                "{state}  {at}  {:.1} s  {:.2} Mbit/s  ack {ack}  drift {:+} ms",
                line.media_seconds,
                line.bits_per_second as f64 / 1e6,
                line.drift_ms,
            ));
        }
        Ok(())
    }

    /// Says what it came to.
    pub(super) fn end(&self, output: &Output) -> Result<()> {
        if output.format != Format::Table {
            return self.show(output, "ended");
        }
        let words = format!(
            "pushed {:.1} s of media in {} parts, {}",
            self.media.as_secs_f64(),
            self.parts,
            size(self.bytes)
        );
        self.note(output, &words);
        Ok(())
    }
}

/// Milliseconds with one decimal.
fn tenths(time: &Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
