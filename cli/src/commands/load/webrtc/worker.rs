//! The connections that share one socket, in one task: each datagram goes to the one it is for, and each is
//! woken when it wants to be.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::link::{Datagram, Identity, Link, Told};
use super::media::{Begun, LinkId, Offered, Order};
use super::meter::Meter;
use super::source::{Rates, Source};

/// The largest datagram of WebRTC; a larger one is cut and so refused.
const DATAGRAM_MAX: usize = 2048;
/// How many datagrams are taken in before timers and orders have their turn.
const BATCH_MAX: usize = 128;
/// How often feeds are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a connection goes on once another has taken its place.
const RETIRE_AFTER: Duration = Duration::from_secs(10);

/// The connections of one socket.
#[derive(Debug)]
pub(super) struct Worker {
    socket: UdpSocket,
    address: SocketAddr,
    identity: Identity,
    rates: Rates,
    meter: Arc<Meter>,
    /// Everybody leaves: connections may end.
    stop: CancellationToken,
    links: HashMap<LinkId, Held>,
    /// Whose datagrams come from where: every connection of Janus has a port of its own.
    sources: HashMap<SocketAddr, LinkId>,
    /// When each is to be woken; an entry may be early, never late.
    due: BinaryHeap<Reverse<(Instant, LinkId)>>,
    next_look: Instant,
}

#[derive(Debug)]
struct Held {
    link: Link,
    role: Role,
    /// Its earliest entry among those to be woken.
    scheduled: Option<Instant>,
    retires: Option<Instant>,
}

