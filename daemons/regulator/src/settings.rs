//! The regulator's flags (OPERATIONS.md, flags of the daemons).

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use janus_client::spawn::Config;
use mobz_core::id::{MUNIT_ID_LENGTH_MAX, MunitId};
use mobz_core::munit::{Capacity, STATIONS_MAX};
use mobz_runtime::clock;
use mobz_runtime::config::{Common, ConfigError};
use rustix::process::geteuid;

use crate::driver::{House, Munit, Place, Reach};
use crate::media_settings::MediaSettings;

/// The most stations a munit takes unless told otherwise, where it has ports for them.
pub const CAPACITY_STATIONS: usize = 100;
/// The most watched stations a munit takes unless told otherwise, where it has ports for them.
pub const CAPACITY_VIEWERS: usize = 1000;

/// The regulator's flags.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The munit's id, its own among all; what is left out is made up, and is another after a restart
    #[arg(long, env = "MOBZ_MUNIT", value_name = "ID", value_parser = munit_id)]
    pub munit: Option<MunitId>,
    /// The WebSocket API of the Janus to drive
    #[arg(long, env = "MOBZ_JANUS", value_name = "URL", required_unless_present = "spawn_janus")]
    pub janus: Option<String>,
    /// Its Admin API, by which a regulator that was killed takes its session back
    #[arg(long, env = "MOBZ_JANUS_ADMIN", value_name = "URL", requires = "janus")]
    pub janus_admin: Option<String>,
    /// The file with the Admin API's secret
    #[arg(long, env = "MOBZ_JANUS_ADMIN_SECRET_FILE", value_name = "FILE", requires = "janus_admin")]
    pub janus_admin_secret_file: Option<PathBuf>,
    /// Start a Janus, and end it with the regulator; of one that is killed, the next with the same --munit takes
    /// it over within a minute, calls and all
    #[arg(long, env = "MOBZ_SPAWN_JANUS", conflicts_with = "janus")]
    pub spawn_janus: bool,
    /// Where media reach the one that is started.
    #[command(flatten)]
    pub media: MediaSettings,
    /// The most stations it takes; when left out 100, but no more than half of --rtp-ports
    #[arg(long, env = "MOBZ_CAPACITY_STATIONS", value_name = "N", value_parser = stations)]
    pub capacity_stations: Option<usize>,
    /// The most watched stations it takes, summed over all viewers; when left out 1000, but no more than --rtp-ports
    /// has beside a port for each station (900 with the ports it has when these are left out too)
    #[arg(long, env = "MOBZ_CAPACITY_VIEWERS", value_name = "N")]
    pub capacity_viewers: Option<usize>,
    /// Where it runs, for people
    #[arg(long, env = "MOBZ_REGION", value_name = "NAME", default_value = "local")]
    pub region: String,
    /// Where to answer /healthz, /readyz and /metrics; nowhere unless given
    #[arg(long, env = "MOBZ_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// What all daemons have.
    #[command(flatten)]
    pub common: Common,
}

impl Settings {
    /// The munit these settings describe.
    ///
    /// # Errors
    /// When the secret cannot be read, its Janus cannot be kept or has too few ports, or the STUN server does not
    /// answer.
    pub async fn munit(&self) -> Result<Munit, ConfigError> {
        let capacity = self.capacity()?;
        let public_ip = self.media.public_address().await?;
        let secret = match &self.janus_admin_secret_file {
            Some(path) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::File { path: path.clone(), source })?;
                Some(secret.trim().to_owned())
            }
            None => None,
        };
        let janus: Arc<dyn Reach> = Arc::new(if let Some(url) = &self.janus {
            Place::There { url: url.clone(), admin_url: self.janus_admin.clone(), admin_secret: secret }
        } else {
            let config = Config { rtp_ports: self.media.rtp_ports.clone(), public_ip, ..Config::default() };
            Place::Own(Box::new(match self.kept()? {
                Some(directory) => House::kept(config, directory),
                None => House::new(config),
            }))
        });
        let made_up = || format!("m-{:08x}", clock::random() >> 96).parse();
        let id = match &self.munit {
            Some(id) => id.clone(),
            None => made_up().unwrap_or_else(|_| unreachable!("hexadecimal digits are a munit id")),
        };
        let address = public_ip.map_or_else(|| "local".to_owned(), |ip| ip.to_string());
        Ok(Munit { id, region: self.region.clone(), address, capacity, janus })
    }
}

