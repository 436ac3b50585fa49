//! Parts and whole segments: which number they get, and what they change.

use super::iframe::IFrame;
use super::ingest::{Refusal, Taken};
use super::track::{Digest, Form, Limits, Part, Segment, Track};
use super::{MSN_MAX, SEGMENT_PARTS_MAX, Stream};
use crate::hls::data::{DataAck, DataSignal, PartFields, SegmentFields, Warning};
use crate::hls::fmp4::{self, ByteRange, Fragment};
use crate::hls::store::MediaName;
use crate::id::UserId;
use crate::time::{Timestamp, millis};

/// A part shorter than this share of the part target is short (draft-pantos-hls-rfc8216bis-22 §4.4.3.7).
const SHORT_PERCENT: u64 = 85;
/// How far a stated duration may be from the media's, as a share of it.
const DURATION_TOLERANCE_PERCENT: u64 = 10;
/// And never nearer than this, in microseconds.
const DURATION_TOLERANCE_LEAST: u64 = 2_000;

/// Where a part goes.
enum Place {
    /// To the end of the segment under way, or as the first of the next.
    Next,
    /// As the first part of this segment, the one under way being complete.
    First(u64),
}

impl Stream {
    pub(super) fn take_part(
        &mut self,
        now: Timestamp,
        publisher: &UserId,
        signal: &DataSignal,
        fields: &PartFields,
    ) -> Result<Taken, Refusal> {
        let digest = Digest::of(&signal.payload);
        let ack = |msn, part, warning| DataAck {
            re: signal.id.clone(),
            track: signal.track.clone(),
            msn: Some(msn),
            part: Some(part),
            init: None,
            warning,
        };
        let known = self.tracks.get(&signal.track).filter(|track| track.owner.as_ref() == Some(publisher));
        if let Some(track) = known
            && let Some((msn, part)) = track.acknowledged(fields, digest)?
        {
            return Ok(Taken { ack: ack(msn, part, None), put: Vec::new(), is_new: false });
        }
        let fragment = self.read(publisher, signal, Form::Parts)?;
        check_duration(fields.duration, fragment.duration)?;
        let part_target = self.check_part_target(fragment.duration)?;
        let limits = self.limits();
        let track = track_of(self, signal)?;

        if let Some(said) = fields.independent
            && said
            && !fragment.independent
        {
            return Err(Refusal::bad("independent", "the part does not begin with a sync sample"));
        }
        let part = Part {
            duration: fragment.duration,
            bytes: u32::try_from(signal.payload.len()).unwrap_or(u32::MAX),
            independent: fields.independent.unwrap_or(fragment.independent),
            digest,
        };
        track.automatic &= fields.msn.is_none() && fields.last.is_none();
        match track.place(fields, &part, limits.target)? {
            Place::Next => {}
            Place::First(msn) => {
                track.close(limits);
                track.jump_to(msn, limits)?;
            }
        }
        if track.open.is_none() {
            track.begin_segment(
                now,
                fields.program_date_time,
                fields.discontinuity,
                &fragment,
                limits.target,
            );
        } else if fields.discontinuity {
            return Err(Refusal::bad(
                "discontinuity",
                "a discontinuity begins a segment: give it the next msn and part 0",
            ));
        }
        let (msn, number) = track.append(part, &fragment, now)?;
        if track.info.frame_rate.is_none() && track.info.resolution.is_some() && fragment.duration > 0 {
            track.info.frame_rate = Some(f64::from(fragment.samples) * 1e6 / fragment.duration as f64);
        }
        let duration = track.open.as_ref().map_or(0, |open| open.duration);
        let is_full = track.automatic && duration + u64::from(part_target) * 1000 / 2 > limits.target;
        let closes = fields.last.unwrap_or(is_full);
        if closes {
            track.close(limits);
        }
        track.trim(now, limits);
        track.form = Form::Parts;
        track.serial += 1;
        let is_short = fragment.duration * 100 < u64::from(part_target) * 1000 * SHORT_PERCENT;
        let warning = (is_short && !closes).then_some(Warning::ShortPart);
        self.part_target = Some(part_target);
        let name = MediaName::Part(signal.track.clone(), msn, number);
        Ok(Taken {
            ack: ack(msn, number, warning),
            put: vec![(name, signal.payload.clone(), limits.lifetime)],
            is_new: true,
        })
    }

