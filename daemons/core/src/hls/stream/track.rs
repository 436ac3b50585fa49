//! One rendition: its numbers, segments and parts.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::bitrate::peak_at_end;
use super::iframe::IFrame;
use super::{DIGESTS_KEPT, SEGMENTS_MAX, packed};
use crate::hls::data::MediaType;
use crate::hls::fmp4::MediaTrack;
use crate::id::UserId;
use crate::time::{Timestamp, millis};

/// One rendition of a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Rises with every change of this track.
    pub serial: u64,
    /// What players are told of it.
    pub info: TrackInfo,
    /// Whether it comes in parts or in whole segments.
    pub form: Form,
    /// Inits that listed or fetchable segments need, and the current one, which is [`Self::init`].
    pub inits: Vec<Init>,
    /// The number of the init that new media belongs to.
    pub init: u64,
    /// Whose init that is.
    pub owner: Option<UserId>,
    /// The number of the first segment that is its owner's.
    pub owner_since: u64,
    /// The number the next new init gets.
    pub next_init: u64,
    /// Complete segments inside the window, oldest first.
    #[serde(with = "packed")]
    pub segments: VecDeque<Segment>,
    /// The segment under way; it has at least one part.
    pub open: Option<Segment>,
    /// The number of the next segment to begin. Never goes back.
    pub next_msn: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`. Never goes back.
    pub discontinuity_sequence: u64,
    /// Whether the next segment starts a new timeline.
    pub discontinuity_ahead: bool,
    /// Whether the service cuts the segments: no part of this init had an `msn` or a `last`.
    pub automatic: bool,
    /// Where media goes on, in microseconds of its own timeline.
    pub next_decode_time: Option<u64>,
    /// How much gap was listed since the last media, in microseconds.
    pub gap_since_media: u64,
    /// When the next segment begins, in microseconds since the Unix epoch; 0 before the first.
    pub next_date_time: u64,
    /// When media (before any: the init) last arrived.
    pub last_media_at: Timestamp,
    /// How many gap segments the present silence has brought.
    pub silent_gaps: u32,
    /// Whether silence has ended this track while others may run on.
    pub ended: bool,
    /// The highest bitrate of contiguous segments so far, as `BANDWIDTH` counts it, in bits a second.
    pub peak_bitrate: u64,
    /// The same of the I-frames alone.
    pub iframe_peak_bitrate: u64,
    /// `EXT-X-MEDIA-SEQUENCE` of the I-frame playlist. Never goes back.
    pub iframe_sequence: u64,
    /// Segments no longer listed and still fetchable, oldest first.
    pub retired: VecDeque<Retired>,
}

/// What players are told of a track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// RFC 6381 codecs.
    pub codecs: String,
    /// Video or audio; `None` before the first init.
    pub media_type: Option<MediaType>,
    /// Pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// BCP 47.
    pub language: Option<String>,
    /// Peak bits a second, as the publisher says.
    pub bandwidth: Option<u64>,
    /// Peak bits a second, as the media's `btrt` says.
    pub nominal_bandwidth: Option<u64>,
}

/// How a track's media comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// No media yet.
    #[default]
    Unknown,
    /// In parts: Low-Latency HLS.
    Parts,
    /// In whole segments: plain HLS.
    Segments,
}

/// An initialization section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// `init-<number>.mp4`.
    pub number: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// Its bytes: they travel with the state, so that they live exactly as long as what needs them.
    pub bytes: Bytes,
    /// What is needed to read its parts.
    pub media: Vec<MediaTrack>,
}

/// One segment, complete or under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its media sequence number.
    pub msn: u64,
    /// In microseconds.
    pub duration: u64,
    /// When it begins, in microseconds since the Unix epoch.
    pub date_time: u64,
    /// The init it needs.
    pub init: u64,
    /// Whether its timeline is not the one before it.
    pub discontinuity: bool,
    /// Whether its media was lost.
    pub gap: bool,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many parts it has; 0 for a whole segment and a gap.
    pub part_count: u32,
    /// Its parts; forgotten [`DIGESTS_KEPT`] after they were listed last.
    pub parts: Vec<Part>,
    /// Its I-frames in order; of a whole segment the first alone is known.
    pub iframes: Vec<IFrame>,
    /// Of a whole segment's bytes.
    pub digest: Option<Digest>,
}

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In microseconds.
    pub duration: u64,
    /// Its size in bytes.
    pub bytes: u32,
    /// Whether a decoder may start with it.
    pub independent: bool,
    /// Of its bytes.
    pub digest: Digest,
}

/// A segment that is no longer listed and still fetchable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Its media sequence number.
    pub msn: u64,
    /// How many parts it has; 0 for a whole segment.
    pub part_count: u32,
    /// The init it needs.
    pub init: u64,
    /// Until when.
    pub until: Timestamp,
}

/// Tells bytes from other bytes: the first half of their SHA-1 and a little less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 8]);

/// The lengths a stream's tracks are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The target duration, in microseconds.
    pub(super) target: u64,
    /// How much is listed, in microseconds.
    pub(super) window: u64,
    /// How long media stays fetchable from when it is stored.
    pub(super) lifetime: Duration,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Sha1::digest(bytes)) {
            *to = from;
        }
        Self(first)
    }
}

impl Track {
    /// Whether it lists anything.
    pub fn has_media(&self) -> bool {
        self.open.is_some() || !self.segments.is_empty()
    }

    /// The number of the last complete segment, if there was one.
    pub fn last_complete(&self) -> Option<u64> {
        match &self.open {
            Some(open) => open.msn.checked_sub(1),
            None => self.next_msn.checked_sub(1),
        }
    }

    /// The newest segment and part listed.
    pub fn edge(&self) -> Option<(u64, Option<u32>)> {
        let newest = self.open.as_ref().or(self.segments.back())?;
        Some((newest.msn, newest.part_count.checked_sub(1)))
    }

    /// A listed segment, complete or under way.
    pub fn segment(&self, msn: u64) -> Option<&Segment> {
        if let Some(open) = self.open.as_ref().filter(|open| open.msn == msn) {
            return Some(open);
        }
        let first = self.segments.front()?.msn;
        let place = usize::try_from(msn.checked_sub(first)?).ok()?;
        self.segments.get(place)
    }

    /// How many parts a segment has that is complete and listed or still fetchable: 0 for a whole one.
    pub fn fetchable(&self, msn: u64) -> Option<u32> {
        match self.segments.front() {
            Some(first) if msn >= first.msn => {
                let segment = self.segment(msn).filter(|segment| !segment.gap)?;
                let is_complete = self.open.as_ref().is_none_or(|open| open.msn != msn);
                is_complete.then_some(segment.part_count)
            }
            Some(_) | None => {
                self.retired.iter().find(|retired| retired.msn == msn).map(|retired| retired.part_count)
            }
        }
    }

    /// How long everything listed lasts, in microseconds.
    pub fn listed_duration(&self) -> u64 {
        self.segments.iter().chain(&self.open).map(|segment| segment.duration).sum()
    }

    /// The size of everything listed, in bytes.
    pub fn listed_bytes(&self) -> u64 {
        self.segments
            .iter()
            .chain(&self.open)
            .filter(|segment| !segment.gap)
            .map(|segment| segment.bytes)
            .sum()
    }

    /// The init new media belongs to.
    pub(super) fn current_init(&self) -> Option<&Init> {
        self.inits.iter().find(|init| init.number == self.init)
    }

    /// Makes the segment under way a complete one.
    pub(super) fn close(&mut self, limits: Limits) {
        if let Some(open) = self.open.take() {
            self.complete(open);
            let peak = |bytes: fn(&Segment) -> u64| peak_at_end(&self.segments, limits.target, bytes);
            let (all, iframes) = (peak(|segment| segment.bytes), peak(Segment::iframe_bytes));
            self.peak_bitrate = self.peak_bitrate.max(all.unwrap_or(0));
            self.iframe_peak_bitrate = self.iframe_peak_bitrate.max(iframes.unwrap_or(0));
        }
    }

    /// Lists a complete segment; its number must be the next.
    pub(super) fn complete(&mut self, segment: Segment) {
        self.next_msn = segment.msn + 1;
        self.next_date_time = segment.date_time + segment.duration;
        self.segments.push_back(segment);
    }

    /// Lists one segment of lost media.
    pub(super) fn push_gap(&mut self, duration: u64) {
        let gap = Segment {
            msn: self.next_msn,
            duration,
            date_time: self.next_date_time,
            init: self.init,
            gap: true,
            ..Segment::default()
        };
        self.gap_since_media += duration;
        self.complete(gap);
    }

    /// Drops what the window no longer holds, and forgets what nobody can ask for any more.
    pub(super) fn trim(&mut self, now: Timestamp, limits: Limits) {
        let mut listed = self.listed_duration();
        while let Some(oldest) = self.segments.front() {
            let fits = listed - oldest.duration < limits.window && self.segments.len() <= SEGMENTS_MAX;
            if fits {
                break;
            }
            listed -= oldest.duration;
            self.retire_oldest(now, limits.lifetime);
        }
        while self.retired.front().is_some_and(|oldest| oldest.until < now) {
            self.retired.pop_front();
        }
        self.forget_parts(limits.target);
        let used = |number: u64| {
            number == self.init
                || self.open.iter().chain(&self.segments).any(|segment| segment.init == number)
                || self.retired.iter().any(|retired| retired.init == number)
        };
        if self.inits.len() > 1 {
            let kept = self.inits.iter().filter(|init| used(init.number)).cloned().collect();
            self.inits = kept;
        }
    }

    /// Ends the presentation: nothing is listed any more, the numbers go on, and what was listed stays
    /// fetchable for a while.
    pub(super) fn clear(&mut self, now: Timestamp, limits: Limits) {
        self.close(limits);
        // Were it not raised here, a player could take the new presentation for the old one's timeline.
        self.discontinuity_sequence += u64::from(!self.segments.is_empty());
        while !self.segments.is_empty() {
            self.retire_oldest(now, limits.lifetime);
        }
        *self = Self {
            serial: self.serial + 1,
            inits: std::mem::take(&mut self.inits),
            init: self.init,
            next_init: self.next_init,
            next_msn: self.next_msn,
            owner_since: self.next_msn,
            discontinuity_sequence: self.discontinuity_sequence,
            iframe_sequence: self.iframe_sequence,
            retired: std::mem::take(&mut self.retired),
            ..Self::default()
        };
    }

    /// Marks everything listed as lost, and forgets what else was fetchable.
    pub(super) fn lose_media(&mut self, limits: Limits) {
        self.close(limits);
        for segment in &mut self.segments {
            segment.gap = true;
            segment.parts = Vec::new();
            segment.part_count = 0;
            segment.digest = None;
        }
        self.retired.clear();
        self.serial += 1;
    }

    fn retire_oldest(&mut self, now: Timestamp, lifetime: Duration) {
        let Some(oldest) = self.segments.pop_front() else { return };
        self.discontinuity_sequence += u64::from(oldest.discontinuity);
        self.iframe_sequence += oldest.still_count();
        if !oldest.gap {
            self.retired.push_back(Retired {
                msn: oldest.msn,
                part_count: oldest.part_count,
                init: oldest.init,
                until: now.after(lifetime / 2),
            });
        }
    }

    /// Forgets the parts of segments that lie [`DIGESTS_KEPT`], and no less than four target durations,
    /// before the edge: none of them is listed any more.
    fn forget_parts(&mut self, target: u64) {
        let kept = (millis(DIGESTS_KEPT) * 1000).max(4 * target);
        let mut after = self.open.as_ref().map_or(0, |open| open.duration);
        for segment in self.segments.iter_mut().rev() {
            if after >= kept {
                if segment.parts.is_empty() && !segment.gap && segment.part_count > 0 {
                    // Those before it were forgotten when it was.
                    break;
                }
                segment.parts = Vec::new();
            }
            after += segment.duration;
        }
    }
}
