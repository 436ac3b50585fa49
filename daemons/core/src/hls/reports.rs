//! Rendition reports (draft-pantos-hls-rfc8216bis-22 §4.4.5.4): how far the other playlists are, so that a
//! player that switches asks for what comes next at once. One for each other media and I-frame playlist of
//! the multivariant playlist (§B.1).

use std::fmt;

use super::stream::{Form, Stream};
use crate::id::TrackId;

/// Which playlist of a track the reports stand in: it is not reported to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own<'a> {
    /// Its media playlist.
    Media(&'a TrackId),
    /// Its I-frame playlist.
    IFrames(&'a TrackId),
}

/// Writes the reports of all playlists but one.
pub(super) fn write(f: &mut fmt::Formatter<'_>, stream: &Stream, own: Own<'_>) -> fmt::Result {
    for (name, track) in stream.listed().filter(|(name, _)| own != Own::Media(name)) {
        let Some((msn, part)) = track.edge() else { continue };
        write!(f, "#EXT-X-RENDITION-REPORT:URI=\"../{name}/media.m3u8\",LAST-MSN={msn}")?;
        match (track.form, part) {
            (Form::Parts, part) => writeln!(f, ",LAST-PART={}", part.unwrap_or(0))?,
            (Form::Segments | Form::Unknown, _) => writeln!(f)?,
        }
    }
    let with_iframes = stream.listed().filter(|(_, track)| track.has_iframes());
    for (name, track) in with_iframes.filter(|(name, _)| own != Own::IFrames(name)) {
        let Some(last) = track.next_still().checked_sub(1) else { continue };
        writeln!(f, "#EXT-X-RENDITION-REPORT:URI=\"../{name}/iframes.m3u8\",LAST-MSN={last}")?;
    }
    Ok(())
}
