//! I-frame playlists (draft-pantos-hls-rfc8216bis-22 §4.4.3.6) as values, and as text: for winding and
//! thumbnails. They list the I-frames of complete segments, as ranges of those segments' bytes.

use std::fmt;

use super::reports::{self, Own};
use super::stream::{Segment, Stream, Track};
use super::text::{DateTime, Micros};
use crate::id::TrackId;

/// One track's I-frames, of one moment.
#[derive(Clone, Copy, Debug)]
pub struct IFramePlaylist<'a> {
    stream: &'a Stream,
    name: &'a TrackId,
    track: &'a Track,
}

impl<'a> IFramePlaylist<'a> {
    /// The I-frame playlist of a track; `None` while no complete segment has an I-frame.
    pub fn new(stream: &'a Stream, name: &'a TrackId) -> Option<Self> {
        let track = stream.tracks.get(name).filter(|track| track.has_iframes())?;
        Some(Self { stream, name, track })
    }
}

impl fmt::Display for IFramePlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (track, target) = (self.track, self.stream.target_duration);
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-I-FRAMES-ONLY")?;
        writeln!(f, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={}", 3 * target)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", track.iframe_sequence)?;
        writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", track.discontinuity_sequence)?;
        let mut map = None;
        for segment in &track.segments {
            if segment.discontinuity {
                writeln!(f, "#EXT-X-DISCONTINUITY")?;
            }
            if map != Some(segment.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.init)?;
                map = Some(segment.init);
            }
            write_stills(f, segment)?;
        }
        if self.stream.has_ended(track) {
            return writeln!(f, "#EXT-X-ENDLIST");
        }
        reports::write(f, self.stream, Own::IFrames(self.name))
    }
}

fn write_stills(f: &mut fmt::Formatter<'_>, segment: &Segment) -> fmt::Result {
    for still in segment.stills() {
        writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.date_time + still.at))?;
        match still.range {
            Some(range) => writeln!(f, "#EXT-X-BYTERANGE:{}@{}", range.length, range.offset)?,
            None => writeln!(f, "#EXT-X-GAP")?,
        }
        writeln!(f, "#EXTINF:{},\n{}.m4s", Micros(still.duration), segment.msn)?;
    }
    Ok(())
}