    pub(super) fn take_segment(
        &mut self,
        now: Timestamp,
        publisher: &UserId,
        signal: &DataSignal,
        fields: &SegmentFields,
    ) -> Result<Taken, Refusal> {
        let digest = Digest::of(&signal.payload);
        let ack = |msn| DataAck {
            re: signal.id.clone(),
            track: signal.track.clone(),
            msn: Some(msn),
            part: None,
            init: None,
            warning: None,
        };
        let known = self.tracks.get(&signal.track).filter(|track| track.owner.as_ref() == Some(publisher));
        if let Some(track) = known.filter(|_| !fields.discontinuity) {
            let mut same = track.segments.iter().filter(|segment| {
                segment.digest == Some(digest)
                    && segment.init == track.init
                    && segment.msn >= track.owner_since
            });
            match (same.next_back(), fields.msn) {
                (Some(same), None) => {
                    return Ok(Taken { ack: ack(same.msn), put: Vec::new(), is_new: false });
                }
                (Some(same), Some(msn)) if same.msn == msn => {
                    return Ok(Taken { ack: ack(msn), put: Vec::new(), is_new: false });
                }
                (Some(_) | None, _) => {}
            }
        }
        let fragment = self.read(publisher, signal, Form::Segments)?;
        check_duration(fields.duration, fragment.duration)?;
        let limits = self.limits();
        if rounded(fragment.duration) > limits.target {
            let message =
                format!("a segment rounds to at most the target duration, {} s", self.target_duration);
            return Err(Refusal::bad("duration", message));
        }
        let track = track_of(self, signal)?;
        if let Some(msn) = fields.msn {
            if msn < track.next_msn {
                return Err(closed(msn, track.next_msn));
            }
            track.jump_to(msn, limits)?;
        }
        track.begin_segment(now, fields.program_date_time, fields.discontinuity, &fragment, limits.target);
        track.media_arrived(fragment.decode_time, fragment.duration, now);
        if track.info.frame_rate.is_none() && track.info.resolution.is_some() && fragment.duration > 0 {
            track.info.frame_rate = Some(f64::from(fragment.samples) * 1e6 / fragment.duration as f64);
        }
        let msn = track.open.as_ref().map_or(track.next_msn, |open| open.msn);
        if let Some(open) = &mut track.open {
            open.duration = fragment.duration;
            open.bytes = signal.payload.len() as u64;
            open.digest = Some(digest);
            open.iframes = fragment.first_frame.map(|range| IFrame { at: 0, range }).into_iter().collect();
        }
        track.close(limits);
        track.trim(now, limits);
        track.form = Form::Segments;
        track.serial += 1;
        let name = MediaName::Segment(signal.track.clone(), msn);
        Ok(Taken { ack: ack(msn), put: vec![(name, signal.payload.clone(), limits.lifetime)], is_new: true })
    }

    /// Reads the media, once it is clear that this publisher may send it.
    fn read(&self, publisher: &UserId, signal: &DataSignal, form: Form) -> Result<Fragment, Refusal> {
        let track = self.tracks.get(&signal.track).filter(|track| self.is_live() && !track.ended);
        let track = track.filter(|track| track.owner.as_ref() == Some(publisher));
        let init = track.and_then(|track| Some((track, track.current_init()?)));
        let Some((track, init)) = init else {
            let message = format!("track {} has no init of yours; send one first", signal.track);
            return Err(Refusal::bad("track", message));
        };
        if track.form != Form::Unknown && track.form != form {
            return Err(Refusal::bad("kind", "a track is sent in parts or in whole segments, not in both"));
        }
        let fragment = fmp4::read_fragment(&init.media, &signal.payload)
            .map_err(|error| Refusal::bad("data", error.to_string()))?;
        if fragment.duration == 0 {
            return Err(Refusal::bad("data", "the media's samples have no duration"));
        }
        Ok(fragment)
    }

