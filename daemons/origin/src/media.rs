//! Media over HTTP: fetched from the store once per node, and shared.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use mobz_core::hls::data::MediaType;
use mobz_core::hls::request::{Decision, Resource, decide_part};
use mobz_core::hls::store::MediaName;
use mobz_core::hls::stream::{Digest, Stream, Track};
use mobz_core::id::{RoomId, TrackId};
use mobz_core::store::StoreError;
use mobz_core::time::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::live::hex;
use crate::playlist::{Answer, nothing};
use crate::reply::{self, Failure, Found, Lifetime};
use crate::route::Place;
use crate::{App, Request};

/// How much media a node keeps beside the store, in bytes; the least used goes first.
const CACHE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// About how large a part is, which sizes the cache's table.
const PART_BYTES_TYPICAL: u64 = 64 * 1024;
/// How long a piece is kept at most: well under the day after which a stream's numbers may begin anew.
const CACHE_AGE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Media of this node, bounded by bytes; of many who ask for a piece at once one fetches it.
pub(crate) struct MediaCache {
    pieces: Cache<(RoomId, MediaName), Piece, ByLength>,
}

#[derive(Clone)]
struct Piece {
    bytes: Bytes,
    digest: Digest,
    fetched: Timestamp,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<(RoomId, MediaName), Piece> for ByLength {
    fn weight(&self, _key: &(RoomId, MediaName), piece: &Piece) -> u64 {
        piece.bytes.len() as u64 + 1
    }
}

enum Miss {
    /// The store has it no more.
    Lost,
    Store(StoreError),
}

impl MediaCache {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(CACHE_BYTES_MAX / PART_BYTES_TYPICAL).unwrap_or(usize::MAX);
        Self { pieces: Cache::with_weighter(items, CACHE_BYTES_MAX, ByLength) }
    }
}

impl App {
    pub(crate) async fn media(&self, request: &Request<'_>) -> Answer {
        let Place::Track(name, resource) = &request.route.place else {
            return Err((nothing(), Lifetime::unknown()));
        };
        let watcher = self.watch(request)?;
        let mut live = self.look(&watcher).await?;
        let lifetime = Lifetime { target: live.stream.target_duration, is_blocking: false };
        let missing = || (Failure::not_found("there is no such media, or not any more"), lifetime);
        if let Resource::Part(msn, part) = *resource {
            let decide = |stream: &Stream| match stream.tracks.get(name) {
                Some(track) => decide_part(stream, track, msn, part),
                None => Decision::NotFound,
            };
            live = self.wait(&watcher, live, decide, lifetime).await?;
        }
        let track = live.stream.tracks.get(name).ok_or_else(missing)?;
        let pieces = match *resource {
            Resource::Init(number) => {
                let init = track.inits.iter().find(|init| init.number == number).ok_or_else(missing)?;
                vec![(init.bytes.clone(), init.digest)]
            }
            Resource::Part(..) | Resource::Segment(_) | Resource::Playlist => {
                let names = names_of(name, track, *resource).ok_or_else(missing)?;
                let fetches = names.into_iter().map(|name| self.fetch(&request.route.room, name));
                match try_join_all(fetches).await {
                    Ok(pieces) => pieces,
                    Err(Miss::Lost) => return Err(missing()),
                    Err(Miss::Store(error)) => {
                        tracing::warn!(room = %request.route.room, %error, "cannot fetch media");
                        return Err((Failure::unavailable("the store does not answer; try again"), lifetime));
                    }
                }
            }
        };
        let etag = etag_of(&pieces);
        let found = Found { content_type: type_of(track), max_age: lifetime.of_media(), etag: &etag };
        let pieces: Vec<Bytes> = pieces.into_iter().map(|(bytes, _)| bytes).collect();
        self.metrics.media_sent(pieces.iter().map(Bytes::len).sum());
        Ok(reply::media(&found, &pieces, request.headers))
    }

    async fn fetch(&self, room: &RoomId, name: MediaName) -> Result<(Bytes, Digest), Miss> {
        let now = (self.now)();
        let key = (room.clone(), name);
        if self.cache.pieces.peek(&key).is_some_and(|piece| now.since(piece.fetched) > CACHE_AGE_MAX) {
            self.cache.pieces.remove(&key);
        }
        let fetch = async {
            self.metrics.media_fetched();
            let bytes = self.store.media(room, &key.1).await.map_err(Miss::Store)?.ok_or(Miss::Lost)?;
            let digest = Digest::of(&bytes);
            Ok(Piece { bytes, digest, fetched: now })
        };
        let piece = self.cache.pieces.get_or_insert_async(&key, fetch).await?;
        Ok((piece.bytes, piece.digest))
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
        Resource::Init(_) | Resource::Playlist => None,
    }
}

fn etag_of(pieces: &[(Bytes, Digest)]) -> String {
    if let [(_, digest)] = pieces {
        return format!("\"{}\"", hex(*digest));
    }
    let digests: Vec<u8> = pieces.iter().flat_map(|(_, digest)| digest.0).collect();
    format!("\"{}\"", hex(Digest::of(&digests)))
}

fn type_of(track: &Track) -> &'static str {
    match track.info.media_type {
        Some(MediaType::Audio) => "audio/mp4",
        Some(MediaType::Video) | None => "video/mp4",
    }
}
