//! When each part was published, against when viewers had its last byte.
//!
//! Arrivals and publishing times come in any order: whichever is first waits for the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use super::super::measure::{Timing, lock};

/// How many parts are remembered: those before have long been fetched by all.
const PARTS_MAX: usize = 512;

/// Media published longer ago than this is from an earlier time round of a looped clip; a part that takes longer to arrive
/// stays unmatched.
const LOOP_MIN: Duration = Duration::from_secs(10);

/// What published times are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The publisher tells, by number or by digest.
    Publisher,
    /// The playlist's program date times: when a part's last frame was taken.
    Capture,
}

/// A line of a publisher's clock: one part, by its number or by the SHA-1 of its media.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    msn: Option<u64>,
    part: Option<u64>,
    /// Of the payload of its mdat; the first 16 hexadecimal digits.
    digest: Option<String>,
    /// When its bytes were written to the server.
    sent_at: Timestamp,
    /// When the server said it had stored it.
    acked_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Published {
    sent: Timestamp,
    acked: Option<Timestamp>,
}

/// The parts under way.
#[derive(Debug)]
pub(super) struct Clock {
    /// Wall clock and monotonic clock, of the same moment.
    began: (Instant, Timestamp),
    pub(super) source: Source,
    state: Mutex<State>,
    /// From publishing (or, without a publisher, from capture) to a viewer's last byte.
    pub(super) delay: Timing,
    /// From the acknowledgement to a viewer's last byte; what came before it counts as nothing.
    pub(super) after_ack: Timing,
}

#[derive(Debug, Default)]
struct State {
    parts: BTreeMap<(u64, u64), Part>,
    digests: HashMap<String, Published>,
    uses_digests: bool,
    /// Whose media is being looked at by one of the viewers.
    claimed: HashSet<(u64, u64)>,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Part {
    published: Option<Published>,
    digest: Option<String>,
    arrivals: Vec<Instant>,
}

impl Clock {
    pub(super) fn new(source: Source) -> Self {
        let began = (Instant::now(), Timestamp::now());
        let (delay, after_ack) = (Timing::default(), Timing::default());
        Self { began, source, state: Mutex::default(), delay, after_ack }
    }

    /// A publisher tells of a part.
    pub(super) fn published(&self, line: Line) {
        let published = Published { sent: line.sent_at, acked: line.acked_at };
        let mut state = lock(&self.state);
        if let Some(number) = line.msn.zip(line.part) {
            let part = state.parts.entry(number).or_default();
            self.settle(part, published);
        }
        if let Some(digest) = line.digest {
            state.uses_digests = true;
            for part in state.parts.values_mut().filter(|part| part.digest.as_ref() == Some(&digest)) {
                if part.published.is_none() {
                    self.settle(part, published);
                }
            }
            // A loop brings the same media again: the last time counts.
            state.digests.insert(digest, published);
        }
        state.prune();
    }

    /// A playlist tells when a part's last frame was taken.
    pub(super) fn listed(&self, number: (u64, u64), captured: Option<Timestamp>) {
        let Some(captured) = captured.filter(|_| self.source == Source::Capture) else { return };
        let mut state = lock(&self.state);
        let part = state.parts.entry(number).or_default();
        if part.published.is_none() {
            self.settle(part, Published { sent: captured, acked: None });
        }
    }

    /// Whether parts are known by their media, and not by their numbers.
    pub(super) fn knows_by_media(&self) -> bool {
        lock(&self.state).uses_digests
    }

    /// Whether this viewer is the one that shows a part's media to the clock.
    pub(super) fn wants(&self, number: (u64, u64)) -> bool {
        let mut state = lock(&self.state);
        state.uses_digests && state.claimed.insert(number)
    }

    /// The viewer that was to show a part's media could not fetch it.
    pub(super) fn missed(&self, number: (u64, u64)) {
        lock(&self.state).claimed.remove(&number);
    }

    /// A part's media, to be known again by what a publisher tells.
    pub(super) fn shown(&self, number: (u64, u64), media: &[u8]) {
        let digest = digest(media);
        let mut state = lock(&self.state);
        let now = Instant::now();
        let published =
            state.digests.get(&digest).copied().filter(|known| self.since(known.sent, now) < LOOP_MIN);
        let part = state.parts.entry(number).or_default();
        part.digest = Some(digest);
        if let Some(published) = published {
            self.settle(part, published);
        }
    }

    /// A viewer has a part's last byte.
    pub(super) fn arrived(&self, number: (u64, u64), at: Instant) {
        let mut state = lock(&self.state);
        let part = state.parts.entry(number).or_default();
        match part.published {
            Some(published) => self.record(published, at),
            None => part.arrivals.push(at),
        }
        state.prune();
    }

