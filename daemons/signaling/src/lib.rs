//! The WebSocket and control-API daemon. May touch core, runtime and HTTP; it holds no room rule.

mod api;
mod connection;
mod data;
mod settings;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt as _;
use mobz_core::settings::FRAME_MAX;
use mobz_core::store::{Store, StoreError};
use mobz_core::token::Keys;
use mobz_runtime::clock;
use mobz_runtime::config::ConfigError;
use mobz_runtime::control::Control;
use mobz_runtime::node::Node;
use mobz_runtime::streams::Streams;
pub use settings::{ClientSettings, Settings};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The WebSocket subprotocol (PROTOCOL.md §2).
const SUBPROTOCOL: &str = "mobz.v1";
/// What is read at once from a client; small, for there are many.
const READ_BUFFER: usize = 2 << 10;
/// What is gathered before it is written to a client.
const WRITE_BUFFER: usize = 4 << 10;
/// How far over the limit a message is still read, so that it can be refused in words.
const OVERSIZE_READ_MAX: usize = 2 * FRAME_MAX;

/// Why the daemon did not start, or ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The settings are no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network failed.
    #[error("cannot serve")]
    Io(#[from] std::io::Error),
}

/// What every request sees.
#[derive(Clone)]
struct App {
    node: Arc<Node>,
    streams: Arc<Streams>,
    keys: Option<Arc<Keys>>,
    shutdown: CancellationToken,
}

impl FromRef<App> for Control {
    fn from_ref(app: &App) -> Self {
        Self::new(app.node.clone())
    }
}

/// Serves signaling and the control API on `listener` until `shutdown`, then sees clients off.
///
/// # Errors
/// When the settings are no good, or the store cannot be reached at the start.
pub async fn serve(
    settings: Settings,
    store: Arc<dyn Store>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let keys = settings.common.read_keys()?;
    settings.common.check_open(listener.local_addr()?, keys.as_ref())?;
    let rules = settings.clients.rules(keys.as_ref())?;
    let node = Node::new(settings.common.node_id(), rules, store);
    tracing::info!(node = %node.id(), listen = %listener.local_addr()?, store = %node.store().describe(), "signaling");
    let streams = Streams::new(node.store().clone(), Arc::new(clock::now), settings.clients.streams());
    let streams = Arc::new(streams);
    let app = App {
        node: node.clone(),
        streams: streams.clone(),
        keys: keys.map(Arc::new),
        shutdown: shutdown.clone(),
    };
    let router = Router::new()
        .route("/", any(upgrade))
        .route("/signal", any(upgrade))
        .merge(api::router(app.clone()))
        .fallback(api::not_found)
        .with_state(app);
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
    });
    let http = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let run = async {
        let ran = node.run(shutdown.clone()).await;
        shutdown.cancel();
        ran
    };
    let (served, ran, ()) = tokio::join!(http.into_future(), run, streams.watch_silence(shutdown.clone()));
    served?;
    Ok(ran?)
}

async fn upgrade(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(OVERSIZE_READ_MAX)
        .max_frame_size(OVERSIZE_READ_MAX)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(move |socket| connection::serve(app, socket))
}
