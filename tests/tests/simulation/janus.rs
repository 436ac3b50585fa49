//! What behaves like a Janus with the VideoRoom plugin, as far as the regulator and the clients can tell.

mod door;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use janus_client::{Change, Event, HandleId, SessionId, Told};
use mobz_core::id::{MunitId, StationId};
use mobz_core::signal::{Code, Refusal};
use mobz_regulator::opaque::{Opaque, Role};
use mobz_regulator::plane::{Command, Handle, Kind, Outcome, Stream, offer_session};
use tokio::sync::{mpsc, watch};

pub(crate) use self::door::Door;
use crate::chance::pause;
use crate::log::{note, wrong};
use crate::mistake::Mistake;

/// After how long without a regulator its session ends (`reclaim_session_timeout`).
const RECLAIM: Duration = Duration::from_secs(45);
/// After how long without a regulator one that is kept for the next ends.
const GRACE: Duration = Duration::from_secs(60);

/// Whose a Janus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Somebody else's: it runs whether a regulator does or not.
    There,
    /// The munit's own, and lives and dies with its regulator.
    Own,
    /// The munit's own, and is kept for a while when its regulator is killed.
    Kept,
}

/// A peer connection as its client knows it: it is written into what Janus answers or offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    pub(crate) munit: MunitId,
    epoch: u64,
    handle: u64,
}

impl Peer {
    /// Reads it from an answer or an offer.
    pub(crate) fn read(sdp: &str) -> Self {
        let mut words = sdp.split(' ');
        let mut word = || words.next().unwrap_or_default();
        Self {
            munit: word().parse().unwrap(),
            epoch: word().parse().unwrap(),
            handle: word().parse().unwrap(),
        }
    }
}

