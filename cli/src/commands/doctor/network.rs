//! What answers: the endpoint, Redis, TURN servers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::Check;
use crate::control::Client;
use crate::endpoint::{Place, Where};
use crate::error::{Failure, os};
use crate::exit::Exit;

/// How long one STUN request is waited for.
const STUN_TIMEOUT: Duration = Duration::from_millis(700);
/// How many STUN requests are sent: UDP may lose some.
const STUN_ATTEMPTS: usize = 3;
/// How long Redis is waited for.
const REDIS_TIMEOUT: Duration = Duration::from_secs(5);
/// The port of STUN and TURN where a URL names none (RFC 8489 §18.6).
const STUN_PORT: u16 = 3478;
/// STUN's magic cookie (RFC 8489 §5).
const STUN_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

/// The endpoint: reachable, well, and open to this operator.
pub(super) async fn endpoint(place: &Where) -> Vec<Check> {
    let name = "endpoint";
    let found = match Place::find(place) {
        Ok(found) => found,
        Err(failure) => return vec![failed(name, &failure)],
    };
    if let Some(store) = &found.store {
        return vec![redis(store).await];
    }
    let client = match found.admin_token().and_then(|token| Client::new(found.url.clone(), token)) {
        Ok(client) => client,
        Err(failure) => return vec![failed(name, &failure)],
    };
    let shown = found.shown();
    if let Err(failure) = client.probe("healthz").await {
        // Nobody said that a stack should run here.
        let nobody_asked = place.endpoint.is_none() && found.found_by.starts_with("the usual");
        return vec![if nobody_asked && failure.exit() == Exit::Unreachable {
            Check::warn(name, format!("no stack runs at {shown}"), "start one with `mobzctl up`")
        } else {
            failed(name, &failure)
        }];
    }
    let mut checks = vec![Check::ok(name, format!("{shown} is alive ({})", found.found_by))];
    checks.push(match client.probe("readyz").await {
        Ok(()) => Check::ok("ready", "it can serve"),
        Err(failure) => failed("ready", &failure),
    });
    checks.push(match client.rooms(None, None, 1).await {
        Ok(_) => Check::ok("access", "the control API answers"),
        Err(failure) => failed("access", &failure),
    });
    checks
}

fn failed(name: &str, failure: &Failure) -> Check {
    Check::fail(name, failure.why(), failure.remedy())
}

/// Whether a Redis answers.
pub(super) async fn redis(url: &str) -> Check {
    let remedy = "start it, or correct the URL (redis://user:password@host:port)";
    let ping = async {
        let store = mobz_store::open(Some(url)).await?;
        store.ping().await.map(|()| store.describe())
    };
    match timeout(REDIS_TIMEOUT, ping).await {
        Ok(Ok(store)) => Check::ok("redis", format!("{store} answers")),
        Ok(Err(error)) => Check::fail("redis", error.to_string(), remedy),
        Err(_) => Check::fail("redis", "does not answer in time", remedy),
    }
}

/// Whether a STUN or TURN server answers a Binding request over UDP (RFC 8489 §6).
pub(super) async fn stun(url: &str) -> Check {
    let name = format!("turn {url}");
    let remedy = "check that the server runs, and that UDP to it passes every firewall";
    match bind(url).await {
        Ok(seen) => Check::ok(name, format!("answers; sees this machine as {seen}")),
        Err(error) => Check::fail(name, os(&error), remedy),
    }
}

/// The address under which a STUN or TURN server sees this machine.
pub(crate) async fn bind(url: &str) -> io::Result<String> {
    let server = lookup_host(host_and_port(url)?)
        .await?
        .next()
        .ok_or_else(|| io::Error::other("the host has no address"))?;
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let transaction: [u8; 12] = rand::random();
    let request = [&[0, 1, 0, 0][..], &STUN_COOKIE, &transaction].concat();
    let mut answer = [0; 1500];
    for _ in 0..STUN_ATTEMPTS {
        socket.send(&request).await?;
        match timeout(STUN_TIMEOUT, socket.recv(&mut answer)).await {
            Ok(Ok(length)) if answer[..length].get(8..20) == Some(&transaction[..]) => {
                return Ok(
                    mapped_address(&answer[..length]).unwrap_or_else(|| "an unnamed address".to_owned())
                );
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer over UDP"))
}

/// `host:port` of `turn:host[:port][?transport=…]` and its like (RFC 7064, RFC 7065).
fn host_and_port(url: &str) -> io::Result<String> {
    let rest = ["turn:", "turns:", "stun:", "stuns:"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.unwrap_or(url).trim_start_matches('/');
    let host = rest.split('?').next().unwrap_or_default();
    if host.is_empty() {
        return Err(io::Error::other("no host in it; write turn:host:port"));
    }
    let after_bracket = host.rsplit(']').next().unwrap_or(host);
    Ok(if after_bracket.contains(':') { host.to_owned() } else { format!("{host}:{STUN_PORT}") })
}

/// The XOR-MAPPED-ADDRESS of a Binding response, for IPv4 (RFC 8489 §14.2).
fn mapped_address(response: &[u8]) -> Option<String> {
    let mut attributes = response.get(20..)?;
    while attributes.len() >= 4 {
        let kind = u16::from_be_bytes([attributes[0], attributes[1]]);
        let length = usize::from(u16::from_be_bytes([attributes[2], attributes[3]]));
        let value = attributes.get(4..4 + length)?;
        if kind == 0x0020 && value.get(1) == Some(&1) && length >= 8 {
            let port = u16::from_be_bytes([value[2] ^ STUN_COOKIE[0], value[3] ^ STUN_COOKIE[1]]);
            let octets: Vec<String> =
                value[4..8].iter().zip(STUN_COOKIE).map(|(a, b)| (a ^ b).to_string()).collect();
            return Some(format!("{}:{port}", octets.join(".")));
        }
        attributes = attributes.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    #[test]
    fn turn_urls_are_read_with_and_without_port_and_transport() {
        let read = |url| host_and_port(url).unwrap();
        assert_eq!(read("turn:turn.example.org"), "turn.example.org:3478");
        assert_eq!(read("turn:127.0.0.1:3479?transport=udp"), "127.0.0.1:3479");
        assert_eq!(read("stun:[::1]"), "[::1]:3478");
        assert_eq!(read("stun:[::1]:5"), "[::1]:5");
        assert!(host_and_port("turn:").is_err());
    }

    #[tokio::test]
    async fn a_server_that_answers_a_binding_request_is_well() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let mut request = [0; 64];
            let (length, from) = server.recv_from(&mut request).await.unwrap();
            // 192.0.2.1:32853 in the response of RFC 5769 §2.2.
            let address = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
            let response = [&[1, 1, 0, 12], &request[4..length], &address[..]].concat();
            server.send_to(&response, from).await.unwrap();
        });
        let check = stun(&format!("turn:127.0.0.1:{port}")).await;
        answering.await.unwrap();
        assert_eq!(
            (check.verdict, check.detail.as_str()),
            (Verdict::Ok, "answers; sees this machine as 192.0.2.1:32853")
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_fails() {
        let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        drop(holder);
        assert_eq!(stun(&format!("turn:127.0.0.1:{port}")).await.verdict, Verdict::Fail);
    }
}
