//! The address of this machine that media use. Loopback is the last choice: Janus has no media there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use reqwest::Url;

use super::super::limits::WHAT;
use crate::error::{Failure, Result, os};

/// Any address beyond this network (RFC 5737): nothing is sent there.
const BEYOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The address from which this machine reaches the server; where the server is on this machine, the one from
/// which it reaches others.
pub(super) fn find(named: Option<IpAddr>, server: &Url) -> Result<IpAddr> {
    let address = match named {
        Some(address) => address,
        None => to_server(server).or_else(to_others).unwrap_or(Ipv4Addr::LOCALHOST.into()),
    };
    UdpSocket::bind((address, 0)).map_err(|error| {
        let why = format!("media cannot use {address}: {}", os(&error));
        Failure::usage(WHAT, why, "name an address of this machine with --media-address")
    })?;
    Ok(address)
}

fn to_server(server: &Url) -> Option<IpAddr> {
    let port = server.port_or_known_default()?;
    let addresses = server.socket_addrs(|| Some(port)).ok()?;
    addresses.into_iter().find_map(|to| own_address_to(to.ip())).filter(|own| !own.is_loopback())
}

fn to_others() -> Option<IpAddr> {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let networks = routes.lines().skip(1).filter_map(network);
    std::iter::once(BEYOND).chain(networks).find_map(|to| own_address_to(to.into()))
}

/// An address in the network of a line of `/proc/net/route` (proc(5)).
fn network(line: &str) -> Option<Ipv4Addr> {
    let destination = u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()?;
    // The kernel prints it as it lies in memory.
    let network = u32::from_be_bytes(destination.to_ne_bytes());
    Some(Ipv4Addr::from_bits(network | 1))
}

/// The address the kernel would send from.
fn own_address_to(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_from_a_line_of_the_kernel() {
        let line = "media0\t0063630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        assert_eq!(network(line), Some(Ipv4Addr::new(10, 99, 99, 1)));
        assert_eq!(network("nonsense"), None);
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let server: Url = "ws://127.0.0.1:7880/signal".parse().unwrap();
        assert!(find(Some(BEYOND.into()), &server).is_err());
        let own = Ipv4Addr::LOCALHOST.into();
        assert_eq!(find(Some(own), &server).unwrap(), own);
    }
}
