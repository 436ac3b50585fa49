//! Settings that every daemon has, as flags and `MOBZ_*` environment variables.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mobz_core::id::NodeId;
use mobz_core::token::{Keys, TokenError};
use thiserror::Error;

use crate::clock;

/// Flags that every daemon has.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// The Redis to keep everything in: redis://… or rediss://…, several nodes separated by commas
    #[arg(long, env = "MOBZ_REDIS", value_name = "URL")]
    pub redis: Option<String>,
    /// A YAML file of token keys, one `keyId: secret` a line, secrets of 32 bytes or more
    #[arg(long, env = "MOBZ_KEYS_FILE", value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Token keys as keyId:secret,… instead of a file
    #[arg(long = "keys-inline", env = "MOBZ_KEYS", value_name = "LIST", hide = true, hide_env_values = true)]
    pub keys_inline: Option<String>,
    /// This process's name among the nodes; the host name and a random tail when left out
    #[arg(long, env = "MOBZ_NODE", value_name = "ID")]
    pub node: Option<NodeId>,
    /// Listen beyond loopback without keys: everyone who reaches this server may do everything
    #[arg(long, env = "MOBZ_INSECURE_OPEN")]
    pub insecure_open: bool,
}

/// Why settings are no good.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The key file cannot be read.
    #[error("cannot read the keys in {path}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key file is no YAML of `keyId: secret`.
    #[error("cannot read the keys in {path}: {cause}; write one `keyId: secret` a line")]
    KeyYaml {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A key is no good.
    #[error(transparent)]
    Key(#[from] TokenError),
    /// A munit would take more connections than its Janus has ports.
    #[error(
        "{connections} stations and viewers take as many UDP ports, and --rtp-ports {first}-{last} are fewer; \
         give it more, or smaller capacities"
    )]
    Ports {
        /// How many stations and watched stations it takes together.
        connections: usize,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// Nobody tells this machine's address.
    #[error("the STUN server {server} does not tell this machine's address")]
    Stun {
        /// Which.
        server: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Open to the world by accident.
    #[error(
        "refusing to listen on {0}, beyond loopback, without keys: give --keys FILE, or --insecure-open if everyone who reaches it may do everything"
    )]
    Open(SocketAddr),
}

impl Common {
    /// The token keys, if there are any.
    ///
    /// # Errors
    /// When a file cannot be read or a key is no good.
    pub fn read_keys(&self) -> Result<Option<Keys>, ConfigError> {
        if let Some(path) = &self.keys {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::KeyFile { path: path.clone(), source })?;
            let keys: BTreeMap<String, String> = serde_yaml::from_str(&text)
                .map_err(|error| ConfigError::KeyYaml { path: path.clone(), cause: error.to_string() })?;
            return Ok(Some(Keys::new(keys)?));
        }
        Ok(self.keys_inline.as_deref().map(Keys::parse).transpose()?)
    }

    /// The node's id, given or fresh.
    pub fn node_id(&self) -> NodeId {
        self.node.clone().unwrap_or_else(clock::node_id)
    }

    /// Refuses to be open to the world by accident (PROTOCOL.md §2).
    ///
    /// # Errors
    /// [`ConfigError::Open`].
    pub fn check_open(&self, listen: SocketAddr, keys: Option<&Keys>) -> Result<(), ConfigError> {
        if keys.is_none() && !self.insecure_open && !listen.ip().is_loopback() {
            return Err(ConfigError::Open(listen));
        }
        Ok(())
    }
}

/// Reads a duration as people write it: `333ms`, `15s`, `1h 30m`.
///
/// # Errors
/// A sentence that says how one is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let how = || format!("{text:?} is no duration; write 333ms, 15s, 10m or 1h");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| how())?;
    Duration::try_from(signed).map_err(|_| how())
}

/// Reads a number of bits or bytes as people write it: `800k`, `50M`, `1G`, in thousands.
///
/// # Errors
/// A sentence that says how one is written.
pub fn quantity(text: &str) -> Result<u64, String> {
    let how = || format!("{text:?} is no quantity; write 800k, 50M or 1G");
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        Some(_) | None => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| how())?;
    number.checked_mul(factor).filter(|quantity| *quantity > 0).ok_or_else(how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("333ms"), Ok(Duration::from_millis(333)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("soon").is_err());
        assert!(duration("-5s").is_err());
    }

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(quantity("1500"), Ok(1_500));
        assert_eq!(quantity("800k"), Ok(800_000));
        assert_eq!(quantity("50M"), Ok(50_000_000));
        for text in ["", "M", "0", "-1", "1.5M", "99999999999G"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn beyond_loopback_without_keys_is_refused_unless_told() {
        let world: SocketAddr = "0.0.0.0:7880".parse().unwrap();
        let home: SocketAddr = "127.0.0.1:7880".parse().unwrap();
        let closed = Common::default();
        let open = Common { insecure_open: true, ..Common::default() };
        assert!(closed.check_open(world, None).is_err());
        assert!(closed.check_open(home, None).is_ok());
        assert!(open.check_open(world, None).is_ok());
    }
}
