//! Data signals (PROTOCOL.md §5): what a p2m publisher sends, in JSON or binary form, as one type.

mod assembly;
mod date_range;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::assembly::{ASSEMBLIES_MAX, Assembly};
pub use self::date_range::{ClientValue, Cue, DateRangeFields};

use crate::id::TrackId;

/// The longest `id` of a signal, in characters (PROTOCOL.md §2).
pub const SIGNAL_ID_LENGTH_MAX: usize = 64;
/// The most media one data signal may carry, whole or in pieces, in bytes; more is [`DataError::TooLarge`].
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most pieces one data signal may travel in.
pub const CHUNKS_MAX: u32 = 1024;

/// One data signal, from either form.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSignal {
    /// What the acknowledgement carries back as `re`.
    pub id: Option<String>,
    /// The rendition it belongs to; `main` when the publisher names none.
    pub track: TrackId,
    /// What it is.
    pub kind: DataKind,
    /// Which piece of it this is, when it travels in pieces.
    pub chunk: Option<Chunk>,
    /// The media; empty for [`DataKind::DateRange`] and [`DataKind::End`].
    pub payload: Bytes,
}

/// What a data signal is.
#[derive(Clone, Debug, PartialEq)]
pub enum DataKind {
    /// An fMP4 initialization section.
    Init(InitFields),
    /// One part of a segment.
    Part(PartFields),
    /// A whole segment.
    Segment(SegmentFields),
    /// Something about a range of dates: an `EXT-X-DATERANGE`.
    DateRange(DateRangeFields),
    /// The stream is over.
    End,
}

/// What an `init` says of itself; what it does not say is read from the media.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitFields {
    /// RFC 6381 codecs.
    pub codecs: Option<String>,
    /// Peak bits a second.
    pub bandwidth: Option<u64>,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// BCP 47.
    pub language: Option<String>,
    /// Whether it is a video or an audio rendition.
    pub media_type: Option<MediaType>,
    /// The stream's part target, in seconds.
    pub part_target: Option<f64>,
    /// The stream's target duration, in whole seconds.
    pub target_duration: Option<f64>,
    /// Whether it is the first of one that has joined afresh, and so of a new publisher, also under a user id
    /// that published before. The service knows; it is not of the wire.
    pub anew: bool,
}

/// What a `part` says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartFields {
    /// The segment it belongs to.
    pub msn: Option<u64>,
    /// Its place in the segment, from 0.
    pub part: Option<u32>,
    /// In seconds.
    pub duration: Option<f64>,
    /// Whether a decoder may start with it.
    pub independent: Option<bool>,
    /// Whether it closes its segment; `None` leaves that to the service.
    pub last: Option<bool>,
    /// When its first frame was taken, in milliseconds since the Unix epoch.
    pub program_date_time: Option<u64>,
    /// Whether its timeline is not the one before it.
    pub discontinuity: bool,
}

/// What a `segment` says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentFields {
    /// Its number.
    pub msn: Option<u64>,
    /// In seconds.
    pub duration: Option<f64>,
    /// When its first frame was taken, in milliseconds since the Unix epoch.
    pub program_date_time: Option<u64>,
    /// Whether its timeline is not the one before it.
    pub discontinuity: bool,
}

/// The kind of media in a rendition: that of its leading track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MediaType {
    /// Video, perhaps with audio beside it.
    Video,
    /// Audio alone.
    Audio,
}

/// One of the pieces a large data signal travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// Why something is no data signal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DataError {
    /// Not what PROTOCOL.md §5 says.
    #[error("{message}")]
    Bad {
        /// The JSON path at fault; empty when it is the signal as a whole.
        path: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// More than [`PAYLOAD_BYTES_MAX`].
    #[error("a data signal carries at most {PAYLOAD_BYTES_MAX} bytes of media")]
    TooLarge,
}

impl DataError {
    fn bad(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Bad { path: path.into(), message: message.into() }
    }
}

/// The acknowledgement of a data signal, as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "DataAck", rename_all = "camelCase")]
pub struct DataAck {
    /// The `id` of the signal it answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub re: Option<String>,
    /// The track.
    pub track: TrackId,
    /// The segment a part or segment was stored under; for `end`, the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub msn: Option<u64>,
    /// The part's place in its segment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<u32>,
    /// The number of the init: `init-<n>.mp4`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init: Option<u64>,
    /// Something to mend at the encoder; the signal was stored all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub warning: Option<Warning>,
}

/// What an acknowledgement may warn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// A part under 85 % of the part target in the middle of its segment
    /// (draft-pantos-hls-rfc8216bis-22 §4.4.3.7).
    ShortPart,
}

/// Parses the JSON form.
///
/// # Errors
///
/// [`DataError::Bad`] with the path at fault.
pub fn parse_json(text: &str) -> Result<DataSignal, DataError> {
    let wire: Wire = parse_wire(text.as_bytes())?;
    let payload = match &wire.data {
        None => Bytes::new(),
        Some(data) if data.len() / 4 * 3 > PAYLOAD_BYTES_MAX => return Err(DataError::TooLarge),
        Some(data) => STANDARD
            .decode(data)
            .map_err(|error| DataError::bad("data", format!("no base64 (RFC 4648 §4): {error}")))?
            .into(),
    };
    wire.into_signal(payload)
}

