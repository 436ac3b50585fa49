//! The WebRTC connections of all clients, spread over a few sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::limits::WHAT;
use super::link::Identity;
use super::meter::Meter;
use super::source::Rates;
use super::worker::Worker;
use crate::error::{Failure, Result, os};

/// How many connections share a socket: what all of them receive at once, a picture each, fits into what
/// the kernel keeps for one.
const LINKS_A_SOCKET: usize = 48;
/// How many bytes of datagrams wait for a socket's reader, where the kernel allows it; further ones are lost.
const BUFFER: usize = 2 << 20;
/// How many orders to one socket's connections wait; whoever gives another waits.
const ORDERS_MAX: usize = 256;

/// One of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(u64);

/// When a viewer joined; told apart by the feed whose media come first.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) at: Instant,
    pub(super) has_media: AtomicBool,
}

/// What a connection is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Send; the offer is the answer to this, `None` when none can be made.
    Publish(LinkId, oneshot::Sender<Option<String>>),
    /// The answer to the offer of one that sends is here; whether it can be used.
    Accept(LinkId, String, oneshot::Sender<bool>),
    /// Receive what is offered; the answer is the answer to this, `None` when none can be made.
    Watch(LinkId, Offered, oneshot::Sender<Option<String>>),
    /// A candidate of the other side.
    Candidate(LinkId, String),
    /// Another takes its place: it goes on for a while, and may end when it likes.
    Retire(LinkId),
    /// End.
    End(LinkId),
}

/// An offer to a viewer.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) sdp: String,
    /// When it was there.
    pub(super) at: Instant,
    pub(super) viewer: Arc<Begun>,
}

/// The way to all connections. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Media {
    workers: Vec<mpsc::Sender<Order>>,
    next: AtomicU64,
}

impl Media {
    /// Opens the sockets for so many connections, at `address`. Connections may end once `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// When the machine has no socket or no certificate for it.
    pub(super) async fn open(
        address: IpAddr,
        links: usize,
        rates: Rates,
        meter: &Arc<Meter>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let failed = |why: String| Failure::failed(WHAT, why, "check the limits of this machine (ulimit -a)");
        let identity = Identity::new().ok_or_else(|| failed("no certificate could be made".to_owned()))?;
        let mut workers = Vec::new();
        for _ in 0..Self::sockets(links) {
            let socket = UdpSocket::bind((address, 0)).await.map_err(|error| failed(os(&error)))?;
            // What the kernel keeps while nobody reads: as much as it lets anybody have, or root.
            if set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
                let _ = set_socket_recv_buffer_size(&socket, BUFFER);
            }
            let address = socket.local_addr().map_err(|error| failed(os(&error)))?;
            let (orders, to_obey) = mpsc::channel(ORDERS_MAX);
            let worker = Worker::new(socket, address, identity.clone(), rates, meter.clone(), stop.clone());
            tokio::spawn(worker.run(to_obey));
            workers.push(orders);
        }
        Ok(Self { workers, next: AtomicU64::new(0) })
    }

    /// How many sockets so many connections share.
    pub(super) fn sockets(links: usize) -> usize {
        links.div_ceil(LINKS_A_SOCKET).max(1)
    }

    /// A connection that sends, and its offer; `None` when it could not be made.
    pub(super) async fn publish(&self) -> Option<(LinkId, String)> {
        let link = self.next();
        let (tell, offer) = oneshot::channel();
        self.order(link, Order::Publish(link, tell)).await;
        Some((link, offer.await.ok()??))
    }

    /// The answer to the offer of one that sends is here; whether it could be used.
    pub(super) async fn accept(&self, link: LinkId, answer: String) -> bool {
        let (tell, accepted) = oneshot::channel();
        self.order(link, Order::Accept(link, answer, tell)).await;
        accepted.await.unwrap_or(false)
    }

    /// A connection that receives what is offered, and its answer; `None` when it could not be made.
    pub(super) async fn watch(&self, offered: Offered) -> Option<(LinkId, String)> {
        let link = self.next();
        let (tell, answer) = oneshot::channel();
        self.order(link, Order::Watch(link, offered, tell)).await;
        Some((link, answer.await.ok()??))
    }

    /// A candidate of the other side is here.
    pub(super) async fn candidate(&self, link: LinkId, candidate: String) {
        self.order(link, Order::Candidate(link, candidate)).await;
    }

    /// Another takes its place.
    pub(super) async fn retire(&self, link: LinkId) {
        self.order(link, Order::Retire(link)).await;
    }

    /// It ends.
    pub(super) async fn end(&self, link: LinkId) {
        self.order(link, Order::End(link)).await;
    }

    fn next(&self) -> LinkId {
        LinkId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    async fn order(&self, LinkId(link): LinkId, order: Order) {
        let workers = self.workers.len() as u64;
        let worker = usize::try_from(link % workers).unwrap_or_else(|_| unreachable!("less than there are"));
        // A worker that has ended has no connections any more.
        drop(self.workers[worker].send(order).await);
    }
}
