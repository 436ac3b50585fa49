//! `mobzctl launch janus`.

use mobz_regulator::{MediaServerError, MediaServerSettings, serve_media_server};
use mobz_runtime::lifecycle::shutdown_on_signals;

use crate::commands::daemon_failed;
use crate::error::{Failure, Result, chain};
use crate::exit::Exit;

/// Runs a Janus until it is asked to end.
pub(super) async fn run(settings: MediaServerSettings) -> Result<Exit> {
    let shutdown = shutdown_on_signals().map_err(|error| daemon_failed("Janus", &error))?;
    serve_media_server(settings, shutdown).await.map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}

fn failed(error: &MediaServerError) -> Failure {
    let remedy = match error {
        MediaServerError::Settings(_) => {
            "name a STUN server that answers with --stun-server, or the address itself with --public-ip"
        }
        MediaServerError::Write { .. } => "make it writable, or name another with --admin-secret-file",
        MediaServerError::Spawn(_) => "check that Janus runs here: `mobzctl doctor`",
        MediaServerError::Ended { .. } => {
            "read what it said; start it again, and its regulator makes its stations anew"
        }
    };
    Failure::failed("Janus cannot run", chain(error), remedy)
}