/// One Janus, whichever process of it runs.
#[derive(Debug)]
pub(crate) struct Janus {
    pub(crate) munit: MunitId,
    pub(crate) home: Home,
    mistake: Option<Mistake>,
    inner: Mutex<Inner>,
    /// Which process of it runs; `None` is none.
    running: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Inner {
    epochs: u64,
    handles_made: u64,
    rooms: BTreeSet<StationId>,
    handles: BTreeMap<u64, Attached>,
    keeper: Option<String>,
    line: Option<Line>,
    lines: u64,
    /// In a thousand: commands that take too long, whether they are done or not.
    hangs: u64,
}

#[derive(Debug)]
struct Line {
    number: u64,
    up: bool,
    events: mpsc::UnboundedSender<Told>,
    changes: mpsc::UnboundedSender<Change>,
}

#[derive(Clone, Debug)]
struct Attached {
    opaque: Opaque,
    connected: bool,
    up: bool,
    session: Option<String>,
    /// The publisher's handle that a subscriber is subscribed to.
    to: Option<u64>,
}

impl Janus {
    pub(crate) fn new(munit: MunitId, home: Home, mistake: Option<Mistake>) -> Arc<Self> {
        let (inner, running) = (Mutex::default(), watch::Sender::new(None));
        let janus = Self { munit, home, mistake, inner, running };
        if home == Home::There {
            janus.start();
        }
        Arc::new(janus)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn epoch(&self) -> Option<u64> {
        *self.running.borrow()
    }

    /// Begins with nothing.
    pub(crate) fn start(&self) {
        let mut inner = self.inner();
        inner.epochs += 1;
        let (epoch, hangs) = (inner.epochs, inner.hangs);
        let (lines, handles_made) = (inner.lines, inner.handles_made);
        *inner = Inner { epochs: epoch, lines, handles_made, hangs, ..Inner::default() };
        drop(inner);
        self.running.send_replace(Some(epoch));
        note!("janus of {} starts", self.munit);
    }

    /// `kill -9`.
    pub(crate) fn kill(self: &Arc<Self>) {
        if self.running.send_replace(None).is_none() {
            return;
        }
        note!("janus of {} is killed", self.munit);
        let mut inner = self.inner();
        inner.rooms.clear();
        inner.handles.clear();
        inner.keeper = None;
        let Some(line) = inner.line.take() else { return };
        drop(inner);
        if line.up {
            drop(line.changes.send(Change::Lost { reason: "killed".to_owned() }));
        }
        // Its client connects again as soon as it can, and finds that the session is gone.
        let mut running = self.running.subscribe();
        tokio::spawn(async move {
            drop(running.wait_for(Option::is_some).await);
            pause(50, 1000).await;
            drop(line.changes.send(Change::SessionGone(SessionId(1))));
        });
    }

    pub(crate) fn is_there(&self) -> bool {
        self.epoch().is_some()
    }

    pub(crate) fn hangs(&self, of_thousand: u64) {
        self.inner().hangs = of_thousand;
    }

    /// The connection to its regulator breaks; what happens until it stands again goes unheard.
    pub(crate) fn break_line(self: &Arc<Self>, lasts: Duration) {
        let mut inner = self.inner();
        let Some(line) = &mut inner.line else { return };
        if !std::mem::take(&mut line.up) {
            return;
        }
        note!("the line of janus {} breaks", self.munit);
        drop(line.changes.send(Change::Lost { reason: "broken".to_owned() }));
        let (number, janus) = (line.number, self.clone());
        drop(inner);
        tokio::spawn(async move {
            tokio::time::sleep(lasts).await;
            let mut inner = janus.inner();
            let line = inner.line.as_mut().filter(|line| line.number == number);
            let Some(line) = line.filter(|_| janus.is_there()) else { return };
            line.up = true;
            for change in [Change::Claimed(SessionId(1)), Change::Connected] {
                drop(line.changes.send(change));
            }
        });
    }

    /// The regulator is gone without a word; its session waits for the next.
    pub(crate) fn abandoned(self: &Arc<Self>) {
        let mut inner = self.inner();
        let Some(line) = inner.line.take() else { return };
        drop(inner);
        let (janus, epoch) = (self.clone(), self.epoch());
        tokio::spawn(async move {
            tokio::time::sleep(RECLAIM).await;
            {
                let mut inner = janus.inner();
                if inner.lines == line.number && janus.epoch() == epoch {
                    note!("janus of {} ends the session", janus.munit);
                    inner.handles.clear();
                    inner.keeper = None;
                }
            }
            tokio::time::sleep(GRACE.saturating_sub(RECLAIM)).await;
            if janus.home == Home::Kept && janus.inner().lines == line.number && janus.epoch() == epoch {
                janus.kill();
            }
        });
    }

    /// The rooms it has.
    pub(crate) fn rooms(&self) -> BTreeSet<StationId> {
        self.inner().rooms.clone()
    }

    /// What its handles were attached for, and whether media may flow over each.
    pub(crate) fn handles(&self) -> Vec<(Peer, Opaque, bool)> {
        let epoch = self.epoch().unwrap_or_default();
        let inner = self.inner();
        let handles = inner.handles.iter();
        let peer = |handle: u64| Peer { munit: self.munit.clone(), epoch, handle };
        handles.map(|(handle, attached)| (peer(*handle), attached.opaque.clone(), attached.up)).collect()
    }

    /// Whether media may flow over the connection.
    pub(crate) fn is_up(&self, peer: &Peer) -> bool {
        self.epoch() == Some(peer.epoch)
            && self.inner().handles.get(&peer.handle).is_some_and(|there| there.up)
    }

    /// The client has taken Janus' answer, or Janus the client's: after a while media may flow.
    pub(crate) fn connects(self: &Arc<Self>, peer: &Peer) {
        if self.mistake == Some(Mistake::BlocksMedia) {
            return;
        }
        let (janus, peer) = (self.clone(), peer.clone());
        tokio::spawn(async move {
            pause(20, 300).await;
            let mut inner = janus.inner();
            let Some(attached) = inner.handles.get_mut(&peer.handle).filter(|there| there.connected) else {
                return;
            };
            if janus.epoch() == Some(peer.epoch) && !std::mem::replace(&mut attached.up, true) {
                inner.event(peer.handle, Event::WebRtcUp);
            }
        });
    }

    /// The client has closed its connection, or is gone with it.
    pub(crate) fn closes(self: &Arc<Self>, peer: &Peer) {
        let (janus, peer) = (self.clone(), peer.clone());
        tokio::spawn(async move {
            pause(10, 5000).await;
            if janus.epoch() == Some(peer.epoch) {
                janus.inner().hang_up(peer.handle);
            }
        });
    }

    fn apply(self: &Arc<Self>, command: Command) -> Outcome {
        let epoch = self.epoch().unwrap_or_default();
        let mut inner = self.inner();
        let refused = |reason: &str| Outcome::Failed {
            refusal: Refusal::new(Code::MediaError, reason.to_owned()),
            unsure: false,
        };
        match command {
            Command::Make(station) => {
                if station.munit().as_ref() != Some(&self.munit) {
                    wrong(format!("{} makes station {station}", self.munit));
                }
                inner.rooms.insert(station);
                Outcome::Done
            }
            Command::Destroy(station) => {
                if self.mistake != Some(Mistake::KeepsRooms) {
                    inner.rooms.remove(&station);
                }
                for handle in inner.in_room(&station) {
                    inner.hang_up(handle);
                }
                Outcome::Done
            }
            Command::Publish { station, opaque, sdp } => {
                let others = inner.in_room(&station);
                let publishes = |handle: &u64| inner.handles[handle].opaque.role == Role::Publisher;
                if !inner.rooms.contains(&station) {
                    return refused("no such room (426)");
                }
                if others.iter().any(publishes) {
                    return refused("maximum number of publishers (432)");
                }
                let session = offer_session(&sdp);
                let handle = inner.attach(Attached { opaque, connected: true, up: false, session, to: None });
                let sdp = format!("{} {epoch} {handle} answer", self.munit);
                Outcome::Published { handle: Handle(handle), sdp, streams: streams() }
            }
            Command::Renegotiate { handle: Handle(handle), .. } => {
                if !inner.handles.get(&handle).is_some_and(|there| there.connected) {
                    return refused("no such handle (459)");
                }
                let sdp = format!("{} {epoch} {handle} answer", self.munit);
                Outcome::Published { handle: Handle(handle), sdp, streams: streams() }
            }
            Command::Subscribe { station, opaque, .. } => {
                let publishes = |handle: &u64| {
                    let there = &inner.handles[handle];
                    there.opaque.role == Role::Publisher && there.up
                };
                let Some(to) = inner.in_room(&station).into_iter().find(publishes) else {
                    return refused("no such feed (428)");
                };
                let to = Some(to);
                let handle =
                    inner.attach(Attached { opaque, connected: false, up: false, session: None, to });
                let sdp = format!("{} {epoch} {handle} offer", self.munit);
                Outcome::Subscribed { handle: Handle(handle), sdp, streams: streams() }
            }
            Command::Start { handle: Handle(handle), .. } => {
                let Some(attached) = inner.handles.get_mut(&handle) else {
                    return refused("no such handle (459)");
                };
                attached.connected = true;
                drop(inner);
                self.connects(&Peer { munit: self.munit.clone(), epoch, handle });
                Outcome::Done
            }
            Command::Trickle { .. } | Command::Layer { .. } | Command::Mute { .. } => Outcome::Done,
            Command::Detach(Handle(handle)) => {
                inner.hang_up(handle);
                if inner.handles.remove(&handle).is_some() {
                    inner.event(handle, Event::Detached);
                }
                Outcome::Done
            }
        }
    }
}

impl Inner {
    fn event(&self, handle: u64, event: Event) {
        if let Some(line) = self.line.as_ref().filter(|line| line.up) {
            drop(line.events.send(Told::Of(HandleId(handle), event)));
        }
    }

    fn attach(&mut self, attached: Attached) -> u64 {
        self.handles_made += 1;
        self.handles.insert(self.handles_made, attached);
        self.handles_made
    }

    fn in_room(&self, station: &StationId) -> Vec<u64> {
        let there = self.handles.iter().filter(|(_, attached)| attached.opaque.station == *station);
        there.map(|(handle, _)| *handle).collect()
    }

    /// A connection ends, and of a publisher those of all who are subscribed to it.
    fn hang_up(&mut self, handle: u64) {
        let subscribed = self.handles.iter().filter(|(_, attached)| attached.to == Some(handle));
        let ends: Vec<u64> = std::iter::once(handle).chain(subscribed.map(|(handle, _)| *handle)).collect();
        for handle in ends {
            let Some(attached) = self.handles.get_mut(&handle) else { continue };
            if std::mem::take(&mut attached.connected) {
                attached.up = false;
                self.event(handle, Event::HangUp { reason: "Close PC".to_owned() });
            }
        }
    }
}

fn streams() -> Vec<Stream> {
    vec![Stream { mid: "0".to_owned(), kind: Kind::Video, simulcast: false, temporal: false }]
}
