//! The origin daemon's flags (OPERATIONS.md, flags of the daemons).

use std::net::SocketAddr;

use clap::Args;
use mobz_runtime::config::Common;

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
}
