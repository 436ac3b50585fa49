//! A stream in detail (OPERATIONS.md, `room inspect`, member `hls`).

use mobz_core::hls::stream::{Stream, Track};
use mobz_core::id::TrackId;
use mobz_core::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};

/// A stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HlsDetail {
    /// Where it plays; `null` where this process does not know the origin.
    pub playback_url: Option<String>,
    /// Its renditions, those with media.
    pub tracks: Vec<TrackDetail>,
}

/// One rendition of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackDetail {
    /// Which.
    pub track: TrackId,
    /// The newest segment.
    pub msn: u64,
    /// The newest part in it; `null` where the track comes in whole segments.
    pub part: Option<u32>,
    /// In seconds; `null` where the track comes in whole segments.
    pub part_target: Option<f64>,
    /// In seconds.
    pub target_duration: u32,
    /// Of the listed segments.
    pub bytes_stored: u64,
    /// Milliseconds since media last arrived.
    pub last_part_age_ms: u64,
}

impl HlsDetail {
    pub(super) fn of(stream: &Stream, playback_url: Option<String>, now: Timestamp) -> Self {
        let tracks = stream.listed().filter_map(|(id, track)| TrackDetail::of(stream, id, track, now));
        Self { playback_url, tracks: tracks.collect() }
    }
}

impl TrackDetail {
    fn of(stream: &Stream, id: &TrackId, track: &Track, now: Timestamp) -> Option<Self> {
        let (msn, part) = track.edge()?;
        Some(Self {
            track: id.clone(),
            msn,
            part,
            part_target: part.and(stream.part_target).map(|millis| f64::from(millis) / 1000.0),
            target_duration: stream.target_duration,
            bytes_stored: track.segments.iter().chain(&track.open).map(|segment| segment.bytes).sum(),
            last_part_age_ms: millis(now.since(track.last_media_at)),
        })
    }
}
