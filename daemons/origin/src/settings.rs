//! The origin daemon's flags (OPERATIONS.md, flags of the daemons).

use std::net::SocketAddr;

use clap::Args;
use mobz_runtime::config::{Common, quantity};

use crate::tls::TlsSettings;

/// How much media is kept by default: half a minute of ten streams of 2 Mbit/s.
const CACHE_BYTES: &str = "64M";

/// The origin daemon's flags.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Where to listen for players
    #[arg(long, env = "MOBZ_LISTEN", default_value = "127.0.0.1:7881", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// What all daemons have.
    #[command(flatten)]
    pub common: Common,
    /// Let only those play who have a playback URL with a token
    #[arg(long, env = "MOBZ_PRIVATE_PLAYBACK")]
    pub private_playback: bool,
    /// What `up` has too.
    #[command(flatten)]
    pub playback: PlaybackSettings,
}

/// How players are served; flags of `up` too.
#[derive(Clone, Debug, Args)]
pub struct PlaybackSettings {
    /// How much media to keep beside the store, in bytes; what was asked for last stays
    #[arg(long, env = "MOBZ_CACHE_BYTES", default_value = CACHE_BYTES, value_parser = quantity, value_name = "BYTES")]
    pub cache_bytes: u64,
    /// The certificate, where TLS is served.
    #[command(flatten)]
    pub tls: TlsSettings,
}
