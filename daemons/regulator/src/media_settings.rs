//! The flags of whoever starts a Janus: where its media are reached.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use clap::Args;
use mobz_runtime::config::ConfigError;
use mobz_runtime::stun::mapped_address;

/// Where clients reach a Janus.
#[derive(Clone, Debug, Args)]
pub struct MediaSettings {
    /// The UDP ports of its media: one for each station and one for each watched station it takes
    #[arg(long, env = "MOBZ_RTP_PORTS", value_name = "FROM-TO", default_value = "20000-20999", value_parser = ports)]
    pub rtp_ports: RangeInclusive<u16>,
    /// The address clients reach it at, where it is behind a 1:1 NAT; `stun` is the one that the STUN server sees
    #[arg(long, env = "MOBZ_PUBLIC_IP", value_name = "IP|stun", value_parser = public_ip)]
    pub public_ip: Option<PublicIp>,
    /// The STUN server that is asked for it
    #[arg(long, env = "MOBZ_STUN_SERVER", value_name = "HOST[:PORT]", required_if_eq("public_ip", "stun"))]
    pub stun_server: Option<String>,
}

/// How the address is found that clients reach a Janus at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicIp {
    /// It is this.
    Is(IpAddr),
    /// It is the one a STUN server sees.
    Stun,
}

impl MediaSettings {
    /// The address to write into candidates; `None` where the machine's own do.
    ///
    /// # Errors
    /// When the STUN server does not answer.
    pub(crate) async fn public_address(&self) -> Result<Option<IpAddr>, ConfigError> {
        match self.public_ip {
            None => Ok(None),
            Some(PublicIp::Is(address)) => Ok(Some(address)),
            Some(PublicIp::Stun) => {
                let server = self.stun_server.clone().unwrap_or_default();
                match mapped_address(&server).await {
                    Ok(seen) => Ok(Some(seen.ip())),
                    Err(source) => Err(ConfigError::Stun { server, source }),
                }
            }
        }
    }
}

fn public_ip(text: &str) -> Result<PublicIp, String> {
    if text == "stun" {
        return Ok(PublicIp::Stun);
    }
    text.parse().map(PublicIp::Is).map_err(|_| format!("{text:?} is no IP address, and not `stun`"))
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
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
    fn a_public_address_is_given_or_asked_for() {
        assert_eq!(public_ip("192.0.2.7"), Ok(PublicIp::Is([192, 0, 2, 7].into())));
        assert_eq!(public_ip("stun"), Ok(PublicIp::Stun));
        assert!(public_ip("example.org").is_err());
    }
}
