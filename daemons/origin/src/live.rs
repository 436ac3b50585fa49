//! One state of a stream as players get it: its playlists, each rendered and compressed once and shared.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use mobz_core::hls::multivariant::MultivariantPlaylist;
use mobz_core::hls::playlist::{Extent, MediaPlaylist};
use mobz_core::hls::stream::{Digest, Stream};
use mobz_core::id::TrackId;
use tokio::sync::OnceCell;

/// A state of a stream, and what has been rendered of it.
pub(crate) struct Live {
    pub(crate) stream: Arc<Stream>,
    multivariant: OnceCell<Option<Text>>,
    tracks: BTreeMap<TrackId, Arc<Track>>,
}

/// A playlist as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) plain: Encoded,
    pub(crate) gzip: Encoded,
}

/// One encoding of a playlist.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) etag: Arc<str>,
}

/// Playlists of one track, good for as long as the track does not change.
struct Track {
    serial: u64,
    is_live: bool,
    full: OnceCell<Option<Text>>,
    delta: OnceCell<Option<Text>>,
}

impl Live {
    /// The next state; what was rendered of tracks that are as before is kept.
    pub(crate) fn new(stream: Arc<Stream>, before: Option<&Self>) -> Self {
        let is_live = stream.is_live();
        let tracks = stream.tracks.iter().map(|(name, track)| {
            let known = before.and_then(|before| before.tracks.get(name));
            let known = known.filter(|known| known.serial == track.serial && known.is_live == is_live);
            let fresh = || {
                let (full, delta) = (OnceCell::new(), OnceCell::new());
                Arc::new(Track { serial: track.serial, is_live, full, delta })
            };
            (name.clone(), known.map_or_else(fresh, Arc::clone))
        });
        let tracks = tracks.collect();
        Self { stream, multivariant: OnceCell::new(), tracks }
    }

    /// A track's playlist; `None` when it has no media. Rendered by the first who asks, while the others
    /// who ask wait without holding anything.
    pub(crate) async fn playlist(&self, name: &TrackId, extent: Extent) -> Option<&Text> {
        let track = self.tracks.get(name)?;
        let cell = match extent {
            Extent::Full => &track.full,
            Extent::Delta => &track.delta,
        };
        let render = || async {
            MediaPlaylist::new(&self.stream, name, extent).map(|playlist| Text::new(&playlist.to_string()))
        };
        cell.get_or_init(render).await.as_ref()
    }

    /// The multivariant playlist; `None` when no track has media.
    pub(crate) async fn multivariant(&self) -> Option<&Text> {
        let render = || async {
            MultivariantPlaylist::new(&self.stream).map(|playlist| Text::new(&playlist.to_string()))
        };
        self.multivariant.get_or_init(render).await.as_ref()
    }
}

impl Text {
    fn new(text: &str) -> Self {
        let tag = hex(Digest::of(text.as_bytes()));
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::default());
        // Writing to memory does not fail; were it to, an empty gzip body would be worse than none.
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        let plain = Encoded { bytes: text.as_bytes().to_vec().into(), etag: format!("\"{tag}\"").into() };
        let gzip = gzip.map_or_else(
            |_| plain.clone(),
            |bytes| Encoded { bytes: bytes.into(), etag: format!("\"{tag}-gzip\"").into() },
        );
        Self { plain, gzip }
    }
}

/// A digest as an entity tag is written.
pub(crate) fn hex(digest: Digest) -> String {
    format!("{:016x}", u64::from_be_bytes(digest.0))
}
