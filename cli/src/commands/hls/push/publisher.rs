//! The publisher's connection: a bounded number of parts outstanding, resumed where it was lost, nothing
//! acknowledged sent for nothing and nothing unacknowledged lost.

mod connection;
mod lane;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mobz_core::hls::data::MediaType;
use mobz_core::hls::fmp4::{read_fragment, read_init};
use mobz_core::hls::split::Piece;
use mobz_core::id::TrackId;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use self::lane::Lane;
use super::clock::{Clock, after, at};
use super::encoder;
use super::frames::{Kind, Sent, frames};
use super::joiner::Joiner;
use super::report::{Acknowledged, Report};
use super::source::Source;
use crate::args::hls::Push;
use crate::commands::interrupted;
use crate::endpoint::Place;
use crate::error::{Failure, Result};
use crate::output::{Format, Output};
use crate::wire::{Ending, Heard, Socket, refusal};

/// How many data signals of each track may be sent and not acknowledged; the source waits beyond it.
const UNACKNOWLEDGED_MAX: usize = 16;
/// How many parts wait for the inits of all tracks, so that players hear of every rendition before there is
/// something to play; beyond it they go out without.
const HELD_MAX: usize = 64;
/// How long a lost connection is tried to be made again before the push ends with exit code 6.
const RECONNECT_FOR: Duration = Duration::from_secs(60);
/// How long what was refused for the server's own reasons waits before it is sent again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How long the last acknowledgements are waited for at the end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How often progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// The largest frame where the server names none, in bytes (PROTOCOL.md §2).
const FRAME_BYTES_DEFAULT: usize = 1 << 20;

/// Publishes all of a source.
pub(super) async fn publish(
    args: &Push,
    place: &Place,
    url: Url,
    mut source: Source,
    output: &Output,
) -> Result<()> {
    let mut publisher = Publisher::start(args, place, url, &source, output).await?;
    let done = publisher.run(&mut source).await;
    // Dropping the source ends the encoder.
    drop(source);
    match done {
        Ok(()) => publisher.end().await,
        Err(failure) => {
            if publisher.is_joined {
                publisher.socket.leave(|_, _| {}).await;
            }
            Err(failure)
        }
    }
}

struct Publisher<'a> {
    args: &'a Push,
    place: &'a Place,
    url: Url,
    output: &'a Output,
    part_target: Option<f64>,
    lanes: Vec<Lane>,
    socket: Socket,
    is_joined: bool,
    resume: String,
    frame_max: usize,
    beats: Interval,
    /// Media that waits for the inits of all tracks: its track, kind, date and bytes.
    held: Vec<(usize, &'static str, u64, Bytes)>,
    /// Whether media goes out as it comes.
    has_begun: bool,
    unacknowledged: VecDeque<Sent>,
    /// When everything outstanding is sent again, after a refusal that will pass.
    retry_at: Option<Instant>,
    /// When the server last took something, or the push began.
    last_progress: Instant,
    /// Part of every id: replies to what was sent before the last loss are told from later ones.
    generation: u64,
    next: u64,
    clock: Clock,
    report: Report,
}

impl<'a> Publisher<'a> {
    async fn start(
        args: &'a Push,
        place: &'a Place,
        url: Url,
        source: &Source,
        output: &'a Output,
    ) -> Result<Self> {
        let is_whole = args.part_millis().is_none();
        let lane = |track: &TrackId| Lane {
            track: track.clone(),
            init: None,
            media: Vec::new(),
            joiner: is_whole.then(Joiner::default),
        };
        let socket = Socket::connect(&url).await?;
        let mut publisher = Self {
            args,
            place,
            url,
            output,
            part_target: source.part_target,
            lanes: source.tracks.iter().map(lane).collect(),
            socket,
            is_joined: false,
            resume: String::new(),
            frame_max: FRAME_BYTES_DEFAULT,
            beats: interval(Duration::from_secs(10)),
            held: Vec::new(),
            has_begun: false,
            unacknowledged: VecDeque::new(),
            retry_at: None,
            last_progress: Instant::now(),
            generation: 0,
            next: 0,
            clock: Clock::new(source.tracks.len(), source.may_pause),
            report: Report::new(output),
        };
        let ack = publisher.join(false).await?;
        if let Some(url) = ack["playbackUrl"].as_str() {
            publisher.report.note(output, &format!("publishing to room {}; watch it at {url}", args.room));
        }
        Ok(publisher)
    }

