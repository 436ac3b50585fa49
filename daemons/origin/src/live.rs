//! One state of a stream as players get it: its playlists, each rendered and compressed once and shared.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::HeaderValue;
use mobz_core::hls::iframes::IFramePlaylist;
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

/// A playlist as it goes over the wire, in the encodings asked for so far.
#[derive(Debug)]
pub(crate) struct Text {
    tag: String,
    plain: Encoded,
    gzip: OnceLock<Encoded>,
}

/// One encoding of a playlist.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) etag: HeaderValue,
}

/// Playlists of one track, good for as long as the track does not change.
struct Track {
    serial: u64,
    is_live: bool,
    full: OnceCell<Option<Text>>,
    delta: OnceCell<Option<Text>>,
    delta_of_date_ranges: OnceCell<Option<Text>>,
    iframes: OnceCell<Option<Text>>,
}

impl Live {
    /// The next state; what was rendered of tracks that are as before is kept.
    pub(crate) fn new(stream: Arc<Stream>, before: Option<&Self>) -> Self {
        let is_live = stream.is_live();
        let tracks = stream.tracks.iter().map(|(name, track)| {
            let known = before.and_then(|before| before.tracks.get(name));
            let known = known.filter(|known| known.serial == track.serial && known.is_live == is_live);
            let fresh = || {
                Arc::new(Track {
                    serial: track.serial,
                    is_live,
                    full: OnceCell::new(),
                    delta: OnceCell::new(),
                    delta_of_date_ranges: OnceCell::new(),
                    iframes: OnceCell::new(),
                })
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
            Extent::DeltaOfDateRanges => &track.delta_of_date_ranges,
        };
        let render = || async {
            MediaPlaylist::new(&self.stream, name, extent).map(|playlist| Text::new(playlist.to_string()))
        };
        cell.get_or_init(render).await.as_ref()
    }

    /// A track's I-frame playlist; `None` when it has none.
    pub(crate) async fn iframes(&self, name: &TrackId) -> Option<&Text> {
        let track = self.tracks.get(name)?;
        let render = || async {
            IFramePlaylist::new(&self.stream, name).map(|playlist| Text::new(playlist.to_string()))
        };
        track.iframes.get_or_init(render).await.as_ref()
    }

    /// The multivariant playlist; `None` when no track has media.
    pub(crate) async fn multivariant(&self) -> Option<&Text> {
        let render = || async {
            MultivariantPlaylist::new(&self.stream).map(|playlist| Text::new(playlist.to_string()))
        };
        self.multivariant.get_or_init(render).await.as_ref()
    }
}

impl Text {
    fn new(text: String) -> Self {
        let tag = hex(Digest::of(text.as_bytes()));
        let plain = Encoded { etag: quoted(&tag), bytes: text.into() };
        Self { tag, plain, gzip: OnceLock::new() }
    }

    /// As it is.
    pub(crate) fn plain(&self) -> &Encoded {
        &self.plain
    }

    /// Compressed, by the first who asks.
    pub(crate) fn gzip(&self) -> &Encoded {
        self.gzip.get_or_init(|| {
            let text = &self.plain.bytes;
            let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::default());
            // Writing to memory does not fail.
            let bytes = encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default();
            Encoded { bytes: bytes.into(), etag: quoted(&format!("{}-gzip", self.tag)) }
        })
    }
}

/// An entity tag, strong. A tag of hexadecimal digits is always a header's value.
pub(crate) fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// A digest as an entity tag is written.
pub(crate) fn hex(digest: Digest) -> String {
    format!("{:016x}", u64::from_be_bytes(digest.0))
}
