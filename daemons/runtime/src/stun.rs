//! Under which address a STUN or TURN server sees this machine (RFC 8489).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageClass, MessageWriteVec, TransactionId};
use stun_types::prelude::MessageWrite;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// How long each request may stay without answer.
const ANSWER_MAX: Duration = Duration::from_millis(700);
/// How often it is asked: UDP loses packets.
const ATTEMPTS_MAX: usize = 3;
/// Where such servers listen unless told otherwise.
const PORT: u16 = 3478;
/// The longest answer that is read.
const ANSWER_LENGTH_MAX: usize = 1500;

/// Asks the server at `url`, `[stun:]host[:port]` or a TURN server's URL, by a Binding request over UDP.
///
/// # Errors
/// When there is no such server, or it does not answer within some seconds.
pub async fn mapped_address(url: &str) -> io::Result<SocketAddr> {
    let server = lookup_host(host_and_port(url)?)
        .await?
        .next()
        .ok_or_else(|| io::Error::other("the host has no address"))?;
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let transaction = Message::from_bytes(&request).map_err(io::Error::other)?.transaction_id();
    let mut answer = [0; ANSWER_LENGTH_MAX];
    for _ in 0..ATTEMPTS_MAX {
        socket.send(&request).await?;
        if let Ok(received) = timeout(ANSWER_MAX, socket.recv(&mut answer)).await
            && let Some(address) = address_in(&answer[..received?], transaction)
        {
            return Ok(address);
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer over UDP"))
}

/// What a Binding response to `transaction` says.
fn address_in(answer: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let answer = Message::from_bytes(answer).ok()?;
    let is_it = answer.has_class(MessageClass::Success) && answer.transaction_id() == transaction;
    is_it.then(|| answer.attribute::<XorMappedAddress>().ok())?.map(|mapped| mapped.addr(transaction))
}

/// `host:port` of `stun:host[:port]`, `turn:host[:port][?transport=…]` and their like (RFC 7064, RFC 7065).
fn host_and_port(url: &str) -> io::Result<String> {
    let rest = ["turn:", "turns:", "stun:", "stuns:"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.unwrap_or(url).trim_start_matches('/');
    let host = rest.split('?').next().unwrap_or_default();
    if host.is_empty() {
        return Err(io::Error::other("no host in it; write host:port"));
    }
    let after_bracket = host.rsplit(']').next().unwrap_or(host);
    Ok(if after_bracket.contains(':') { host.to_owned() } else { format!("{host}:{PORT}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_and_without_scheme_port_and_transport() {
        let read = |url| host_and_port(url).unwrap();
        assert_eq!(read("turn:turn.example.org"), "turn.example.org:3478");
        assert_eq!(read("turn:127.0.0.1:3479?transport=udp"), "127.0.0.1:3479");
        assert_eq!(read("stun:[::1]"), "[::1]:3478");
        assert_eq!(read("[::1]:5"), "[::1]:5");
        assert_eq!(read("stun.example.org"), "stun.example.org:3478");
        assert!(host_and_port("turn:").is_err());
    }

    /// A server that answers one request with the response of RFC 5769 §2.2, after something else.
    async fn server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let mut request = [0; 64];
            for is_it in [false, true] {
                let (length, from) = server.recv_from(&mut request).await.unwrap();
                // 192.0.2.1:32853.
                let address = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
                let mut response = [&[1, 1, 0, 12], &request[4..length], &address[..]].concat();
                response[19] ^= u8::from(!is_it);
                server.send_to(&response, from).await.unwrap();
            }
        });
        (address, answering)
    }

    #[tokio::test]
    async fn the_address_in_the_answer_to_ones_own_request_is_told() {
        let (address, answering) = server().await;
        assert_eq!(mapped_address(&address.to_string()).await.unwrap(), "192.0.2.1:32853".parse().unwrap());
        answering.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error() {
        let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        drop(holder);
        assert!(mapped_address(&address.to_string()).await.is_err());
    }
}
