//! What is shown of a stream: a line for each part and segment as it becomes visible.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use mobz_core::id::RoomId;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::super::playlist::{self, Media, Part, Resource, span};
use super::copy::Copy;
use super::player::Player;
use crate::args::hls::Tail;
use crate::endpoint::Endpoint;
use crate::error::Result;
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
    /// Whether its media does not go on from what was before it.
    discontinuity: bool,
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
    copy: Option<Copy<'a>>,
}

/// Where in a stream a piece of media belongs.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    msn: u64,
    /// How many discontinuities there were up to it.
    timeline: u64,
    /// Whether its segment begins with one.
    discontinuity: bool,
    map: Option<&'a Resource>,
}

impl<'a> Shown<'a> {
    /// Begins where a player would: at the last independent part, else at the last segment.
    pub(super) async fn begin(
        args: &'a Tail,
        output: &'a Output,
        room: Option<&'a (Endpoint, RoomId)>,
        media: &Media,
    ) -> Result<Self> {
        let copy = match &args.bytes {
            None => None,
            Some(path) => Some(Copy::create(path).await?),
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
            copy,
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
        let mut timeline = media.discontinuity_sequence;
        for segment in &media.segments {
            timeline += u64::from(segment.discontinuity);
            if segment.msn < new_from {
                continue;
            }
            let (msn, discontinuity, map) = (segment.msn, segment.discontinuity, segment.map.as_ref());
            let place = Place { msn, timeline, discontinuity, map };
            let mut begins = segment.time;
            for (index, part) in (0..).zip(&segment.parts) {
                let ends = begins.and_then(|time| time.checked_add(span(part.duration)).ok());
                if index >= self.next.1 && self.part(player, place, index, part, ends).await? {
                    return Ok(true);
                }
                begins = ends;
            }
            self.low_latency |= !segment.parts.is_empty();
            if self.segment(player, place, segment).await? {
                return Ok(true);
            }
        }
        let (msn, discontinuity, map) = (media.open_msn, media.open_discontinuity, media.map.as_ref());
        let place = Place { msn, timeline: timeline + u64::from(discontinuity), discontinuity, map };
        let mut begins = media.open_time;
        for (index, part) in (0..).zip(&media.open) {
            self.low_latency = true;
            let ends = begins.and_then(|time| time.checked_add(span(part.duration)).ok());
            if index >= self.next.1 && self.part(player, place, index, part, ends).await? {
                return Ok(true);
            }
            begins = ends;
        }
        Ok(false)
    }

    async fn part(
        &mut self,
        player: &Player,
        place: Place<'_>,
        index: u64,
        part: &Part,
        ends: Option<Timestamp>,
    ) -> Result<bool> {
        let msn = place.msn;
        let seen = Timestamp::now();
        let (fetched, stored) = tokio::join!(
            async { if part.gap { Ok(None) } else { player.fetch(&part.resource).await.map(Some) } },
            self.stored(player, msn, index),
        );
        let fetched = fetched?;
        let size = fetched.as_ref().map(|fetched| fetched.len() as u64);
        if let Some(fetched) = &fetched {
            self.save(player, place, fetched).await?;
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
            discontinuity: place.discontinuity && index == 0,
            uri: part.resource.uri.clone(),
            capture_ms: since(seen, ends),
            store_ms: since(seen, stored),
        };
        self.output.object(&line, |output| words(output, &line))?;
        self.count += 1;
        Ok(self.args.parts.is_some_and(|most| self.count >= most))
    }

    async fn segment(
        &mut self,
        player: &Player,
        place: Place<'_>,
        segment: &playlist::Segment,
    ) -> Result<bool> {
        let seen = Timestamp::now();
        let whole = self.next == (segment.msn, segment.parts.len() as u64) && !segment.parts.is_empty();
        let begun = self.next.0 == segment.msn && self.next.1 > 0;
        let mut size = self.segment_bytes.filter(|_| whole);
        // A player of parts has the segment's bytes already.
        if !whole && !segment.gap {
            let fetched = player.fetch(&segment.resource).await?;
            size = Some(fetched.len() as u64);
            if !begun {
                self.save(player, place, &fetched).await?;
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
            discontinuity: segment.discontinuity,
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
    async fn stored(&self, player: &Player, msn: u64, part: u64) -> Option<Timestamp> {
        let (endpoint, room) = self.room?;
        let asked = Instant::now();
        let answer = timeout(STORED_TIMEOUT, endpoint.hls(room)).await.ok()?.ok()?;
        // The age was taken about halfway between question and answer.
        let answered = jiff::SignedDuration::try_from(asked.elapsed() / 2).ok()?;
        let age = jiff::SignedDuration::from_millis(age(&answer, player.track()?, msn, part)?);
        Timestamp::now().checked_sub(answered).ok()?.checked_sub(age).ok()
    }

    /// Adds media to the file.
    async fn save(&mut self, player: &Player, place: Place<'_>, bytes: &[u8]) -> Result<()> {
        let Some(copy) = &mut self.copy else { return Ok(()) };
        if copy.is_new(place.timeline, place.map) {
            let init = match place.map {
                Some(map) => player.fetch(map).await?,
                None => Bytes::new(),
            };
            if let Some(path) = copy.begin(place.timeline, place.map, &init).await? {
                self.output
                    .note(&format!("the stream goes on from something else: now in {}", path.display()));
            }
        }
        copy.add(bytes).await
    }
}

/// How long ago a track's newest part was stored, in milliseconds, if it is this one.
fn age(answer: &Value, track: &str, msn: u64, part: u64) -> Option<i64> {
    let is_it = |of: &&Value| of["track"] == track && of["msn"] == msn && of["part"] == part;
    let age = answer["tracks"].as_array()?.iter().find(is_it)?["lastPartAgeMs"].as_u64()?;
    i64::try_from(age).ok()
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
    if line.discontinuity {
        text.push_str("  discontinuity");
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_age_of_a_part_is_that_of_its_own_track() {
        let track = |name: &str, age: u64| json!({"track": name, "msn": 3, "part": 1, "lastPartAgeMs": age});
        let answer = json!({"tracks": [track("180p", 900), track("90p", 20)]});
        assert_eq!(age(&answer, "90p", 3, 1), Some(20));
        assert_eq!(age(&answer, "90p", 3, 2), None, "it is not the newest any more");
        assert_eq!(age(&answer, "main", 3, 1), None);
    }
}