#[derive(Debug)]
enum Role {
    Publisher { source: Box<Source>, accepted: Option<Instant>, is_up: bool },
    Viewer { feed: Feed, viewer: Arc<Begun> },
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        address: SocketAddr,
        identity: Identity,
        rates: Rates,
        meter: Arc<Meter>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            socket,
            address,
            identity,
            rates,
            meter,
            stop,
            links: HashMap::new(),
            sources: HashMap::new(),
            due: BinaryHeap::new(),
            next_look: Instant::now() + LOOK_EVERY,
        }
    }

    /// Obeys until nobody can give orders any more.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        // Until the runtime has looked at the socket it takes nothing to send.
        if self.socket.writable().await.is_err() {
            return self.meter.errors.count("media: no socket");
        }
        let timer = sleep_until(self.next_look.into());
        tokio::pin!(timer);
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            let wake = self.due.peek().map_or(self.next_look, |Reverse((due, _))| self.next_look.min(*due));
            if timer.deadline() != wake.into() {
                timer.as_mut().reset(wake.into());
            }
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                readable = self.socket.readable() => match readable {
                    Ok(()) => self.receive(&mut buffer),
                    Err(_) => break self.meter.errors.count("media: no socket"),
                },
                () = timer.as_mut() => {}
            }
            self.pass(Instant::now());
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Publish(id, tell) => {
                let made = Link::sender(&self.identity, self.address);
                let offer = made.map(|(link, offer)| {
                    let source = Box::new(Source::new(self.rates));
                    self.hold(id, link, Role::Publisher { source, accepted: None, is_up: false });
                    offer
                });
                // Who does not wait any more has ended.
                let _ = tell.send(offer);
            }
            Order::Accept(id, answer, tell) => {
                let accepted = self.links.get_mut(&id).is_some_and(|held| {
                    if let Role::Publisher { accepted, .. } = &mut held.role {
                        *accepted = Some(Instant::now());
                    }
                    held.link.accept(&answer)
                });
                let _ = tell.send(accepted);
                self.poll(id, Instant::now());
            }
            Order::Watch(id, Offered { sdp, at, viewer }, tell) => {
                let made = Link::receiver(&self.identity, self.address, &sdp);
                let answer = made.map(|(link, answer)| {
                    self.hold(id, link, Role::Viewer { feed: Feed::new(at), viewer });
                    answer
                });
                let _ = tell.send(answer);
            }
            Order::Candidate(id, candidate) => {
                if let Some(held) = self.links.get_mut(&id) {
                    held.link.add_candidate(&candidate);
                }
                self.poll(id, Instant::now());
            }
            Order::Retire(id) => {
                let retires = Instant::now() + RETIRE_AFTER;
                if let Some(held) = self.links.get_mut(&id) {
                    held.retires = Some(retires);
                    self.due.push(Reverse((retires, id)));
                }
            }
            Order::End(id) => self.remove(id),
        }
    }

    fn hold(&mut self, id: LinkId, link: Link, role: Role) {
        self.links.insert(id, Held { link, role, scheduled: None, retires: None });
        self.poll(id, Instant::now());
    }

    fn remove(&mut self, id: LinkId) {
        let Some(mut held) = self.links.remove(&id) else { return };
        self.sources.retain(|_, of| *of != id);
        match &mut held.role {
            Role::Publisher { is_up, .. } => self.meter.publishing.minus(u64::from(*is_up)),
            Role::Viewer { feed, .. } => feed.ended(&self.meter),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            // Nothing more for now; and what a peer's closed port answers is nothing either.
            let Ok((length, source)) = self.socket.try_recv_from(buffer) else { return };
            let now = Instant::now();
            let Some(datagram) = Datagram::read(now, source, self.address, &buffer[..length]) else {
                continue;
            };
            let Some(id) = self.whose(source, &datagram) else { continue };
            if let Some(held) = self.links.get_mut(&id) {
                held.link.receive(datagram);
            }
            self.poll(id, now);
        }
    }

    /// The connection a datagram is for; ports are used again.
    fn whose(&mut self, source: SocketAddr, datagram: &Datagram<'_>) -> Option<LinkId> {
        let known = self.sources.get(&source).copied();
        let takes = |id: &LinkId| self.links.get(id).is_some_and(|held| held.link.accepts(datagram));
        if let Some(id) = known.filter(takes) {
            return Some(id);
        }
        let (id, _) = self.links.iter().find(|(_, held)| held.link.accepts(datagram))?;
        let id = *id;
        self.sources.insert(source, id);
        Some(id)
    }

    /// Time has passed.
    fn pass(&mut self, now: Instant) {
        while let Some(Reverse((due, id))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            let Some(held) = self.links.get_mut(&id) else { continue };
            if held.retires.is_some_and(|retires| retires <= now) {
                self.remove(id);
                continue;
            }
            if held.scheduled.is_some_and(|scheduled| scheduled > due) {
                continue;
            }
            held.scheduled = None;
            if let Role::Publisher { source, is_up: true, .. } = &mut held.role {
                source.send(now, &mut held.link);
            }
            if held.link.wake <= now {
                held.link.pass(now);
            }
            self.poll(id, now);
        }
        if self.next_look <= now {
            self.next_look = now + LOOK_EVERY;
            for held in self.links.values_mut() {
                if let Role::Viewer { feed, .. } = &mut held.role {
                    feed.pass(now, &self.meter);
                }
            }
        }
    }

    /// Has a connection send what it wants to, takes in what it tells, and notes when it is to be woken.
    fn poll(&mut self, id: LinkId, now: Instant) {
        let Some(Held { link, role, scheduled, retires }) = self.links.get_mut(&id) else { return };
        let meter = &*self.meter;
        link.poll(&self.socket, meter, |told| role.told(now, told, meter));
        if !link.is_alive() {
            if retires.is_none() && !self.stop.is_cancelled() {
                meter.errors.count("media: the connection ended");
            }
            return self.remove(id);
        }
        let mut wake = link.wake;
        if let Role::Publisher { source, is_up: true, .. } = role {
            wake = wake.min(source.next());
        }
        if scheduled.is_none_or(|scheduled| wake < scheduled) {
            *scheduled = Some(wake);
            self.due.push(Reverse((wake, id)));
        }
    }
}

impl Role {
    fn told(&mut self, now: Instant, told: Told, meter: &Meter) {
        match (self, told) {
            (Self::Publisher { source, accepted, is_up }, Told::Connected) => {
                if !std::mem::replace(is_up, true) {
                    meter.publishing.plus(1);
                    source.begin(now);
                    if let Some(accepted) = accepted {
                        meter.publish.record(now - *accepted);
                    }
                }
            }
            (Self::Publisher { source, .. }, Told::WantsKeyFrame) => source.want_key_frame(),
            (Self::Viewer { feed, viewer }, Told::Came(packet)) => {
                if !feed.has_begun() && !viewer.has_media.swap(true, Ordering::Relaxed) {
                    meter.viewer_media.record(now - viewer.at);
                }
                feed.came(now, packet, meter);
            }
            (Self::Publisher { .. }, Told::Came(_))
            | (Self::Viewer { .. }, Told::Connected | Told::WantsKeyFrame) => {}
        }
    }
}
