//! A real Janus that outlives its regulators.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use janus_client::spawn::{Config, Janus as Spawned};
use tempfile::TempDir;

/// A running Janus, ended when dropped.
#[derive(Debug)]
pub struct Janus {
    janus: Spawned,
    directory: TempDir,
}

impl Janus {
    /// Starts one on free ports.
    pub async fn start() -> Self {
        Self::start_on(30_000..=30_999).await
    }

    /// Starts one with these UDP ports for media.
    pub async fn start_on(rtp_ports: RangeInclusive<u16>) -> Self {
        let directory =
            tempfile::Builder::new().prefix("mobz-janus-").tempdir().expect("a temporary directory");
        let config = Config { rtp_ports, ..Config::default() };
        let janus = Spawned::start(&config, directory.path()).await.expect("Janus starts (is it installed?)");
        std::fs::write(directory.path().join("secret"), &janus.config().admin_secret).expect("a file");
        Self { janus, directory }
    }

    /// Kills it, as a crash would.
    pub async fn kill(&self) {
        self.janus.kill().await;
    }

    /// Its API.
    pub fn url(&self) -> String {
        self.janus.url()
    }

    /// Its Admin API.
    pub fn admin_url(&self) -> String {
        self.janus.admin_url().expect("it has one")
    }

    /// The Admin API's secret.
    pub fn secret_file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }
}
