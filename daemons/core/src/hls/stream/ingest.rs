//! What a data signal makes of a stream: the way in, inits and the end. Media is in `media`.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::track::{Digest, Init, TrackInfo};
use super::{
    INITS_MAX, NOTICE_STATE_BYTES_MAX, Phase, Settings, Stream, TARGET_DURATION_DEFAULT, TARGET_DURATION_MAX,
    TRACKS_MAX,
};
use crate::hls::data::{DataAck, DataKind, DataSignal, InitFields};
use crate::hls::fmp4::{self, INIT_BYTES_MAX};
use crate::hls::store::{MediaName, StreamChange};
use crate::id::UserId;
use crate::time::Timestamp;

/// The longest text a publisher may put into a playlist, in characters.
const ATTRIBUTE_LENGTH_MAX: usize = 256;

/// What a data signal has made of a stream.
#[derive(Clone, Debug)]
pub struct Ingested {
    /// The stream; `None` when the signal was one acknowledged before, and nothing changed.
    pub next: Option<Stream>,
    /// What to commit before the acknowledgement goes out.
    pub change: StreamChange,
    /// The acknowledgement.
    pub ack: DataAck,
}

/// Why a data signal is refused; the stream is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which error code it is.
    pub kind: RefusalKind,
    /// A sentence that says what to do.
    pub message: String,
}

/// The error codes of PROTOCOL.md §3 a data signal may get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// `bad_signal`.
    BadSignal {
        /// The JSON path at fault.
        path: &'static str,
    },
    /// `stale`.
    Stale,
    /// `too_large`.
    TooLarge,
    /// `rate_limited`.
    RateLimited {
        /// When it may be sent again.
        retry_after: Duration,
    },
}

impl Refusal {
    pub(super) fn bad(path: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::BadSignal { path }, message: message.into() }
    }

    pub(super) fn stale(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Stale, message: message.into() }
    }
}

/// Media to store: its name, its bytes, and how long it stays fetchable.
pub(super) type Stored = (MediaName, Bytes, Duration);

/// What one kind of signal comes to: what is acknowledged, and what is stored beside the state.
pub(super) struct Taken {
    pub(super) ack: DataAck,
    pub(super) put: Vec<Stored>,
    pub(super) is_new: bool,
}

impl Stream {
    /// Takes one whole data signal of `publisher` at `now`. `settings` count when it begins a stream.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when PROTOCOL.md §5 refuses it.
    pub fn ingest(
        &self,
        now: Timestamp,
        settings: &Settings,
        publisher: &UserId,
        signal: &DataSignal,
    ) -> Result<Ingested, Refusal> {
        let mut next = self.clone();
        next.pass(now);
        Self::check_part_bytes(settings, signal)?;
        let taken = match &signal.kind {
            DataKind::Init(fields) => next.take_init(now, settings, publisher, signal, fields)?,
            DataKind::Part(fields) => next.take_part(now, publisher, signal, fields)?,
            DataKind::Segment(fields) => next.take_segment(now, publisher, signal, fields)?,
            DataKind::DateRange(fields) => next.take_date_range(now, publisher, signal, fields)?,
            DataKind::End => next.take_end(now, signal)?,
        };
        if !taken.is_new {
            return Ok(Ingested { next: None, change: StreamChange::default(), ack: taken.ack });
        }
        next.charge(now, settings, signal)?;
        next.expire_date_ranges(now);
        next.serial += 1;
        next.changed_at = now;
        let change = change_of(&next, taken.put);
        Ok(Ingested { next: Some(next), change, ack: taken.ack })
    }

    fn take_init(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        publisher: &UserId,
        signal: &DataSignal,
        fields: &InitFields,
    ) -> Result<Taken, Refusal> {
        if signal.payload.len() > INIT_BYTES_MAX {
            let message = format!("an init has at most {INIT_BYTES_MAX} bytes; send ftyp and moov alone");
            return Err(Refusal { kind: RefusalKind::TooLarge, message });
        }
        let digest = Digest::of(&signal.payload);
        let read =
            fmp4::read_init(&signal.payload).map_err(|error| Refusal::bad("data", error.to_string()))?;
        let info = info_of(&read, fields)?;
        let target_duration = fields.target_duration.map(whole_seconds).transpose()?;
        let part_target = fields.part_target.map(part_millis).transpose()?;
        let ack = |number| DataAck {
            re: signal.id.clone(),
            track: signal.track.clone(),
            msn: None,
            part: None,
            init: Some(number),
            warning: None,
        };

        if self.is_live() {
            if target_duration.is_some_and(|target| target != self.target_duration) {
                let message =
                    format!("the stream's target duration is {} s while it lives", self.target_duration);
                return Err(Refusal::bad("targetDuration", message));
            }
            if let (Some(asked), Some(fixed)) = (part_target, self.part_target)
                && asked != fixed
            {
                let message =
                    format!("the stream's part target is {fixed} ms while it lives; end it to change that");
                return Err(Refusal::bad("partTarget", message));
            }
            if let Some(track) = self.tracks.get(&signal.track)
                && track.owner.as_ref() == Some(publisher)
                && !track.ended
                && !fields.anew
                && track.current_init().is_some_and(|init| init.digest == digest)
            {
                return Ok(Taken { ack: ack(track.init), put: Vec::new(), is_new: false });
            }
        }
        let target = target_duration.unwrap_or(if self.is_live() {
            self.target_duration
        } else {
            TARGET_DURATION_DEFAULT
        });
        if part_target.is_some_and(|part| part > target * 1000) {
            return Err(Refusal::bad(
                "partTarget",
                format!("a part target is at most the target duration, {target} s"),
            ));
        }
        if !self.tracks.contains_key(&signal.track) && self.tracks.len() >= TRACKS_MAX {
            return Err(Refusal::bad("track", format!("a stream has at most {TRACKS_MAX} tracks")));
        }

        if !self.is_live() {
            self.begin(now, settings, target, part_target);
        }
        self.part_target = self.part_target.or(part_target);
        self.publisher = Some(publisher.clone());
        let limits = self.limits();
        let track = self.tracks.entry(signal.track.clone()).or_default();
        if track.ended {
            track.clear(now, limits);
        }
        track.close(limits);
        track.discontinuity_ahead |= track.has_media();
        track.trim(now, limits);
        let number = match track.inits.iter().find(|init| init.digest == digest) {
            Some(known) => known.number,
            None if track.inits.len() >= INITS_MAX => {
                let message = format!("at most {INITS_MAX} different inits inside the window");
                return Err(Refusal::bad("data", message));
            }
            None => {
                let number = track.next_init;
                track.next_init += 1;
                track.inits.push(Init { number, digest, bytes: signal.payload.clone(), media: read.tracks });
                number
            }
        };
        track.info = info;
        track.init = number;
        if fields.anew || track.owner.as_ref() != Some(publisher) {
            track.owner = Some(publisher.clone());
            track.owner_since = track.next_msn;
        }
        track.next_decode_time = None;
        track.automatic = true;
        track.ended = false;
        if !track.has_media() {
            track.last_media_at = now;
        }
        track.serial += 1;
        Ok(Taken { ack: ack(number), put: Vec::new(), is_new: true })
    }

