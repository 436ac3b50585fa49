//! The regulator: drives one Janus, and with it is a munit. May touch core, runtime, janus-client and HTTP;
//! `reconcile.rs`, `lifecycle.rs`, `moving.rs` and `plane/` are pure.

mod driver;
mod http;
pub mod lifecycle;
mod media_server;
mod media_settings;
mod metrics;
pub mod moving;
pub mod opaque;
pub mod plane;
pub mod reconcile;
mod sdp;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use mobz_core::settings::Settings as Rules;
use mobz_core::store::Store;
use mobz_runtime::clock;
use mobz_runtime::node::Node;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use crate::driver::{House, JanusError, MediaServer, Munit, Place, Reach, Reached, RegulatorError};
pub use crate::media_server::{MediaServerError, MediaServerSettings, serve_media_server};
pub use crate::media_settings::{MediaSettings, PublicIp};
pub use crate::settings::{CAPACITY_STATIONS, CAPACITY_VIEWERS, Settings};
pub use janus_client::spawn::{Config, find as find_janus};

use crate::driver::Driver;
use crate::metrics::Metrics;

/// The pause before a regulator that broke is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// What a munit tells once it takes stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The API of its Janus.
    pub janus: String,
}

/// Is `munit` until `shutdown`, or until it is stopped. `ready` is told once it is registered; on `listener`
/// it answers `/healthz`, `/readyz` and `/metrics`.
///
/// # Errors
/// When Janus or the store cannot be reached at the start, or another process speaks for the munit.
pub async fn serve(
    munit: Munit,
    store: Arc<dyn Store>,
    listener: Option<TcpListener>,
    ready: oneshot::Sender<Ready>,
    shutdown: CancellationToken,
) -> Result<(), RegulatorError> {
    let metrics = Metrics::default();
    let http = CancellationToken::new();
    if let Some(listener) = listener {
        let serving = http::serve(listener, metrics.clone(), http.clone());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::warn!(%error, "nobody can ask how the regulator is");
            }
        });
    }
    let _http = http.drop_guard();
    // Rooms are told by the same rules as everywhere; it holds no connection.
    let node = Node::new(clock::node_id(), Rules::default(), store.clone());
    let (started, told) = tokio::select! {
        biased;
        started = Driver::start(munit, store, node, metrics) => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    // Who does not care has dropped it.
    let _unheard = ready.send(told);
    started.run(shutdown).await
}

/// As [`serve`], without HTTP; and a regulator that breaks once it has been ready is started again, and takes over
/// the Janus that it left. Returns when it is asked to end, or its munit is stopped.
///
/// # Errors
/// As [`serve`], at the start.
pub async fn keep_serving(
    munit: Munit,
    store: Arc<dyn Store>,
    ready: oneshot::Sender<Ready>,
    shutdown: CancellationToken,
) -> Result<(), RegulatorError> {
    let mut ready = Some(ready);
    loop {
        let (tell, told) = oneshot::channel();
        let serving = serve(munit.clone(), store.clone(), None, tell, shutdown.clone());
        let passed_on = async {
            if let Ok(told) = told.await
                && let Some(ready) = ready.take()
            {
                // Who does not care has dropped it.
                let _unheard = ready.send(told);
            }
            std::future::pending().await
        };
        let served = tokio::select! {
            served = serving => served,
            served = passed_on => served,
        };
        match served {
            Ok(()) => return Ok(()),
            Err(error) if ready.is_some() => return Err(error),
            Err(error) => tracing::error!(munit = %munit.id, %error, "a regulator broke; it starts again"),
        }
        tokio::select! {
            () = sleep(RESTART_PAUSE) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}