    /// The part target that holds with this part, in milliseconds.
    fn check_part_target(&self, duration: u64) -> Result<u32, Refusal> {
        let needed = duration.div_ceil(1000);
        let most = self.part_target.unwrap_or(self.target_duration * 1000);
        match u32::try_from(needed) {
            Ok(needed) if needed <= most => Ok(self.part_target.unwrap_or(needed)),
            Ok(_) | Err(_) => {
                let message = format!(
                    "the part lasts {needed} ms and the {} {most} ms; send shorter parts, or an init with a longer partTarget",
                    if self.part_target.is_some() { "part target is" } else { "target duration is" }
                );
                Err(Refusal::bad("duration", message))
            }
        }
    }
}

impl Track {
    /// The number under which these very bytes of its owner were acknowledged before.
    fn acknowledged(&self, fields: &PartFields, digest: Digest) -> Result<Option<(u64, u32)>, Refusal> {
        let numbered = |segment: &Segment| {
            if segment.init != self.init {
                return None;
            }
            let at = segment.parts.iter().position(|part| part.digest == digest)?;
            Some((segment.msn, u32::try_from(at).ok()?))
        };
        match (fields.msn, fields.part) {
            (Some(msn), Some(part)) => {
                let found = self.owned(msn).and_then(|segment| segment.parts.get(part as usize));
                match found {
                    Some(found) if found.digest == digest => Ok(Some((msn, part))),
                    Some(_) => {
                        Err(Refusal::stale(format!("part {msn}.{part} was acknowledged with other bytes")))
                    }
                    None => Ok(None),
                }
            }
            (Some(msn), None) => Ok(self.owned(msn).and_then(numbered)),
            (None, _) if fields.discontinuity => Ok(None),
            (None, Some(part)) => {
                let open =
                    self.open.as_ref().and_then(|open| Some((open.msn, open.parts.get(part as usize)?)));
                Ok(open.filter(|(_, found)| found.digest == digest).map(|(msn, _)| (msn, part)))
            }
            // The same samples at the same media time can only be the same part.
            (None, None) => {
                let newest_first = self.open.iter().chain(self.segments.iter().rev());
                Ok(newest_first.take_while(|segment| segment.msn >= self.owner_since).find_map(numbered))
            }
        }
    }

    /// A listed segment that is its present owner's.
    fn owned(&self, msn: u64) -> Option<&Segment> {
        self.segment(msn).filter(|_| msn >= self.owner_since)
    }

    fn place(&self, fields: &PartFields, part: &Part, target: u64) -> Result<Place, Refusal> {
        let (msn, count) = self.open.as_ref().map_or((self.next_msn, 0), |open| (open.msn, open.part_count));
        let duration = self.open.as_ref().map_or(0, |open| open.duration);
        let is_too_long = rounded(duration + part.duration) > target;
        let is_full = self.open.is_some() && (is_too_long || count as usize >= SEGMENT_PARTS_MAX);
        let skipped = || {
            Refusal::bad(
                "part",
                format!("part {msn}.{count} is next; parts of a segment come in order, none left out"),
            )
        };
        match (fields.msn, fields.part) {
            (None, None) => {
                let breaks = self.open.is_some()
                    && (is_full
                        || fields.discontinuity
                        || (self.automatic && part.independent && duration >= target / 2));
                Ok(if breaks { Place::First(msn + 1) } else { Place::Next })
            }
            (None, Some(0)) if count > 0 => Ok(Place::First(msn + 1)),
            (Some(asked), _) if asked < msn => Err(closed(asked, msn)),
            (Some(asked), Some(number)) if asked > msn && number > 0 => Err(skipped()),
            (Some(asked), _) if asked > msn => Ok(Place::First(asked)),
            (_, Some(number)) if number < count => Err(closed_part(msn, number)),
            (_, Some(number)) if number > count => Err(skipped()),
            (_, Some(_)) | (Some(_), None) if is_full => Err(Refusal::bad(
                "msn",
                format!("segment {msn} is as long as the target duration allows; begin segment {}", msn + 1),
            )),
            (_, Some(_)) | (Some(_), None) => Ok(Place::Next),
        }
    }

