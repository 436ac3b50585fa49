//! One track of what is pushed.

use bytes::Bytes;
use mobz_core::hls::data::MediaType;
use mobz_core::hls::fmp4::{MediaTrack, read_fragment};
use mobz_core::id::TrackId;
use serde_json::Value;

use super::super::joiner::Joiner;

/// One track on its way.
pub(super) struct Lane {
    pub(super) track: TrackId,
    pub(super) init: Option<(Value, Bytes)>,
    /// What the init says of the media.
    pub(super) media: Vec<MediaTrack>,
    /// Puts parts together where whole segments are sent.
    pub(super) joiner: Option<Joiner>,
}

impl Lane {
    /// Whether a fragment has sound alone, and the track has pictures: an input whose sound is longer ends so.
    pub(super) fn is_sound_without_picture(&self, bytes: &[u8]) -> bool {
        let is_sound = |track: &&MediaTrack| track.media_type == Some(MediaType::Audio);
        let sound: Vec<_> = self.media.iter().filter(is_sound).cloned().collect();
        sound.len() < self.media.len() && read_fragment(&sound, bytes).is_ok()
    }
}
