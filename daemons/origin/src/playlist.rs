//! Playlists over HTTP: which state is sent, and when.

use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use mobz_core::hls::playlist::Extent;
use mobz_core::hls::request::{Decision, Directives, Edge, decide_iframes, decide_playlist};
use mobz_core::hls::stream::{Stream, Track};
use mobz_runtime::views::{Seen, Watcher};
use tokio::time::Instant;

use crate::body::Body;
use crate::live::{Live, Text};
use crate::reply::{self, Failure, Found, Lifetime, PLAYLIST_TYPE};
use crate::route::Place;
use crate::{App, Request};

/// How long the first look at a stream may take.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How many target durations a request is blocked at most (PROTOCOL.md §6).
const BLOCKED_TARGETS_MAX: u32 = 3;

/// An answer, or why there is none and how long that holds.
pub(crate) type Answer = Result<Response<Body>, (Failure, Lifetime)>;

impl App {
    pub(crate) async fn multivariant(&self, request: &Request<'_>) -> Answer {
        let mut watcher = self.watch(request)?;
        let live = self.look(&mut watcher).await?;
        let lifetime = Lifetime { target: live.stream.target_duration, is_blocking: false };
        let text = live.multivariant().await.ok_or_else(|| (nothing(), lifetime))?;
        Ok(playlist(text, lifetime, request))
    }

    pub(crate) async fn playlist(&self, request: &Request<'_>) -> Answer {
        let (live, lifetime, extent) = self.reload(request, decide_playlist).await?;
        let Place::Track(name, _) = &request.route.place else { return Err((nothing(), lifetime)) };
        let text = live.playlist(name, extent).await.ok_or_else(|| (nothing(), lifetime))?;
        Ok(playlist(text, lifetime, request))
    }

    pub(crate) async fn iframes(&self, request: &Request<'_>) -> Answer {
        let decide = |stream: &Stream, track: &Track, until: Edge| decide_iframes(stream, track, until.msn);
        let (live, lifetime, _) = self.reload(request, decide).await?;
        let Place::Track(name, _) = &request.route.place else { return Err((nothing(), lifetime)) };
        let text = live.iframes(name).await.ok_or_else(|| (nothing(), lifetime))?;
        Ok(playlist(text, lifetime, request))
    }

    /// The state a playlist of a track is to be made of: that of now, or the first that `decide` is content
    /// with where the request has blocking directives.
    async fn reload(
        &self,
        request: &Request<'_>,
        decide: impl Fn(&Stream, &Track, Edge) -> Decision,
    ) -> Result<(Arc<Live>, Lifetime, Extent), (Failure, Lifetime)> {
        let Place::Track(name, _) = &request.route.place else {
            return Err((nothing(), Lifetime::unknown()));
        };
        let mut watcher = self.watch(request)?;
        let live = self.look(&mut watcher).await?;
        let mut lifetime = Lifetime { target: live.stream.target_duration, is_blocking: false };
        let track = live.stream.tracks.get(name).filter(|track| track.has_media());
        let track = track.ok_or_else(|| (nothing(), lifetime))?;
        if live.stream.has_ended(track) {
            return Ok((live, lifetime, Extent::Full));
        }
        let directives = Directives::parse(request.query);
        lifetime.is_blocking = request.query.contains("_HLS_msn") || request.query.contains("_HLS_part");
        let directives = directives.map_err(|message| (Failure::bad(message), lifetime))?;
        let Some(until) = directives.until else { return Ok((live, lifetime, directives.extent)) };
        let decide = |stream: &Stream| match stream.tracks.get(name).filter(|track| track.has_media()) {
            Some(track) => decide(stream, track, until),
            None => Decision::NotFound,
        };
        let live = self.wait(&mut watcher, live, decide, lifetime).await?;
        Ok((live, lifetime, directives.extent))
    }

    pub(crate) fn watch(&self, request: &Request<'_>) -> Result<Watcher<Live>, (Failure, Lifetime)> {
        let full =
            || (Failure::unavailable("this node watches as many rooms as it can"), Lifetime::unknown());
        self.views.watch(&request.route.room).ok_or_else(full)
    }

    /// The state of the stream now.
    pub(crate) async fn look(&self, watcher: &mut Watcher<Live>) -> Result<Arc<Live>, (Failure, Lifetime)> {
        let now = watcher.seen.borrow().clone();
        let state = if matches!(now, Seen::Loading) {
            let is_there = |seen: &Seen<Live>| !matches!(seen, Seen::Loading);
            match tokio::time::timeout(LOOK_MAX, watcher.seen.wait_for(is_there)).await {
                Ok(Ok(seen)) => seen.clone(),
                Ok(Err(_)) | Err(_) => Seen::Unavailable,
            }
        } else {
            now
        };
        let live = state_of(state)?;
        if live.stream.is_gone((self.now)()) {
            return Err((
                nothing(),
                Lifetime { target: live.stream.target_duration.max(1), is_blocking: false },
            ));
        }
        Ok(live)
    }

    /// Waits until `decide` is done with waiting, [`BLOCKED_TARGETS_MAX`] target durations at most.
    pub(crate) async fn wait(
        &self,
        watcher: &mut Watcher<Live>,
        now: Arc<Live>,
        decide: impl Fn(&Stream) -> Decision,
        lifetime: Lifetime,
    ) -> Result<Arc<Live>, (Failure, Lifetime)> {
        let failed = |failure| Err((failure, lifetime));
        let deadline = Instant::now() + BLOCKED_TARGETS_MAX * Duration::from_secs(lifetime.target.into());
        let seen = &mut watcher.seen;
        let mut live = now;
        loop {
            match decide(&live.stream) {
                Decision::Ready => return Ok(live),
                Decision::Bad(message) => return failed(Failure::bad(message)),
                Decision::NotFound => {
                    return failed(Failure::not_found("there is no such part, and none is coming"));
                }
                Decision::Wait => {}
            }
            let _blocked = self.metrics.block();
            let serial = live.stream.serial;
            // Who waits long holds no state that is gone by then.
            drop(live);
            let is_done = |seen: &Seen<Live>| match seen {
                Seen::Here(live) => live.stream.serial != serial && decide(&live.stream) != Decision::Wait,
                Seen::Absent | Seen::Unavailable => true,
                Seen::Loading => false,
            };
            let state = tokio::select! {
                state = seen.wait_for(is_done) => state.map_or(Seen::Unavailable, |seen| seen.clone()),
                () = tokio::time::sleep_until(deadline) => return failed(Failure::overdue()),
                () = self.shutdown.cancelled() => return failed(Failure::unavailable("this node is ending")),
            };
            live = state_of(state)?;
        }
    }
}

pub(crate) fn nothing() -> Failure {
    Failure::not_found("there is no such stream, or it has no media yet")
}

fn state_of(seen: Seen<Live>) -> Result<Arc<Live>, (Failure, Lifetime)> {
    match seen {
        Seen::Here(live) => Ok(live),
        Seen::Absent => Err((nothing(), Lifetime::unknown())),
        Seen::Loading | Seen::Unavailable => {
            Err((Failure::unavailable("the store does not answer; try again"), Lifetime::unknown()))
        }
    }
}

fn playlist(text: &Text, lifetime: Lifetime, request: &Request<'_>) -> Response<Body> {
    let is_gzip = reply::takes_gzip(request.headers);
    let encoded = if is_gzip { text.gzip() } else { text.plain() };
    let found = Found { content_type: PLAYLIST_TYPE, max_age: lifetime.of_playlist(), etag: &encoded.etag };
    reply::playlist(&found, &encoded.bytes, is_gzip, request.headers)
}