    /// Lists what lies between the next segment and `msn` as lost. A track without media may begin anywhere.
    fn jump_to(&mut self, msn: u64, limits: Limits) -> Result<(), Refusal> {
        let lost = msn.saturating_sub(self.next_msn);
        if msn > MSN_MAX {
            return Err(Refusal::bad("msn", format!("a number up to {MSN_MAX}")));
        }
        if !self.has_media() {
            self.next_msn = self.next_msn.max(msn);
            return Ok(());
        }
        if lost.saturating_mul(limits.target) > limits.window {
            let message = format!(
                "{lost} segments after the next one, {}; a jump stays inside the window",
                self.next_msn
            );
            return Err(Refusal::bad("msn", message));
        }
        for _ in 0..lost {
            self.push_gap(limits.target);
        }
        Ok(())
    }

    fn begin_segment(
        &mut self,
        now: Timestamp,
        date_time: Option<u64>,
        discontinuity: bool,
        fragment: &Fragment,
        target: u64,
    ) {
        let is_first = !self.has_media();
        let went_on = self.next_decode_time.is_none_or(|expected| {
            let expected = expected + self.gap_since_media;
            fragment.decode_time.abs_diff(expected) <= target
        });
        let discontinuity = !is_first && (discontinuity || self.discontinuity_ahead || !went_on);
        let estimated = (now.as_millis() * 1000).saturating_sub(fragment.duration);
        let date_time = match date_time {
            Some(stated) => stated.saturating_mul(1000),
            None if is_first || discontinuity => estimated.max(self.next_date_time),
            None => self.next_date_time,
        };
        self.open = Some(Segment {
            msn: self.next_msn,
            date_time,
            init: self.init,
            discontinuity,
            ..Segment::default()
        });
        self.next_msn += 1;
        self.discontinuity_ahead = false;
    }

    /// Adds a part to the segment under way; returns its numbers.
    fn append(&mut self, part: Part, fragment: &Fragment, now: Timestamp) -> Result<(u64, u32), Refusal> {
        let Some(open) = &mut self.open else { return Err(Refusal::bad("msn", "no segment is under way")) };
        let number = open.part_count;
        if let Some(frame) = fragment.first_frame.filter(|_| part.independent) {
            let before = u32::try_from(open.bytes).unwrap_or(u32::MAX);
            let range = ByteRange { offset: before.saturating_add(frame.offset), ..frame };
            open.iframes.push(IFrame { at: open.duration, range });
        }
        open.part_count += 1;
        open.duration += part.duration;
        open.bytes += u64::from(part.bytes);
        open.parts.push(part);
        let msn = open.msn;
        self.media_arrived(fragment.decode_time, part.duration, now);
        Ok((msn, number))
    }

    fn media_arrived(&mut self, decode_time: u64, duration: u64, now: Timestamp) {
        self.next_decode_time = Some(decode_time.saturating_add(duration));
        self.gap_since_media = 0;
        self.silent_gaps = 0;
        self.last_media_at = now;
    }
}

fn track_of<'a>(stream: &'a mut Stream, signal: &DataSignal) -> Result<&'a mut Track, Refusal> {
    stream.tracks.get_mut(&signal.track).ok_or_else(|| Refusal::bad("track", "the track has no init"))
}

fn closed(msn: u64, next: u64) -> Refusal {
    Refusal::stale(format!("segment {msn} is closed; go on with segment {next}"))
}

fn closed_part(msn: u64, part: u32) -> Refusal {
    Refusal::stale(format!("part {msn}.{part} was acknowledged already"))
}

/// A segment's duration as `EXT-X-TARGETDURATION` counts it: rounded to the nearest second, in microseconds.
fn rounded(duration: u64) -> u64 {
    (duration + 500_000) / 1_000_000 * 1_000_000
}

fn check_duration(stated: Option<f64>, read: u64) -> Result<(), Refusal> {
    let Some(stated) = stated.and_then(|stated| std::time::Duration::try_from_secs_f64(stated).ok()) else {
        return Ok(());
    };
    let stated = millis(stated) * 1000;
    let tolerance = (read * DURATION_TOLERANCE_PERCENT / 100).max(DURATION_TOLERANCE_LEAST);
    if stated.abs_diff(read) > tolerance {
        let message =
            format!("the media lasts {:.3} s; leave duration out to have it read", read as f64 / 1e6);
        return Err(Refusal::bad("duration", message));
    }
    Ok(())
}
