//! The LL-HLS origin daemon: HTTP over core's playlists. May touch core, runtime and HTTP.

mod access;
mod asked;
mod body;
mod date;
mod live;
mod media;
mod metrics;
mod playlist;
mod reply;
mod route;
mod server;
mod settings;
mod tls;

use std::sync::Arc;

use hyper::header::DATE;
use hyper::{HeaderMap, Method, Response, StatusCode};
use mobz_core::hls::request::Resource;
use mobz_core::hls::stream::TARGET_DURATION_DEFAULT;
use mobz_core::store::Store;
use mobz_runtime::clock;
use mobz_runtime::config::ConfigError;
use mobz_runtime::streams::Now;
use mobz_runtime::views::Views;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::asked::Asked;
use crate::body::Body;
use crate::date::Date;
use crate::live::Live;
use crate::media::MediaCache;
use crate::metrics::Metrics;
use crate::reply::{Failure, Lifetime};
use crate::route::{Place, Route};
use crate::tls::Tls;

pub use crate::settings::{PlaybackSettings, Settings};
pub use crate::tls::{TlsError, TlsSettings};

/// Why the daemon did not start, or ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The settings are no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Private playback needs keys to check tokens with.
    #[error("private playback needs keys: give --keys FILE or MOBZ_KEYS")]
    NoKeys,
    /// The certificate cannot be used.
    #[error("cannot serve TLS")]
    Tls(#[from] TlsError),
    /// The network failed.
    #[error("cannot serve playback")]
    Io(#[from] std::io::Error),
}

/// Serves playback on `listener` until `shutdown`; then answers who waits with 503 and ends in bounded time.
///
/// # Errors
///
/// When the settings are no good, or the listener breaks down.
pub async fn serve(
    settings: Settings,
    store: Arc<dyn Store>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let keys = settings.common.read_keys()?;
    settings.common.check_open(listener.local_addr()?, keys.as_ref())?;
    let access = match (settings.private_playback, keys) {
        (false, _) => Access::Public,
        (true, Some(keys)) => Access::Private(keys),
        (true, None) => return Err(ServeError::NoKeys),
    };
    let tls = Tls::open(&settings.playback.tls)?;
    let now: Now = Arc::new(clock::now);
    let views = Views::new(Arc::clone(&store), Arc::clone(&now), Live::new, shutdown.clone());
    tracing::info!(
        node = %settings.common.node_id(), listen = %listener.local_addr()?, store = %store.describe(), "origin"
    );
    let cache = MediaCache::new(settings.playback.cache_bytes);
    let (date, metrics) = (Date::default(), Metrics::default());
    let app = Arc::new(App { store, now, views, access, cache, date, metrics, shutdown });
    let reload = async {
        match &tls {
            Some(tls) => Arc::clone(tls).watch(app.shutdown.clone()).await,
            None => app.shutdown.cancelled().await,
        }
    };
    let (served, (), ()) =
        tokio::join!(server::serve(Arc::clone(&app), tls.clone(), listener), reload, app.sweep());
    served.map_err(ServeError::Io)
}

/// What every request sees.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) now: Now,
    pub(crate) views: Views<Live>,
    pub(crate) access: Access,
    pub(crate) cache: MediaCache,
    pub(crate) date: Date,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
}

/// One request, as far as any answer needs it.
pub(crate) struct Request<'a> {
    pub(crate) route: Route<'a>,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

impl App {
    /// Answers one request.
    pub(crate) async fn answer(&self, asked: &Asked) -> Response<Body> {
        let mut response = if asked.method == Method::OPTIONS {
            reply::preflight()
        } else if asked.method != Method::GET && asked.method != Method::HEAD {
            reply::method_not_allowed()
        } else {
            let (kind, response) = self.read(asked).await;
            self.metrics.answered(kind, response.status());
            if asked.method == Method::HEAD { reply::without_body(response) } else { response }
        };
        response.headers_mut().insert(DATE, self.date.of((self.now)()));
        response
    }

    async fn read(&self, asked: &Asked) -> (&'static str, Response<Body>) {
        match asked.path() {
            "/healthz" => ("health", reply::text(StatusCode::OK, "ok\n")),
            "/readyz" => ("health", self.readiness().await),
            "/metrics" => {
                ("metrics", reply::text(StatusCode::OK, self.metrics.render(&self.views, &self.cache)))
            }
            path => self.play(path, asked.query(), &asked.headers).await,
        }
    }

    async fn play(&self, path: &str, query: &str, headers: &HeaderMap) -> (&'static str, Response<Body>) {
        let Some(route) = Route::parse(path) else {
            let failure = Failure::not_found("no such path; a stream plays at /hls/<room>/index.m3u8");
            return ("unknown", failure.into_response(Lifetime::unknown(), false));
        };
        let is_private = self.access.is_private();
        let lifetime = Lifetime { target: TARGET_DURATION_DEFAULT, is_blocking: false };
        if let Err(failure) = self.access.check(&route.room, route.token, (self.now)()) {
            return ("refused", failure.into_response(lifetime, is_private));
        }
        let request = Request { route, query, headers };
        let (kind, answered) = match &request.route.place {
            Place::Multivariant => ("multivariant", self.multivariant(&request).await),
            Place::Track(_, Resource::Playlist) => ("playlist", self.playlist(&request).await),
            Place::Track(_, Resource::IFrames) => ("iframes", self.iframes(&request).await),
            Place::Track(_, Resource::Init(_)) => ("init", self.media(&request).await),
            Place::Track(_, Resource::Segment(_)) => ("segment", self.media(&request).await),
            Place::Track(_, Resource::Part(..)) => ("part", self.media(&request).await),
        };
        let response = match answered {
            Ok(response) => response,
            Err((failure, lifetime)) => failure.into_response(lifetime, is_private),
        };
        (kind, reply::shared(response, is_private))
    }

    async fn readiness(&self) -> Response<Body> {
        if self.shutdown.is_cancelled() {
            return reply::text(StatusCode::SERVICE_UNAVAILABLE, "ending\n");
        }
        match self.store.ping().await {
            Ok(()) => reply::text(StatusCode::OK, "ready\n"),
            Err(error) => reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    }
}