    fn take_end(&mut self, now: Timestamp, signal: &DataSignal) -> Result<Taken, Refusal> {
        let last = self.tracks.get(&signal.track).and_then(|track| track.next_msn.checked_sub(1));
        let ack = DataAck {
            re: signal.id.clone(),
            track: signal.track.clone(),
            msn: last,
            part: None,
            init: None,
            warning: None,
        };
        match self.phase {
            Phase::Idle => {
                return Err(Refusal::bad("kind", "there is no stream to end; one begins with an init"));
            }
            Phase::Ended(_) => return Ok(Taken { ack, put: Vec::new(), is_new: false }),
            Phase::Live => {}
        }
        let limits = self.limits();
        for track in self.tracks.values_mut() {
            track.close(limits);
            track.serial += 1;
        }
        self.phase = Phase::Ended(now);
        Ok(Taken { ack, put: Vec::new(), is_new: true })
    }
}

/// The change that makes `next` the stored state, with media, and tells those who listen.
pub(super) fn change_of(next: &Stream, put: Vec<Stored>) -> StreamChange {
    let state = next.encode();
    let notice = if state.len() <= NOTICE_STATE_BYTES_MAX { state.clone() } else { Bytes::new() };
    StreamChange { state: Some(state), put, remove: Vec::new(), notice: Some(notice) }
}

fn info_of(read: &fmp4::Init, fields: &InitFields) -> Result<TrackInfo, Refusal> {
    if let Some(claimed) = fields.media_type
        && claimed != read.media_type
    {
        return Err(Refusal::bad("mediaType", "the init's media is of the other type"));
    }
    let codecs = fields.codecs.clone().unwrap_or_else(|| read.codecs.clone());
    let fits = |text: &str, extra: &str| {
        (1..=ATTRIBUTE_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte))
    };
    if !fits(&codecs, ".,-+_ ") {
        return Err(Refusal::bad("codecs", "codecs as RFC 6381 writes them: avc1.42c01f,mp4a.40.2"));
    }
    if fields.language.as_ref().is_some_and(|language| !fits(language, "-")) {
        return Err(Refusal::bad("language", "a BCP 47 language tag: en, pt-BR"));
    }
    let resolution = match (fields.width, fields.height) {
        (Some(width), Some(height)) => Some((width, height)),
        (None, None) => read.resolution,
        (Some(_), None) => return Err(Refusal::bad("height", "width and height come together")),
        (None, Some(_)) => return Err(Refusal::bad("width", "width and height come together")),
    };
    Ok(TrackInfo {
        codecs,
        media_type: Some(read.media_type),
        resolution,
        frame_rate: fields.frame_rate,
        language: fields.language.clone().or_else(|| read.language.clone()),
        bandwidth: fields.bandwidth,
        nominal_bandwidth: read.bandwidth,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 1 and 60"
)]
fn whole_seconds(seconds: f64) -> Result<u32, Refusal> {
    if seconds.fract() == 0.0 && (1.0..=f64::from(TARGET_DURATION_MAX)).contains(&seconds) {
        Ok(seconds as u32)
    } else {
        Err(Refusal::bad("targetDuration", format!("a whole number of seconds, 1 to {TARGET_DURATION_MAX}")))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 1 and 60,000"
)]
fn part_millis(seconds: f64) -> Result<u32, Refusal> {
    // A float just over a whole millisecond is meant to be that millisecond.
    let millis = (seconds * 1000.0 - 1e-6).ceil();
    if (1.0..=f64::from(TARGET_DURATION_MAX) * 1000.0).contains(&millis) {
        Ok(millis as u32)
    } else {
        Err(Refusal::bad("partTarget", "seconds, at least 0.001"))
    }
}
