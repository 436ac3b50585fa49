//! `mobzctl launch signaling`.

use mobz_runtime::lifecycle::shutdown_on_signals;
use mobz_signaling::{Settings, serve};

use crate::commands::{daemon_failed, open_store};
use crate::error::{Failure, Result};
use crate::exit::Exit;

/// Serves until it is asked to end.
pub(super) async fn run(settings: Settings) -> Result<Exit> {
    let shutdown = shutdown_on_signals().map_err(|error| daemon_failed("signaling", &error))?;
    // Told before the store is looked for: the remedy is on the command line.
    let keys = settings.common.read_keys().map_err(|error| daemon_failed("signaling", &error))?;
    settings
        .common
        .check_open(settings.listen, keys.as_ref())
        .map_err(|error| daemon_failed("signaling", &error))?;
    let Some(redis) = settings.common.redis.clone() else {
        return Err(Failure::usage(
            "cannot launch signaling",
            "there is no store",
            "name a Redis with --redis URL (MOBZ_REDIS), or run the whole stack in memory with `mobzctl up`",
        ));
    };
    let listener = super::listen(settings.listen).await?;
    let store = open_store(Some(&redis)).await?;
    serve(settings, store, listener, shutdown).await.map_err(|error| daemon_failed("signaling", &error))?;
    Ok(Exit::Done)
}
