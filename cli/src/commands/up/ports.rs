//! Which ports a stack takes.

use std::net::{Ipv4Addr, SocketAddr};

use super::Listener;
use crate::args::stack::Up;
use crate::error::{Failure, Result, os};
use crate::stack;

/// How many ports a stack takes at most: signaling, origin, demo site, TURN.
pub(super) const PORTS: u16 = 4;

/// The listeners of a stack.
pub(super) struct Ports {
    pub(super) signaling: Listener,
    pub(super) signaling_address: SocketAddr,
    pub(super) origin: Listener,
    pub(super) origin_address: SocketAddr,
    pub(super) demo: Listener,
    pub(super) demo_address: SocketAddr,
    /// The port of signaling, which names the stack.
    pub(super) first: u16,
}

/// Where clients, operators and players reach a stack.
pub(super) struct Urls {
    pub(super) control: String,
    pub(super) signal: String,
    pub(super) origin: String,
    pub(super) demo: String,
}

/// Takes the ports from `--port-base` on, any free ones where that is 0.
pub(super) async fn bind(args: &Up) -> Result<Ports> {
    let base = args.port_base;
    if base > u16::MAX - PORTS {
        return Err(Failure::usage(
            format!("cannot use ports from {base} on"),
            format!("a stack takes {PORTS} ports"),
            format!("choose --port-base up to {}", u16::MAX - PORTS),
        ));
    }
    let port = |offset: u16| if base == 0 { 0 } else { base + offset };
    let local = |offset| SocketAddr::from((Ipv4Addr::LOCALHOST, port(offset)));
    let (signaling, signaling_address) = listen(args.listen.unwrap_or_else(|| local(0))).await?;
    let (origin, origin_address) = listen(local(1)).await?;
    let (demo, demo_address) = listen(local(2)).await?;
    let first = signaling_address.port();
    Ok(Ports { signaling, signaling_address, origin, origin_address, demo, demo_address, first })
}

async fn listen(address: SocketAddr) -> Result<(Listener, SocketAddr)> {
    let what = format!("cannot listen on {address}");
    let bound = async {
        let listener = Listener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    bound.await.map_err(|error| {
        let ours = stack::living().into_iter().find(|stack| {
            [&stack.control, &stack.origin, &stack.demo]
                .iter()
                .any(|url| url.trim_end_matches('/').ends_with(&format!(":{}", address.port())))
        });
        match ours {
            Some(stack) => Failure::refused(
                what,
                format!("{}: a stack of yours runs there (process {})", os(&error), stack.pid),
                "stop it with `mobzctl down`, or start another with --port-base N (0 is any free ports)",
            ),
            None => Failure::refused(
                what,
                os(&error),
                "take other ports with --port-base N (0 is any free ports)",
            ),
        }
    })
}

impl Ports {
    pub(super) fn urls(&self) -> Urls {
        let signaling = reachable(self.signaling_address);
        Urls {
            control: format!("http://{signaling}"),
            signal: format!("ws://{signaling}/signal"),
            origin: format!("http://{}", reachable(self.origin_address)),
            demo: format!("http://{}/", reachable(self.demo_address)),
        }
    }
}

/// The address by which this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:7880".parse().unwrap()).to_string(), "127.0.0.1:7880");
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()).to_string(), "10.0.0.1:1");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_a_way_out() {
        let holder = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = holder.local_addr().unwrap();
        let failure = listen(address).await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains("address already in use") && text.contains("--port-base"), "{text}");
    }
}