impl Settings {
    /// What it takes: each station and each watched one takes a port of its own, since a connection's media are
    /// bundled.
    fn capacity(&self) -> Result<Capacity, ConfigError> {
        let range = &self.media.rtp_ports;
        let ports = range.len();
        let stations = self.capacity_stations.unwrap_or_else(|| CAPACITY_STATIONS.min(ports / 2));
        let left = ports.saturating_sub(stations);
        let viewers = self.capacity_viewers.unwrap_or_else(|| CAPACITY_VIEWERS.min(left));
        // The ports of one that is there already are what whoever started it says.
        let connections = stations.saturating_add(viewers);
        if self.spawn_janus && connections > ports {
            return Err(ConfigError::Ports { connections, first: *range.start(), last: *range.end() });
        }
        Ok(Capacity { stations, viewers })
    }

    /// Where its Janus is kept for the next regulator of the munit on the same Redis; nowhere for one whose id is
    /// made up: none can follow it.
    fn kept(&self) -> Result<Option<PathBuf>, ConfigError> {
        let Some(munit) = &self.munit else { return Ok(None) };
        let mut hasher = DefaultHasher::new();
        self.common.redis.hash(&mut hasher);
        let folder = runtime_folder().map_err(|(path, source)| ConfigError::File { path, source })?;
        Ok(Some(folder.join(format!("janus-{munit}-{:016x}", hasher.finish()))))
    }
}

/// The folder for what lives as long as processes of this user do: nobody else may read or write there.
fn runtime_folder() -> Result<PathBuf, (PathBuf, io::Error)> {
    let user = geteuid();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("mobz"),
        None => std::env::temp_dir().join(format!("mobz-{}", user.as_raw())),
    };
    let look = || {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let found = fs::symlink_metadata(&folder)?;
        if found.is_dir() && found.uid() == user.as_raw() && found.mode() & 0o022 == 0 {
            Ok(())
        } else {
            Err(io::Error::other("others may write there; remove it, or set XDG_RUNTIME_DIR"))
        }
    };
    look().map_err(|error| (folder.clone(), error)).map(|()| folder.clone())
}

fn munit_id(text: &str) -> Result<MunitId, String> {
    if text.len() > MUNIT_ID_LENGTH_MAX {
        return Err(format!("a munit id has at most {MUNIT_ID_LENGTH_MAX} characters"));
    }
    text.parse().map_err(|error| format!("{error}"))
}

fn stations(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (1..=STATIONS_MAX).contains(&number) { Ok(number) } else { Err(format!("1 to {STATIONS_MAX}")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn capacity(flags: &[&str]) -> Result<(usize, usize), String> {
        let words = ["regulator", "--spawn-janus"].iter().chain(flags);
        let Line { settings } = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let capacity = settings.capacity().map_err(|error| error.to_string())?;
        Ok((capacity.stations, capacity.viewers))
    }

    #[test]
    fn a_munit_takes_no_more_than_it_has_ports_for() {
        assert_eq!(capacity(&[]), Ok((100, 900)));
        assert_eq!(capacity(&["--rtp-ports", "20000-23999"]), Ok((100, 1000)));
        assert_eq!(capacity(&["--rtp-ports", "20000-20099"]), Ok((50, 50)));
        assert_eq!(capacity(&["--capacity-stations", "400"]), Ok((400, 600)));
        let fits = ["--rtp-ports", "20000-21999", "--capacity-stations", "200", "--capacity-viewers", "1800"];
        assert_eq!(capacity(&fits), Ok((200, 1800)));
        let refused = capacity(&["--capacity-viewers", "901"]).unwrap_err();
        assert!(refused.contains("1001") && refused.contains("20000-20999"), "{refused}");
    }

    #[test]
    fn a_munit_id_leaves_room_for_its_stations() {
        assert!(munit_id(&"m".repeat(MUNIT_ID_LENGTH_MAX)).is_ok());
        assert!(munit_id(&"m".repeat(MUNIT_ID_LENGTH_MAX + 1)).is_err());
        assert!(munit_id("a/b").is_err());
    }
}
