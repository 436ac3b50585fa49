//! Media over HTTP: fetched from the store once per node, and shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use hyper::header::HeaderValue;
use mobz_core::hls::data::MediaType;
use mobz_core::hls::request::{Decision, Resource, decide_part};
use mobz_core::hls::store::MediaName;
use mobz_core::hls::stream::{Digest, Stream, Track};
use mobz_core::id::{RoomId, TrackId};
use mobz_core::store::StoreError;
use mobz_core::time::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::live::{hex, quoted};
use crate::playlist::{Answer, nothing};
use crate::reply::{self, Failure, Found, Lifetime};
use crate::route::Place;
use crate::{App, Request};

/// About how large a part is, which sizes the cache's table.
const PIECE_BYTES_TYPICAL: u64 = 64 * 1024;
/// What a piece costs beside its bytes, about: its key, its entity tag, its place in the table.
const PIECE_BYTES_BESIDE: u64 = 512;
/// How long a piece is kept after somebody asked for it last: viewers at the live edge ask for a part, and
/// then for its segment, within seconds of each other.
const CACHE_IDLE_MAX: Duration = Duration::from_secs(30);
/// How often pieces nobody asks for are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long a piece is kept at most: well under the day after which a stream's numbers may begin anew.
const CACHE_AGE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Media of this node, bounded by bytes; of many who ask for a piece at once one fetches it.
pub(crate) struct MediaCache {
    pieces: Cache<(RoomId, MediaName), Arc<Piece>, ByLength>,
}

struct Piece {
    bytes: Bytes,
    digest: Digest,
    etag: HeaderValue,
    fetched: Timestamp,
    /// When somebody last asked for it, in milliseconds since the Unix epoch.
    used: AtomicU64,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<(RoomId, MediaName), Arc<Piece>> for ByLength {
    fn weight(&self, _key: &(RoomId, MediaName), piece: &Arc<Piece>) -> u64 {
        piece.bytes.len() as u64 + PIECE_BYTES_BESIDE
    }
}

impl Piece {
    fn new(bytes: Bytes, now: Timestamp) -> Self {
        let digest = Digest::of(&bytes);
        let (etag, used) = (quoted(&hex(digest)), AtomicU64::new(now.as_millis()));
        Self { bytes, digest, etag, fetched: now, used }
    }

    fn is_wanted(&self, now: Timestamp) -> bool {
        let used = Timestamp::from_millis(self.used.load(Ordering::Relaxed));
        now.since(used) < CACHE_IDLE_MAX && now.since(self.fetched) < CACHE_AGE_MAX
    }
}

enum Miss {
    /// The store has it no more.
    Lost,
    Store(StoreError),
}

impl MediaCache {
    /// Holds so many bytes at most; the least used goes first.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let items = usize::try_from(bytes_max / PIECE_BYTES_TYPICAL).unwrap_or(usize::MAX).max(1);
        Self { pieces: Cache::with_weighter(items, bytes_max, ByLength) }
    }

    /// How many bytes it holds now, and how many pieces.
    pub(crate) fn size(&self) -> (u64, usize) {
        (self.pieces.weight(), self.pieces.len())
    }
}

impl App {
    pub(crate) async fn media(&self, request: &Request<'_>) -> Answer {
        let Place::Track(name, resource) = &request.route.place else {
            return Err((nothing(), Lifetime::unknown()));
        };
        let mut watcher = self.watch(request)?;
        let mut live = self.look(&mut watcher).await?;
        let lifetime = Lifetime { target: live.stream.target_duration, is_blocking: false };
        let missing = || (Failure::not_found("there is no such media, or not any more"), lifetime);
        if let Resource::Part(msn, part) = *resource {
            let decide = |stream: &Stream| match stream.tracks.get(name) {
                Some(track) => decide_part(stream, track, msn, part),
                None => Decision::NotFound,
            };
            live = self.wait(&mut watcher, live, decide, lifetime).await?;
        }
        let track = live.stream.tracks.get(name).ok_or_else(missing)?;
        let content_type = type_of(track);
        let (pieces, etag) = match *resource {
            Resource::Init(number) => {
                let init = track.inits.iter().find(|init| init.number == number).ok_or_else(missing)?;
                (vec![init.bytes.clone()], quoted(&hex(init.digest)))
            }
            Resource::Part(..) | Resource::Segment(_) | Resource::Playlist | Resource::IFrames => {
                let names = names_of(name, track, *resource).ok_or_else(missing)?;
                let fetches = names.into_iter().map(|name| self.fetch(&request.route.room, name));
                match try_join_all(fetches).await {
                    Ok(pieces) => {
                        (pieces.iter().map(|piece| piece.bytes.clone()).collect(), etag_of(&pieces))
                    }
                    Err(Miss::Lost) => return Err(missing()),
                    Err(Miss::Store(error)) => {
                        tracing::warn!(room = %request.route.room, %error, "cannot fetch media");
                        return Err((Failure::unavailable("the store does not answer; try again"), lifetime));
                    }
                }
            }
        };
        let found = Found { content_type, max_age: lifetime.of_media(), etag: &etag };
        self.metrics.media_sent(pieces.iter().map(Bytes::len).sum());
        Ok(reply::media(&found, pieces, request.headers))
    }

    /// Forgets media nobody asks for any more, until the daemon ends.
    pub(crate) async fn sweep(&self) {
        let mut interval = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let now = (self.now)();
            self.cache.pieces.retain(|_, piece| piece.is_wanted(now));
        }
    }

    async fn fetch(&self, room: &RoomId, name: MediaName) -> Result<Arc<Piece>, Miss> {
        let now = (self.now)();
        let key = (room.clone(), name);
        let fetch = async {
            self.metrics.media_fetched();
            let bytes = self.store.media(room, &key.1).await.map_err(Miss::Store)?.ok_or(Miss::Lost)?;
            Ok(Arc::new(Piece::new(bytes, now)))
        };
        let piece = self.cache.pieces.get_or_insert_async(&key, fetch).await?;
        piece.used.store(now.as_millis(), Ordering::Relaxed);
        Ok(piece)
    }
}

/// Under which names the store has what is asked for; `None` when there is nothing complete.
fn names_of(name: &TrackId, track: &Track, resource: Resource) -> Option<Vec<MediaName>> {
    match resource {
        Resource::Part(msn, part) => Some(vec![MediaName::Part(name.clone(), msn, part)]),
        Resource::Segment(msn) => match track.fetchable(msn)? {
            0 => Some(vec![MediaName::Segment(name.clone(), msn)]),
            count => Some((0..count).map(|part| MediaName::Part(name.clone(), msn, part)).collect()),
        },
        Resource::Init(_) | Resource::Playlist | Resource::IFrames => None,
    }
}

fn etag_of(pieces: &[Arc<Piece>]) -> HeaderValue {
    if let [piece] = pieces {
        return piece.etag.clone();
    }
    let digests: Vec<u8> = pieces.iter().flat_map(|piece| piece.digest.0).collect();
    quoted(&hex(Digest::of(&digests)))
}

fn type_of(track: &Track) -> &'static str {
    match track.info.media_type {
        Some(MediaType::Audio) => "audio/mp4",
        Some(MediaType::Video) | None => "video/mp4",
    }
}