    /// Sends pieces until the source ends, the time is up, or an interrupt.
    async fn run(&mut self, source: &mut Source) -> Result<()> {
        let interrupted = interrupted()?;
        tokio::pin!(interrupted);
        let mut shows = interval(SHOW_INTERVAL);
        shows.set_missed_tick_behavior(MissedTickBehavior::Delay);
        shows.tick().await;
        let until = self.args.duration.map(|duration| Instant::now() + duration);
        loop {
            let may_send =
                self.unacknowledged.len() < UNACKNOWLEDGED_MAX * self.lanes.len() && self.retry_at.is_none();
            let wait_until = self.clock.next_send(source.is_paced);
            let done = tokio::select! {
                () = &mut interrupted => return Ok(()),
                () = at(until) => return Ok(()),
                () = at(self.retry_at) => self.send_again().await,
                heard = self.socket.hear() => match heard {
                    Heard::Signal(_, value) => {
                        self.hear(&value)?;
                        Ok(())
                    }
                    Heard::Ended(ending) => Err(ending),
                },
                _ = self.beats.tick() => self.socket.send(json!({"type": "Heartbeat"}).to_string()).await,
                _ = shows.tick() => {
                    self.report.show(self.output, "live")?;
                    Ok(())
                }
                piece = after(wait_until, source.pieces.recv()), if may_send => {
                    let Some(piece) = piece else {
                        // A connection that is lost now is told of at the end: the last is not acknowledged.
                        let _ = self.flush_all().await;
                        return Ok(());
                    };
                    let (lane, piece) = piece?;
                    self.take(lane, piece).await?
                }
            };
            if let Err(ending) = done {
                tokio::select! {
                    () = &mut interrupted => return Ok(()),
                    back = self.reconnect(&ending) => back?,
                }
            }
        }
    }

    /// Ends the stream, waits for what is outstanding, and leaves.
    async fn end(mut self) -> Result<()> {
        // The end of one track is the end of the stream.
        let begun = self.lanes.iter().position(|lane| lane.init.is_some());
        if let Some(lane) = begun.filter(|_| !self.args.no_end) {
            let fields = json!({"type": "Data", "kind": "end", "track": self.lanes[lane].track});
            // A connection that is lost now is told of below: the end is not acknowledged.
            let _ = self.send(lane, Kind::End, fields, Bytes::new()).await;
        }
        let deadline = Instant::now() + END_TIMEOUT;
        while !self.unacknowledged.is_empty() {
            let heard = tokio::select! {
                heard = self.socket.hear() => heard,
                () = sleep_until(deadline) => break,
            };
            match heard {
                Heard::Signal(_, value) => self.hear(&value)?,
                Heard::Ended(_) => break,
            }
        }
        let missing = self.unacknowledged.len();
        self.socket.leave(|_, _| {}).await;
        self.report.end(self.output)?;
        if missing > 0 {
            return Err(Failure::failed(
                "the stream may lack its end",
                format!("{missing} of the last data signals were not acknowledged"),
                "see what arrived with `mobzctl hls tail`, and push again",
            ));
        }
        Ok(())
    }

    async fn take(&mut self, lane: usize, piece: Piece) -> Result<std::result::Result<(), Ending>> {
        let unreadable = |error: mobz_core::hls::fmp4::Fmp4Error| {
            Failure::failed("cannot publish the media", error.to_string(), "check the encoder's output")
        };
        match piece {
            Piece::Init(bytes) => {
                let init = read_init(&bytes).map_err(unreadable)?;
                if let Err(ending) = self.flush(lane).await {
                    return Ok(Err(ending));
                }
                self.clock.restart(lane);
                let mut fields = json!({"type": "Data", "kind": "init", "track": self.lanes[lane].track});
                if let Some(target) = self.part_target {
                    let is_sound = init.media_type == MediaType::Audio;
                    fields["partTarget"] =
                        if is_sound { encoder::sound_target(target) } else { target }.into();
                }
                self.lanes[lane].media = init.tracks;
                self.lanes[lane].init = Some((fields.clone(), bytes.clone()));
                if let Err(ending) = self.send(lane, Kind::Init, fields, bytes).await {
                    return Ok(Err(ending));
                }
                Ok(if self.lanes.iter().all(|lane| lane.init.is_some()) {
                    self.release().await
                } else {
                    Ok(())
                })
            }
            Piece::Part(bytes) => {
                let fragment = match read_fragment(&self.lanes[lane].media, &bytes) {
                    Ok(fragment) => fragment,
                    Err(_) if self.lanes[lane].is_sound_without_picture(&bytes) => {
                        self.output.detail("left out sound that goes on without a picture");
                        return Ok(Ok(()));
                    }
                    Err(error) => return Err(unreadable(error)),
                };
                let media = Duration::from_micros(fragment.duration);
                let (captured, behind) = self.clock.captured(lane, media);
                if lane == 0 {
                    self.report.sent(media, behind);
                }
                let Some(joiner) = &mut self.lanes[lane].joiner else {
                    return Ok(self.send_media(lane, "part", captured, bytes).await);
                };
                for (begun, whole) in joiner.add(captured, &fragment, &bytes) {
                    if let Err(ending) = self.send_media(lane, "segment", begun, whole).await {
                        return Ok(Err(ending));
                    }
                }
                Ok(Ok(()))
            }
        }
    }

    /// Sends what is left of a segment under way.
    async fn flush(&mut self, lane: usize) -> std::result::Result<(), Ending> {
        match self.lanes[lane].joiner.as_mut().and_then(Joiner::end) {
            Some((begun, whole)) => self.send_media(lane, "segment", begun, whole).await,
            None => Ok(()),
        }
    }