/// Parses the binary form: 4 bytes big-endian length N, N bytes of JSON without `data`, then the raw bytes.
///
/// # Errors
///
/// [`DataError::Bad`] with the path at fault.
pub fn parse_binary(mut frame: Bytes) -> Result<DataSignal, DataError> {
    let length = frame
        .try_get_u32()
        .map_err(|_| DataError::bad("", "a binary data signal begins with 4 bytes of length"))?;
    let length = usize::try_from(length).ok().filter(|length| *length <= frame.len());
    let length = length.ok_or_else(|| {
        DataError::bad("", "the length at the start of a binary data signal is beyond the frame's end")
    })?;
    let wire: Wire = parse_wire(&frame.split_to(length))?;
    if wire.data.is_some() {
        return Err(DataError::bad("data", "in a binary data signal the media follows the JSON"));
    }
    if frame.len() > PAYLOAD_BYTES_MAX {
        return Err(DataError::TooLarge);
    }
    wire.into_signal(frame)
}

/// The `id` in a binary data signal that cannot be read as a whole, for its refusal.
pub fn id_of_binary(frame: &[u8]) -> Option<String> {
    let (length, rest) = frame.split_first_chunk()?;
    let json = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    crate::signal::id_of(std::str::from_utf8(json).ok()?)
}

/// Every key of §5, whatever the kind: flat, so that an error names its key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    r#type: Type,
    kind: Kind,
    id: Option<String>,
    track: Option<TrackId>,
    chunk: Option<Chunk>,
    codecs: Option<String>,
    bandwidth: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<f64>,
    language: Option<String>,
    media_type: Option<MediaType>,
    part_target: Option<f64>,
    target_duration: Option<f64>,
    msn: Option<u64>,
    part: Option<u32>,
    duration: Option<f64>,
    independent: Option<bool>,
    last: Option<bool>,
    program_date_time: Option<u64>,
    discontinuity: Option<bool>,
    date_range: Option<serde_json::Map<String, serde_json::Value>>,
    data: Option<String>,
}

#[derive(Deserialize)]
enum Type {
    Data,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Init,
    Part,
    Segment,
    #[serde(rename = "daterange")]
    DateRange,
    End,
}

fn parse_wire(json: &[u8]) -> Result<Wire, DataError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let wire: Wire = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        DataError::bad(path, error.inner().to_string())
    })?;
    reader.end().map_err(|error| DataError::bad("", error.to_string()))?;
    Ok(wire)
}

impl Wire {
    fn into_signal(self, payload: Bytes) -> Result<DataSignal, DataError> {
        let Type::Data = self.r#type;
        if self.id.as_ref().is_some_and(|id| id.chars().count() > SIGNAL_ID_LENGTH_MAX) {
            return Err(DataError::bad("id", format!("an id has at most {SIGNAL_ID_LENGTH_MAX} characters")));
        }
        if let Some(Chunk { index, count }) = self.chunk {
            if count == 0 || count > CHUNKS_MAX {
                return Err(DataError::bad("chunk.count", format!("1 to {CHUNKS_MAX} pieces")));
            }
            if index >= count {
                return Err(DataError::bad("chunk.index", format!("0 to {}", count - 1)));
            }
            if self.id.is_none() {
                return Err(DataError::bad("id", "pieces share an id"));
            }
        }
        if matches!(self.kind, Kind::End | Kind::DateRange) != payload.is_empty() {
            let message =
                if payload.is_empty() { "the media is missing" } else { "this kind carries no media" };
            return Err(DataError::bad("data", message));
        }
        positive("duration", self.duration)?;
        positive("partTarget", self.part_target)?;
        positive("targetDuration", self.target_duration)?;
        positive("frameRate", self.frame_rate)?;
        let track = match self.track {
            Some(track) => track,
            None => "main".parse().map_err(|error| DataError::bad("track", format!("{error}")))?,
        };
        let kind = match self.kind {
            Kind::Init => DataKind::Init(InitFields {
                codecs: self.codecs,
                bandwidth: self.bandwidth,
                width: self.width,
                height: self.height,
                frame_rate: self.frame_rate,
                language: self.language,
                media_type: self.media_type,
                part_target: self.part_target,
                target_duration: self.target_duration,
                anew: false,
            }),
            Kind::Part => DataKind::Part(PartFields {
                msn: self.msn,
                part: self.part,
                duration: self.duration,
                independent: self.independent,
                last: self.last,
                program_date_time: self.program_date_time,
                discontinuity: self.discontinuity.unwrap_or(false),
            }),
            Kind::Segment => DataKind::Segment(SegmentFields {
                msn: self.msn,
                duration: self.duration,
                program_date_time: self.program_date_time,
                discontinuity: self.discontinuity.unwrap_or(false),
            }),
            Kind::DateRange => {
                let missing = || DataError::bad("dateRange", "what the date range says is missing");
                DataKind::DateRange(DateRangeFields::parse(&self.date_range.ok_or_else(missing)?)?)
            }
            Kind::End => DataKind::End,
        };
        Ok(DataSignal { id: self.id, track, kind, chunk: self.chunk, payload })
    }
}

fn positive(path: &str, value: Option<f64>) -> Result<(), DataError> {
    match value {
        Some(value) if !(value > 0.0 && value <= 86_400.0) => {
            Err(DataError::bad(path, "a positive number, at most 86400"))
        }
        Some(_) | None => Ok(()),
    }
}
