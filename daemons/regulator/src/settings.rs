//! The regulator's flags (OPERATIONS.md, flags of the daemons).

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use janus_client::spawn::Config;
use mobz_core::id::{MUNIT_ID_LENGTH_MAX, MunitId};
use mobz_core::munit::{Capacity, STATIONS_MAX};
use mobz_runtime::clock;
use mobz_runtime::config::{Common, ConfigError};

use crate::driver::{Munit, Place};

/// The most stations a munit takes unless told otherwise.
pub const CAPACITY_STATIONS: usize = 100;
/// The most watched stations a munit takes unless told otherwise.
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
    /// Start a Janus, and end it with the regulator
    #[arg(long, env = "MOBZ_SPAWN_JANUS", conflicts_with = "janus")]
    pub spawn_janus: bool,
    /// The UDP ports of its media
    #[arg(long, env = "MOBZ_RTP_PORTS", value_name = "FROM-TO", default_value = "20000-20999", value_parser = ports)]
    pub rtp_ports: RangeInclusive<u16>,
    /// The address clients reach it at, where it is behind a 1:1 NAT
    #[arg(long, env = "MOBZ_PUBLIC_IP", value_name = "IP")]
    pub public_ip: Option<IpAddr>,
    /// The most stations it takes
    #[arg(long, env = "MOBZ_CAPACITY_STATIONS", value_name = "N", default_value_t = CAPACITY_STATIONS, value_parser = stations)]
    pub capacity_stations: usize,
    /// The most watched stations it takes, summed over all viewers
    #[arg(long, env = "MOBZ_CAPACITY_VIEWERS", value_name = "N", default_value_t = CAPACITY_VIEWERS)]
    pub capacity_viewers: usize,
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
    /// When the secret cannot be read.
    pub fn munit(&self) -> Result<Munit, ConfigError> {
        let secret = match &self.janus_admin_secret_file {
            Some(path) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::File { path: path.clone(), source })?;
                Some(secret.trim().to_owned())
            }
            None => None,
        };
        let janus = match &self.janus {
            Some(url) => {
                let admin_url = self.janus_admin.clone();
                Place::There { url: url.clone(), admin_url, admin_secret: secret }
            }
            None => Place::Spawned(Box::new(Config {
                rtp_ports: self.rtp_ports.clone(),
                public_ip: self.public_ip,
                ..Config::default()
            })),
        };
        let made_up = || format!("m-{:08x}", clock::random() >> 96).parse();
        let id = match &self.munit {
            Some(id) => id.clone(),
            None => made_up().unwrap_or_else(|_| unreachable!("hexadecimal digits are a munit id")),
        };
        let address = self.public_ip.map_or_else(|| "local".to_owned(), |ip| ip.to_string());
        let capacity = Capacity { stations: self.capacity_stations, viewers: self.capacity_viewers };
        Ok(Munit { id, region: self.region.clone(), address, capacity, janus })
    }
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

pub(crate) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let how = || format!("{text:?} is no range of ports; write 20000-20999");
    let (first, last) = text.split_once('-').ok_or_else(how)?;
    let (first, last): (u16, u16) = (first.parse().map_err(|_| how())?, last.parse().map_err(|_| how())?);
    if first == 0 || first >= last { Err(how()) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports_are_read_as_people_write_them() {
        assert_eq!(ports("20000-20999"), Ok(20000..=20999));
        for wrong in ["20000", "20999-20000", "0-5", "a-b", "1-70000"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_munit_id_leaves_room_for_its_stations() {
        assert!(munit_id(&"m".repeat(MUNIT_ID_LENGTH_MAX)).is_ok());
        assert!(munit_id(&"m".repeat(MUNIT_ID_LENGTH_MAX + 1)).is_err());
        assert!(munit_id("a/b").is_err());
    }
}