    /// How many arrivals no published time was found for.
    pub(super) fn unmatched(&self) -> u64 {
        let state = lock(&self.state);
        state.forgotten + state.parts.values().map(|part| part.arrivals.len() as u64).sum::<u64>()
    }

    fn settle(&self, part: &mut Part, published: Published) {
        part.published = Some(published);
        for at in part.arrivals.drain(..) {
            self.record(published, at);
        }
    }

    fn record(&self, published: Published, at: Instant) {
        self.delay.record(self.since(published.sent, at));
        if let Some(acked) = published.acked {
            self.after_ack.record(self.since(acked, at));
        }
    }

    fn since(&self, earlier: Timestamp, at: Instant) -> Duration {
        let (began, wall) = self.began;
        let wall_then = wall.as_microsecond() + i64::try_from((at - began).as_micros()).unwrap_or(i64::MAX);
        Duration::from_micros(u64::try_from(wall_then - earlier.as_microsecond()).unwrap_or(0))
    }
}

impl State {
    fn prune(&mut self) {
        while self.parts.len() > PARTS_MAX
            && let Some((number, part)) = self.parts.pop_first()
        {
            self.claimed.remove(&number);
            self.forgotten += part.arrivals.len() as u64;
        }
    }
}

/// The digest by which media is known again, whatever box a server puts around it.
fn digest(media: &[u8]) -> String {
    let mut hash = Sha1::new();
    let mut rest = media;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let piece = rest.get(..size.max(8)).unwrap_or(rest);
        if head[4..] == *b"mdat" {
            hash.update(&piece[8..]);
        }
        rest = &rest[piece.len()..];
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(clock: &Clock, json: &str) {
        clock.published(serde_json::from_str(json).unwrap());
    }

    #[test]
    fn an_arrival_waits_for_its_publishing_time_and_the_other_way_about() {
        let clock = Clock::new(Source::Publisher);
        let at = clock.began.0 + Duration::from_millis(500);
        let sent = clock.began.1 + Duration::from_millis(400);
        let acked = clock.began.1 + Duration::from_millis(600);
        clock.arrived((7, 1), at);
        assert_eq!((clock.delay.all().count, clock.unmatched()), (0, 1));
        line(&clock, &format!(r#"{{"msn":7,"part":1,"sentAt":"{sent}","ackedAt":"{acked}"}}"#));
        clock.arrived((7, 1), at);
        assert_eq!((clock.delay.all().count, clock.after_ack.all().count, clock.unmatched()), (2, 2, 0));
        assert!((99.0..101.0).contains(&clock.delay.all().p50), "{:?}", clock.delay.all());
        assert!(clock.after_ack.all().max < 0.01);
    }

    #[test]
    fn media_is_known_again_in_another_servers_boxes() {
        let clock = Clock::new(Source::Publisher);
        let ours = [&[0, 0, 0, 8][..], b"moof", &[0, 0, 0, 11], b"mdat", b"abc"].concat();
        let theirs = [&[0, 0, 0, 8][..], b"styp", &[0, 0, 0, 11], b"mdat", b"abc"].concat();
        assert_eq!(digest(&ours), digest(&theirs));
        let sent = clock.began.1;
        line(&clock, &format!(r#"{{"digest":"{}","sentAt":"{sent}"}}"#, digest(&ours)));
        assert!(clock.wants((3, 0)) && !clock.wants((3, 0)));
        clock.arrived((3, 0), Instant::now());
        clock.shown((3, 0), &theirs);
        assert_eq!((clock.delay.all().count, clock.unmatched()), (1, 0));
    }

    #[test]
    fn media_of_a_loop_waits_for_its_own_time_round() {
        let clock = Clock::new(Source::Publisher);
        let media = [&[0, 0, 0, 11][..], b"mdat", b"abc"].concat();
        let publish = |ago: Duration| {
            let sent = Timestamp::now() - ago;
            line(&clock, &format!(r#"{{"digest":"{}","sentAt":"{sent}"}}"#, digest(&media)));
        };
        publish(LOOP_MIN * 2);
        clock.shown((9, 0), &media);
        clock.arrived((9, 0), Instant::now());
        assert_eq!((clock.delay.all().count, clock.unmatched()), (0, 1));
        publish(Duration::ZERO);
        assert_eq!((clock.delay.all().count, clock.unmatched()), (1, 0));
        assert!(clock.delay.all().max < 1_000.0, "{:?}", clock.delay.all());
    }

    #[test]
    fn parts_that_are_long_past_are_forgotten() {
        let clock = Clock::new(Source::Publisher);
        for msn in 0..PARTS_MAX as u64 + 10 {
            clock.arrived((msn, 0), clock.began.0);
        }
        let remembered = lock(&clock.state).parts.len();
        assert_eq!((remembered, clock.unmatched()), (PARTS_MAX, PARTS_MAX as u64 + 10));
    }
}
