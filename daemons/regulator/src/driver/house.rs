//! A Janus of the munit's own, which outlives the breakdowns of who drives it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use janus_client::spawn::{Config, Janus, SpawnError};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::JanusError;

/// For how long a Janus whose regulator was killed waits for the next one: what its session held is gone by then
/// ([`Config::reclaim_session_timeout`]).
const GRACE: Duration = Duration::from_secs(60);

/// Where a munit's own Janus lives. Dropping it ends a Janus that lives by this process; one that is kept goes on
/// until its munit's next regulator takes it over, or for a minute.
#[derive(Debug)]
pub struct House {
    config: Config,
    /// Where it is kept; `None` where it lives and dies with this process.
    kept: Option<PathBuf>,
    tenant: Mutex<Option<Arc<Tenant>>>,
}

/// A Janus that runs, and its directory.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) janus: Janus,
    /// `None` where it is kept.
    directory: Option<TempDir>,
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if self.directory.is_none() {
            self.janus.leave();
        }
    }
}

impl House {
    /// One whose Janus ends with this process, however that ends.
    pub fn new(config: Config) -> Self {
        Self { config, kept: None, tenant: Mutex::default() }
    }

    /// One whose Janus is found again in `directory` by the munit's next regulator, where this one is killed.
    pub fn kept(config: Config, directory: PathBuf) -> Self {
        Self { config, kept: Some(directory), tenant: Mutex::default() }
    }

    /// The Janus that runs; one that was left, or a new one, where none does.
    pub(super) async fn tenant(&self) -> Result<Arc<Tenant>, JanusError> {
        let mut tenant = self.tenant.lock().await;
        if let Some(runs) = tenant.as_ref().filter(|tenant| tenant.janus.try_ended().is_none()) {
            return Ok(runs.clone());
        }
        *tenant = None;
        let moves_in = Arc::new(self.move_in().await?);
        *tenant = Some(moves_in.clone());
        Ok(moves_in)
    }

    async fn move_in(&self) -> Result<Tenant, JanusError> {
        if let Some(directory) = &self.kept {
            let config = Config { outlives_us: Some(GRACE), ..self.config.clone() };
            if let Some(janus) = Janus::adopt(&config, directory).await {
                tracing::info!(pid = janus.id(), "took over the Janus of the regulator before");
                return Ok(Tenant { janus, directory: None });
            }
            match Janus::start(&config, directory).await {
                Ok(janus) => return Ok(Tenant { janus, directory: None }),
                // Whoever has it speaks for the munit; which of the two goes on is decided by the record.
                Err(SpawnError::InUse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let directory = TempDir::with_prefix("mobz-janus-").map_err(JanusError::Folder)?;
        let janus = Janus::start(&self.config, directory.path()).await?;
        Ok(Tenant { janus, directory: Some(directory) })
    }

    /// Ends the Janus that runs, if one does.
    pub(super) async fn end(&self) {
        if let Some(tenant) = self.tenant.lock().await.take() {
            tenant.janus.stop().await;
            if let (None, Some(kept)) = (&tenant.directory, &self.kept)
                && let Err(error) = tokio::fs::remove_dir_all(kept).await
            {
                tracing::debug!(%error, "the directory of a Janus that has ended is left");
            }
        }
    }
}