    async fn flush_all(&mut self) -> std::result::Result<(), Ending> {
        self.release().await?;
        for lane in 0..self.lanes.len() {
            self.flush(lane).await?;
        }
        Ok(())
    }

    /// Sends media now, or once every track has begun.
    async fn send_media(
        &mut self,
        lane: usize,
        kind: &'static str,
        captured: u64,
        media: Bytes,
    ) -> std::result::Result<(), Ending> {
        self.held.push((lane, kind, captured, media));
        let may_go = self.has_begun || self.held.len() >= HELD_MAX;
        if may_go { self.release().await } else { Ok(()) }
    }

    /// Sends what was held, and from now on holds nothing more.
    async fn release(&mut self) -> std::result::Result<(), Ending> {
        self.has_begun = true;
        let mut held = std::mem::take(&mut self.held).into_iter();
        while let Some((lane, kind, captured, media)) = held.next() {
            if let Err(ending) = self.send_now(lane, kind, captured, media).await {
                self.held.extend(held);
                return Err(ending);
            }
        }
        Ok(())
    }

    async fn send_now(
        &mut self,
        lane: usize,
        kind: &str,
        captured: u64,
        media: Bytes,
    ) -> std::result::Result<(), Ending> {
        let track = &self.lanes[lane].track;
        let fields = json!({"type": "Data", "kind": kind, "track": track, "programDateTime": captured});
        self.send(lane, Kind::Media, fields, media).await
    }

    async fn send(
        &mut self,
        track: usize,
        kind: Kind,
        fields: Value,
        media: Bytes,
    ) -> std::result::Result<(), Ending> {
        let id = format!("{}.{}", self.generation, self.next);
        self.next += 1;
        let sent = Sent { id, track, kind, fields, media, since: Instant::now() };
        let frames = frames(&sent, self.frame_max);
        self.unacknowledged.push_back(sent);
        for frame in frames {
            self.socket.send_binary(frame).await?;
        }
        Ok(())
    }

    /// Sends everything outstanding once more, in order, under new ids.
    async fn send_again(&mut self) -> std::result::Result<(), Ending> {
        self.retry_at = None;
        self.generation += 1;
        let outstanding = std::mem::take(&mut self.unacknowledged);
        let mut left = outstanding.into_iter();
        while let Some(sent) = left.next() {
            if let Err(ending) = self.send(sent.track, sent.kind, sent.fields, sent.media).await {
                self.unacknowledged.extend(left);
                return Err(ending);
            }
        }
        Ok(())
    }

    fn hear(&mut self, value: &Value) -> Result<()> {
        match value["type"].as_str() {
            Some("DataAck") => self.acknowledge(value),
            Some("Error") => self.refused(value),
            Some("Kick") if value["user"].is_null() => Err(Failure::refused(
                format!("cannot go on publishing to room {}", self.args.room),
                format!("kicked: {}", value["reason"].as_str().unwrap_or("no reason given")),
                "ask the room's owner, or choose another room",
            )),
            _ => Ok(()),
        }
    }

    fn acknowledge(&mut self, ack: &Value) -> Result<()> {
        let re = ack["re"].as_str().unwrap_or_default();
        let Some(index) = self.unacknowledged.iter().position(|sent| sent.id == re) else { return Ok(()) };
        self.last_progress = Instant::now();
        let Some(sent) = self.unacknowledged.remove(index) else { return Ok(()) };
        if sent.kind == Kind::Media {
            let at = ack["msn"].as_u64().filter(|_| sent.track == 0).map(|msn| (msn, ack["part"].as_u64()));
            let after = sent.since.elapsed();
            self.report.acknowledged(sent.media.len(), after, at);
            if let Some((msn, Some(part))) =
                at.filter(|_| self.args.acks && self.output.format != Format::Table)
            {
                let line = Acknowledged::now(msn, part, sent.media.len(), after);
                self.output.object(&line, |_| String::new())?;
            }
        }
        if let Some(warning) = ack["warning"].as_str() {
            let track = &self.lanes[sent.track].track;
            self.output.detail(&format!("part {}.{} of {track}: {warning}", ack["msn"], ack["part"]));
        }
        Ok(())
    }

    fn refused(&mut self, error: &Value) -> Result<()> {
        let re = error["re"].as_str().unwrap_or_default();
        if !self.unacknowledged.iter().any(|sent| sent.id == re) {
            return Ok(());
        }
        // What follows a refused part is refused for its sake; it is sent again with it.
        if self.retry_at.is_some() {
            return Ok(());
        }
        let what = format!("the media was refused by room {}", self.args.room);
        let code = error["code"].as_str().unwrap_or_default();
        let will_pass = matches!(code, "internal" | "timeout" | "rate_limited");
        if !will_pass || self.last_progress.elapsed() > RECONNECT_FOR {
            return Err(refusal(&what, error));
        }
        self.report.note(self.output, &format!("the server could not take a part ({code}); trying again"));
        let wait = error["retryAfter"].as_u64().map_or(RETRY_WAIT, Duration::from_millis);
        self.retry_at = Some(Instant::now() + wait.min(RECONNECT_FOR));
        Ok(())
    }
}
