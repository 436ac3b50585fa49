//! `mobzctl hls tail`.

mod player;
mod playlist;

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use mobz_core::id::RoomId;
use reqwest::Url;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, sleep_until};

use crate::args::hls::Tail;
use crate::commands::interrupted;
use crate::endpoint::{Endpoint, Place, Where};
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::{Output, size};
use crate::stack;
use player::Player;
use playlist::{Media, Part, Resource, span};

/// How often a stream that is not there yet is looked for.
const WAIT_INTERVAL: Duration = Duration::from_millis(200);
/// The end of a tail without `--duration`: far away.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

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

/// Prints a line for each part and segment as it becomes visible.
pub(super) async fn run(args: Tail, place: &Where, output: &Output) -> Result<Exit> {
    let interrupted = interrupted()?;
    let deadline = Instant::now() + args.duration.unwrap_or(FOREVER);
    tokio::select! {
        () = interrupted => Ok(Exit::Done),
        () = sleep_until(deadline) => Ok(Exit::Done),
        done = follow(&args, place, output) => done,
    }
}

async fn follow(args: &Tail, place: &Where, output: &Output) -> Result<Exit> {
    let (mut player, mut media) = open(args, place, output).await?;
    output.note(&format!("tailing {}", player.url()));
    let mut tail = TailState::begin(args, output, &media).await?;
    loop {
        if tail.show(&player, &media).await? {
            return Ok(Exit::Done);
        }
        if media.ended {
            output.note("the stream has ended");
            return Ok(Exit::Done);
        }
        media = if media.can_block_reload {
            let part = tail.low_latency.then_some(tail.next.1);
            player.reload(Some((tail.next.0, part))).await?
        } else {
            sleep(Duration::from_secs_f64(media.target_duration / 2.0)).await;
            player.reload(None).await?
        };
    }
}

/// Finds the stream, and waits for it as long as was asked for.
async fn open(args: &Tail, place: &Where, output: &Output) -> Result<(Player, Media)> {
    let deadline = Instant::now() + args.wait.unwrap_or_default();
    let mut told = false;
    loop {
        let found = async {
            let url = find(args, place).await?;
            let mut player = Player::open(url, args.track.as_ref().map(AsRef::as_ref)).await?;
            let media = player.reload(None).await?;
            Ok::<_, Failure>((player, media))
        };
        let failure = match found.await {
            Ok(found) => return Ok(found),
            Err(failure) if failure.exit() != Exit::NotFound || args.wait.is_none() => return Err(failure),
            Err(failure) => failure,
        };
        if Instant::now() >= deadline {
            return Err(Failure::timed_out(
                format!("there is no stream at {}", args.source),
                failure.why(),
                "publish one with `mobzctl hls push`, or wait longer with --wait",
            ));
        }
        if !std::mem::replace(&mut told, true) {
            output.note(&format!("waiting for a stream at {}", args.source));
        }
        sleep(WAIT_INTERVAL).await;
    }
}

/// The URL that was named, or the room's playback URL.
async fn find(args: &Tail, place: &Where) -> Result<Url> {
    let what = format!("cannot tail {}", args.source);
    if args.source.contains("://") {
        return args.source.parse().map_err(|error| {
            Failure::usage(what, format!("it is no URL: {error}"), "name a room or the URL of a playlist")
        });
    }
    let room: RoomId = args.source.parse().map_err(|error: mobz_core::id::IdError| {
        Failure::usage(&what, error.to_string(), "name a room or the URL of a playlist")
    })?;
    let endpoint = Endpoint::open(place).await?;
    let failure = match endpoint.room(&room).await {
        Ok(answer) => match answer["hls"]["playbackUrl"].as_str() {
            Some(url) => return parse(&what, url),
            None => Failure::not_found(what.clone(), "the room has no stream", "choose a p2m room"),
        },
        Err(failure) if failure.exit() == Exit::NotFound => failure,
        Err(failure) => return Err(failure),
    };
    // A stream outlives its room; in a stack of this machine the origin is known.
    let control = Place::find(place)?.url;
    let local = stack::living()
        .into_iter()
        .find(|stack| stack.control.parse::<Url>().ok().as_ref() == Some(&control));
    match local {
        Some(stack) => parse(&what, &format!("{}/hls/{room}/index.m3u8", stack.origin)),
        None => Err(failure),
    }
}

fn parse(what: &str, url: &str) -> Result<Url> {
    url.parse().map_err(|error| {
        Failure::failed(
            what,
            format!("the playback URL {url} is no URL: {error}"),
            "correct the daemon's --origin-url",
        )
    })
}

/// What was shown so far.
struct TailState<'a> {
    args: &'a Tail,
    output: &'a Output,
    /// The next part to show; its segment is shown once all its parts were.
    next: (u64, u64),
    low_latency: bool,
    /// How many bytes of the segment under way were seen; `None` when not all of it was.
    segment_bytes: Option<u64>,
    shown: u64,
    file: Option<File>,
    map: Option<Resource>,
}

impl<'a> TailState<'a> {
    /// Begins where a player would: at the last independent part, else at the last segment.
    async fn begin(args: &'a Tail, output: &'a Output, media: &Media) -> Result<Self> {
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
            next,
            low_latency,
            segment_bytes: (next.1 == 0).then_some(0),
            shown: 0,
            file,
            map: None,
        })
    }

    /// Shows what is new; tells whether that was enough.
    async fn show(&mut self, player: &Player, media: &Media) -> Result<bool> {
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
        let fetched = if part.gap { None } else { Some(player.fetch(&part.resource).await?) };
        let size = fetched.as_ref().map(|fetched| fetched.bytes.len() as u64);
        if let Some(fetched) = &fetched {
            self.save(player, map, &fetched.bytes).await?;
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
            store_ms: since(seen, fetched.and_then(|fetched| fetched.stored)),
        };
        self.output.object(&line, |output| words(output, &line))?;
        self.shown += 1;
        Ok(self.args.parts.is_some_and(|most| self.shown >= most))
    }

    async fn segment(&mut self, player: &Player, segment: &playlist::Segment) -> Result<bool> {
        let seen = Timestamp::now();
        let whole = self.next == (segment.msn, segment.parts.len() as u64) && !segment.parts.is_empty();
        let begun = self.next.0 == segment.msn && self.next.1 > 0;
        let mut size = self.segment_bytes.filter(|_| whole);
        let mut stored = None;
        // A player of parts has the segment's bytes already.
        if !whole && !segment.gap {
            let fetched = player.fetch(&segment.resource).await?;
            size = Some(fetched.bytes.len() as u64);
            stored = fetched.stored;
            if !begun {
                self.save(player, segment.map.as_ref(), &fetched.bytes).await?;
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
            store_ms: since(seen, stored),
        };
        self.output.object(&line, |output| words(output, &line))?;
        if self.low_latency {
            return Ok(false);
        }
        self.shown += 1;
        Ok(self.args.parts.is_some_and(|most| self.shown >= most))
    }

    /// Adds media to the file, its initialization section first where that is new.
    async fn save(&mut self, player: &Player, map: Option<&Resource>, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.map.as_ref() != map
            && let Some(map) = map
        {
            let init = player.fetch(map).await?;
            file.write_all(&init.bytes).await.map_err(|error| unwritable(self.args, &error))?;
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
