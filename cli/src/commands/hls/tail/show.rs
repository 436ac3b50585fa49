//! What is shown of a stream: a line for each part and segment as it becomes visible.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use mobz_core::id::RoomId;
use serde::Serialize;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use super::super::playlist::{self, Media, Part, Resource, span};
use super::player::Player;
use crate::args::hls::Tail;
use crate::endpoint::Endpoint;
use crate::error::{Failure, Result, os};
use crate::output::{Output, size};

/// How long the control API is waited for to say when a part was stored.
const STORED_TIMEOUT: Duration = Duration::from_millis(500);

/// A part or a segment as it became visible.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    kind: &'static str,
    at: String,
    msn: u64,
    part: Option<u64>,
    duration: f64,
    size: Option<u64>,
    independent: Option<bool>,
    gap: bool,
    uri: String,
    /// From the capture of its last frame, by the playlist's program date time.
    capture_ms: Option<i64>,
    /// From its storing, where the server tells that.
    store_ms: Option<i64>,
}

/// What was shown so far.
pub(super) struct Shown<'a> {
    args: &'a Tail,
    output: &'a Output,
    /// Who knows when parts were stored.
    room: Option<&'a (Endpoint, RoomId)>,
    /// The next part to show; its segment is shown once all its parts were.
    pub(super) next: (u64, u64),
    pub(super) low_latency: bool,
    /// How many bytes of the segment under way were seen; `None` when not all of it was.
    segment_bytes: Option<u64>,
    count: u64,
    file: Option<File>,
    map: Option<Resource>,
}

impl<'a> Shown<'a> {
    /// Begins where a player would: at the last independent part, else at the last segment.
    pub(super) async fn begin(
        args: &'a Tail,
        output: &'a Output,
        room: Option<&'a (Endpoint, RoomId)>,
        media: &Media,
    ) -> Result<Self> {
        let file = match &args.bytes {
            None => None,
            Some(path) => Some(File::create(path).await.map_err(|error| unwritable(args, &error))?),
        };
        let low_latency =
            !media.open.is_empty() || media.segments.iter().any(|segment| !segment.parts.is_empty());
        let in_open = media.open.iter().rposition(|part| part.independent);
        let next = match (in_open, media.segments.last()) {
            (Some(part), _) => (media.open_msn, part as u64),
            (None, Some(last)) => (last.msn, 0),
            (None, None) => (media.open_msn, 0),
        };
        Ok(Self {
            args,
            output,
            room,
            next,
            low_latency,
            segment_bytes: (next.1 == 0).then_some(0),
            count: 0,
            file,
            map: None,
        })
    }

    /// Shows what is new; tells whether that was enough.
    pub(super) async fn show(&mut self, player: &Player, media: &Media) -> Result<bool> {
        if let Some(first) = media.segments.first().map(|segment| segment.msn)
            && first > self.next.0
        {
            self.output.note(&format!("missed segments {} to {}", self.next.0, first - 1));
            self.next = (first, 0);
        }
        let new_from = self.next.0;
        for segment in media.segments.iter().filter(|segment| segment.msn >= new_from) {
            let mut begins = segment.time;
            for (index, part) in (0..).zip(&segment.parts) {
                let ends = begins.and_then(|time| time.checked_add(span(part.duration)).ok());
                if index >= self.next.1
                    && self.part(player, segment.msn, index, part, ends, segment.map.as_ref()).await?
                {
                    return Ok(true);
                }
                begins = ends;
            }
            self.low_latency |= !segment.parts.is_empty();
            if self.segment(player, segment).await? {
                return Ok(true);
            }
        }
        let mut begins = media.open_time;
        for (index, part) in (0..).zip(&media.open) {
            self.low_latency = true;
            let ends = begins.and_then(|time| time.checked_add(span(part.duration)).ok());
            if index >= self.next.1
                && self.part(player, media.open_msn, index, part, ends, media.map.as_ref()).await?
            {
                return Ok(true);
            }
            begins = ends;
        }
        Ok(false)
    }

    async fn part(
        &mut self,
        player: &Player,
        msn: u64,
        index: u64,
        part: &Part,
        ends: Option<Timestamp>,
        map: Option<&Resource>,
    ) -> Result<bool> {
        let seen = Timestamp::now();
        let (fetched, stored) = tokio::join!(
            async { if part.gap { Ok(None) } else { player.fetch(&part.resource).await.map(Some) } },
            self.stored(msn, index),
        );
        let fetched = fetched?;
        let size = fetched.as_ref().map(|fetched| fetched.len() as u64);
        if let Some(fetched) = &fetched {
            self.save(player, map, fetched).await?;
        }
        self.next = (msn, index + 1);
        self.segment_bytes = self.segment_bytes.zip(size).map(|(sum, size)| sum + size);
        let line = Line {
            kind: "part",
            at: format!("{seen:.3}"),
            msn,
            part: Some(index),
            duration: part.duration,
            size,
            independent: Some(part.independent),
            gap: part.gap,
            uri: part.resource.uri.clone(),
            capture_ms: since(seen, ends),
            store_ms: since(seen, stored),
        };
        self.output.object(&line, |output| words(output, &line))?;
        self.count += 1;
        Ok(self.args.parts.is_some_and(|most| self.count >= most))
    }

