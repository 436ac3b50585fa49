//! The signaling daemon's flags (OPERATIONS.md, flags of the daemons).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mobz_core::hls::stream;
use mobz_core::settings::Settings as Rules;
use mobz_core::signal::IceServer;
use mobz_core::token::Keys;
use mobz_core::turn::Turn;
use mobz_runtime::config::{Common, ConfigError, duration, quantity};

/// The signaling daemon's flags.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Where to listen for WebSocket and the control API
    #[arg(long, env = "MOBZ_LISTEN", default_value = "127.0.0.1:7880", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// What all daemons have.
    #[command(flatten)]
    pub common: Common,
    /// What clients are told and held to.
    #[command(flatten)]
    pub clients: ClientSettings,
}

/// What clients are told and held to.
#[derive(Clone, Debug, Args)]
pub struct ClientSettings {
    /// Where players reach the origin, for the playback URL
    #[arg(long, env = "MOBZ_ORIGIN_URL", value_name = "URL")]
    pub origin_url: Option<String>,
    /// Hand out playback URLs that carry a token
    #[arg(long, env = "MOBZ_PRIVATE_PLAYBACK")]
    pub private_playback: bool,
    /// How much of a stream's past is kept and listed; more is DVR
    #[arg(long, env = "MOBZ_WINDOW", default_value = "60s", value_parser = duration)]
    pub window: Duration,
    /// The most media a room may send, in bits a second; ten seconds of it may come at once
    #[arg(long, env = "MOBZ_BITRATE_MAX", default_value = "50M", value_parser = quantity, value_name = "BITS")]
    pub bitrate_max: u64,
    /// The largest part a room may send
    #[arg(long, env = "MOBZ_PART_BYTES_MAX", default_value = "8M", value_parser = quantity, value_name = "BYTES")]
    pub part_bytes_max: u64,
    /// The most media a room's playlists may list; the store holds up to twice as much
    #[arg(long, env = "MOBZ_WINDOW_BYTES_MAX", default_value = "1G", value_parser = quantity, value_name = "BYTES")]
    pub window_bytes_max: u64,
    /// A STUN server for clients; may be given several times
    #[arg(long = "ice-server", env = "MOBZ_ICE_SERVERS", value_delimiter = ',', value_name = "URL")]
    pub ice_servers: Vec<String>,
    /// A TURN server for clients, with time-limited credentials; may be given several times
    #[arg(long, env = "MOBZ_TURN", value_delimiter = ',', value_name = "URL", requires = "turn-secret")]
    pub turn: Vec<String>,
    /// The file with the secret shared with the TURN server
    #[arg(long, env = "MOBZ_TURN_SECRET_FILE", value_name = "FILE", group = "turn-secret")]
    pub turn_secret_file: Option<PathBuf>,
    /// That secret itself instead of a file
    #[arg(
        long = "turn-secret-inline",
        env = "MOBZ_TURN_SECRET",
        value_name = "SECRET",
        group = "turn-secret",
        hide = true,
        hide_env_values = true
    )]
    pub turn_secret_inline: Option<String>,
    /// How long a TURN credential is good
    #[arg(long, env = "MOBZ_TURN_TTL", default_value = "1h", value_parser = duration)]
    pub turn_ttl: Duration,
    /// How often clients send a heartbeat
    #[arg(long, env = "MOBZ_HEARTBEAT_INTERVAL", default_value = "10s", value_parser = duration)]
    pub heartbeat_interval: Duration,
    /// How long a client may be silent
    #[arg(long, env = "MOBZ_HEARTBEAT_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub heartbeat_timeout: Duration,
    /// How long a lost client may take to come back
    #[arg(long, env = "MOBZ_RESUME_GRACE", default_value = "15s", value_parser = duration)]
    pub resume_grace: Duration,
}

impl ClientSettings {
    /// What streams are held to.
    pub fn streams(&self) -> stream::Settings {
        stream::Settings {
            window: self.window,
            bitrate_max: self.bitrate_max,
            part_bytes_max: self.part_bytes_max,
            window_bytes_max: self.window_bytes_max,
        }
    }

    /// The settings as the rules see them.
    ///
    /// # Errors
    /// When the TURN secret cannot be read.
    pub fn rules(&self, keys: Option<&Keys>) -> Result<Rules, ConfigError> {
        let turn = match self.turn_secret()? {
            Some(secret) if !self.turn.is_empty() => {
                Some(Turn { urls: self.turn.clone(), secret, ttl: self.turn_ttl })
            }
            Some(_) | None => None,
        };
        let ice_server =
            |url: &String| IceServer { urls: vec![url.clone()], username: None, credential: None };
        Ok(Rules {
            heartbeat_interval: self.heartbeat_interval,
            heartbeat_timeout: self.heartbeat_timeout,
            resume_grace: self.resume_grace,
            ice_servers: self.ice_servers.iter().map(ice_server).collect(),
            turn,
            origin_url: self.origin_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            private_playback: keys.filter(|_| self.private_playback).cloned(),
            ..Rules::default()
        })
    }

    fn turn_secret(&self) -> Result<Option<String>, ConfigError> {
        let Some(path) = &self.turn_secret_file else { return Ok(self.turn_secret_inline.clone()) };
        let secret = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.clone(), source })?;
        Ok(Some(secret.trim().to_owned()))
    }
}
