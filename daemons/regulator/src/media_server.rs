//! The other half of a munit where the two are containers of one task: a Janus by itself, configured as a regulator
//! wants it, with the secret of its Admin API in a file that the two share.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use janus_client::spawn::{Config, EVENT_LOOPS, Ended, Janus, SpawnError};
use mobz_runtime::config::ConfigError;
use tempfile::TempDir;
use thiserror::Error;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use crate::media_settings::MediaSettings;

/// A port to look for the way to; RFC 863's, where nobody would mind.
const DISCARD: u16 = 9;

/// The flags of a Janus by itself.
#[derive(Clone, Debug, Args)]
pub struct MediaServerSettings {
    /// Where its WebSocket API listens. There is no access control: keep it to loopback
    #[arg(long, env = "MOBZ_JANUS_LISTEN", default_value_t = loopback(8188), value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// Where its Admin API listens
    #[arg(long, env = "MOBZ_JANUS_ADMIN_LISTEN", default_value_t = loopback(7188), value_name = "ADDR:PORT")]
    pub admin_listen: SocketAddr,
    /// The file that the Admin API's secret is written to, made up anew, for the regulator to read
    #[arg(long, env = "MOBZ_JANUS_ADMIN_SECRET_FILE", value_name = "FILE")]
    pub admin_secret_file: PathBuf,
    /// Where its media are reached.
    #[command(flatten)]
    pub media: MediaSettings,
    /// How many threads handles share; two for each core do
    #[arg(long, env = "MOBZ_JANUS_EVENT_LOOPS", value_name = "N", default_value_t = EVENT_LOOPS)]
    pub event_loops: u32,
}

/// Why there is no Janus, or none any more.
#[derive(Debug, Error)]
pub enum MediaServerError {
    /// The STUN server does not answer.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The secret or the folder of the configuration cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It ended by itself, and all calls with it.
    #[error("Janus ended ({ended}); its last lines:\n{tail}")]
    Ended {
        /// How.
        ended: Ended,
        /// What it said last.
        tail: String,
    },
}

/// Runs a Janus until `shutdown`.
///
/// # Errors
/// When it does not start, or ends by itself.
pub async fn serve_media_server(
    settings: MediaServerSettings,
    shutdown: CancellationToken,
) -> Result<(), MediaServerError> {
    let public_ip = settings.media.public_address().await?;
    // A task has addresses that only its host reaches, too: those are no place for media.
    let ice_enforce = match public_ip {
        Some(public_ip) => own_address(public_ip).await.map(|own| own.to_string()),
        None => None,
    };
    let config = Config {
        listen: settings.listen,
        admin_listen: Some(settings.admin_listen),
        public_ip,
        ice_enforce: ice_enforce.into_iter().collect(),
        rtp_ports: settings.media.rtp_ports,
        event_loops: settings.event_loops,
        ..Config::default()
    };
    write_secret(&settings.admin_secret_file, &config.admin_secret)?;
    let folder = TempDir::with_prefix("mobz-janus-")
        .map_err(|source| MediaServerError::Write { path: std::env::temp_dir(), source })?;
    let janus = Janus::start(&config, folder.path()).await?;
    tracing::info!(url = janus.url(), public_ip = ?config.public_ip, "Janus is up");
    tokio::select! {
        ended = janus.ended() => Err(MediaServerError::Ended { ended, tail: janus.tail() }),
        () = shutdown.cancelled() => {
            janus.stop().await;
            Ok(())
        }
    }
}

/// The address of this machine from which packets to `there` are sent; none are. `None` when there is no way.
async fn own_address(there: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = if there.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect((there, DISCARD)).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Writes what only this user may read. A file that an earlier run left is written anew.
fn write_secret(path: &Path, secret: &str) -> Result<(), MediaServerError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(secret.as_bytes()));
    written.map_err(|source| MediaServerError::Write { path: path.to_owned(), source })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_own_address_is_the_one_that_packets_are_sent_from() {
        let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(own_address(home).await, Some(home));
    }
}