    async fn segment(&mut self, player: &Player, segment: &playlist::Segment) -> Result<bool> {
        let seen = Timestamp::now();
        let whole = self.next == (segment.msn, segment.parts.len() as u64) && !segment.parts.is_empty();
        let begun = self.next.0 == segment.msn && self.next.1 > 0;
        let mut size = self.segment_bytes.filter(|_| whole);
        // A player of parts has the segment's bytes already.
        if !whole && !segment.gap {
            let fetched = player.fetch(&segment.resource).await?;
            size = Some(fetched.len() as u64);
            if !begun {
                self.save(player, segment.map.as_ref(), &fetched).await?;
            }
        }
        self.next = (segment.msn + 1, 0);
        self.segment_bytes = Some(0);
        let ends = segment.time.and_then(|time| time.checked_add(span(segment.duration)).ok());
        let line = Line {
            kind: "segment",
            at: format!("{seen:.3}"),
            msn: segment.msn,
            part: None,
            duration: segment.duration,
            size,
            independent: None,
            gap: segment.gap,
            uri: segment.resource.uri.clone(),
            capture_ms: since(seen, ends),
            store_ms: None,
        };
        self.output.object(&line, |output| words(output, &line))?;
        if self.low_latency {
            return Ok(false);
        }
        self.count += 1;
        Ok(self.args.parts.is_some_and(|most| self.count >= most))
    }

    /// When a part was stored, as long as it is the newest there is.
    async fn stored(&self, msn: u64, part: u64) -> Option<Timestamp> {
        let (endpoint, room) = self.room?;
        let asked = Instant::now();
        let answer = timeout(STORED_TIMEOUT, endpoint.hls(room)).await.ok()?.ok()?;
        // The age was taken about halfway between question and answer.
        let answered = jiff::SignedDuration::try_from(asked.elapsed() / 2).ok()?;
        let is_it = |track: &&Value| track["msn"] == msn && track["part"] == part;
        let age = answer["tracks"].as_array()?.iter().find(is_it)?["lastPartAgeMs"].as_u64()?;
        let age = jiff::SignedDuration::from_millis(i64::try_from(age).ok()?);
        Timestamp::now().checked_sub(answered).ok()?.checked_sub(age).ok()
    }

    /// Adds media to the file, its initialization section first where that is new.
    async fn save(&mut self, player: &Player, map: Option<&Resource>, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.map.as_ref() != map
            && let Some(map) = map
        {
            let init = player.fetch(map).await?;
            file.write_all(&init).await.map_err(|error| unwritable(self.args, &error))?;
            self.map = Some(map.clone());
        }
        file.write_all(bytes).await.map_err(|error| unwritable(self.args, &error))?;
        file.flush().await.map_err(|error| unwritable(self.args, &error))
    }
}

fn unwritable(args: &Tail, error: &std::io::Error) -> Failure {
    let path = args.bytes.as_deref().unwrap_or_else(|| "the file".as_ref());
    Failure::failed(
        format!("cannot write {}", path.display()),
        os(error),
        "choose another place with --bytes",
    )
}

fn since(seen: Timestamp, before: Option<Timestamp>) -> Option<i64> {
    before.and_then(|before| i64::try_from(seen.duration_since(before).as_millis()).ok())
}

/// `12:00:01.250  part      42.3  0.333 s   41.2 KiB  independent  capture +412 ms`.
fn words(output: &Output, line: &Line) -> String {
    let clock = line.at.split('T').nth(1).unwrap_or(&line.at).trim_end_matches('Z');
    let name = line.part.map_or_else(|| line.msn.to_string(), |part| format!("{}.{part}", line.msn));
    let bytes = line.size.map_or_else(|| "-".to_owned(), size);
    let mut text =
        format!("{}  {:<7}  {name:>8}  {:.3} s  {bytes:>10}", output.dim(clock), line.kind, line.duration);
    if line.gap {
        text.push_str("  gap");
    }
    if line.independent == Some(true) {
        text.push_str("  independent");
    }
    if let Some(millis) = line.capture_ms {
        let _ = write!(text, "  capture {millis:+} ms");
    }
    if let Some(millis) = line.store_ms {
        let _ = write!(text, "  store {millis:+} ms");
    }
    if line.kind == "segment" { output.bold(&text) } else { text }
}
