//! `mobzctl launch origin`.

use mobz_origin::{Settings, serve};
use mobz_runtime::lifecycle::shutdown_on_signals;

use super::{listen, redis};
use crate::commands::{daemon_failed, open_store};
use crate::error::Result;
use crate::exit::Exit;

/// Serves until it is asked to end.
pub(super) async fn run(settings: Settings) -> Result<Exit> {
    let failed = |error: &(dyn std::error::Error + 'static)| daemon_failed("the origin", error);
    let shutdown = shutdown_on_signals().map_err(|error| failed(&error))?;
    let keys = settings.common.read_keys().map_err(|error| failed(&error))?;
    settings.common.check_open(settings.listen, keys.as_ref()).map_err(|error| failed(&error))?;
    let redis = redis(&settings.common, "the origin")?;
    let listener = listen(settings.listen).await?;
    let store = open_store(Some(&redis)).await?;
    serve(settings, store, listener, shutdown).await.map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}
