//! The connections of this node: what waits to be sent to each, and which room it is in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use mobz_core::id::{ConnectionId, RoomId, UserId};
use mobz_core::room::{Close, Mode, Participant, Record};
use mobz_core::store::Revision;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most messages that wait for one connection; past it the connection is closed as too slow.
pub const OUTBOX_MESSAGES_MAX: usize = 2048;
/// The most bytes that wait for one connection; past it the connection is closed as too slow.
pub const OUTBOX_BYTES_MAX: usize = 4 << 20;

/// One text on its way to a client.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// UTF-8.
    pub text: Bytes,
    /// Whether it was relayed from another participant, and so is kept if it cannot be sent.
    pub relayed: bool,
}

impl Outbound {
    /// News or an answer, which nobody keeps.
    pub fn news(text: String) -> Self {
        Self { text: text.into(), relayed: false }
    }

    /// A relayed signal.
    pub fn relayed(text: Arc<str>) -> Self {
        Self { text: Bytes::from_owner(TextOwner(text)), relayed: true }
    }
}

struct TextOwner(Arc<str>);

impl AsRef<[u8]> for TextOwner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a connection is to send next.
#[derive(Debug, Default)]
pub struct Batch {
    /// Texts, in order.
    pub texts: VecDeque<Outbound>,
    /// How the connection ends after them, if it does.
    pub close: Option<Close>,
}

/// One connection, shared by the task that serves it and all who send to it.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    outbox: Mutex<Outbox>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Outbound>,
    bytes: usize,
    /// What came for it before it was told that it joined.
    early: Vec<Outbound>,
    seat: Option<Seat>,
    close: Option<Close>,
    /// Its task has ended: nothing is taken any more.
    dead: bool,
}

/// Where a connection has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The room.
    pub room: RoomId,
    /// As whom.
    pub user: UserId,
    /// Its mode.
    pub mode: Mode,
    /// Whether it took over the stay of a connection before it.
    pub resumed: bool,
    /// As one of a p2m room's audience, this; nobody else here remembers it.
    pub member: Option<Arc<Participant>>,
}

impl Connection {
    /// Its id on this node.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Where it has joined.
    pub fn seat(&self) -> Option<Seat> {
        self.outbox.lock().seat.clone()
    }

    /// Waits for something to send; returns all there is. Cancel safe.
    pub async fn next(&self) -> Batch {
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            self.wake.notified().await;
        }
    }

    /// What there is to send, without waiting.
    pub fn take(&self) -> Option<Batch> {
        let mut outbox = self.outbox.lock();
        if outbox.queue.is_empty() && outbox.close.is_none() {
            return None;
        }
        outbox.bytes = 0;
        // An idle connection holds no memory for its next burst.
        let texts = std::mem::take(&mut outbox.queue);
        Some(Batch { texts, close: outbox.close })
    }

    /// Hands it a text, in order; `false` when it takes none any more.
    pub fn push(&self, outbound: Outbound) -> bool {
        let mut outbox = self.outbox.lock();
        if outbox.dead || outbox.close.is_some() {
            return false;
        }
        outbox.bytes += outbound.text.len();
        outbox.queue.push_back(outbound);
        if outbox.queue.len() > OUTBOX_MESSAGES_MAX || outbox.bytes > OUTBOX_BYTES_MAX {
            outbox.close = Some(Close::Slow);
        }
        drop(outbox);
        self.wake.notify_one();
        true
    }

    /// Hands it something meant for a participant: held back until the connection has joined.
    pub(crate) fn deliver(&self, outbound: Outbound) -> bool {
        let mut outbox = self.outbox.lock();
        if outbox.seat.is_none() && !outbox.dead && outbox.close.is_none() {
            let room = outbox.early.len() < OUTBOX_MESSAGES_MAX;
            if room {
                outbox.early.push(outbound);
            }
            return room;
        }
        drop(outbox);
        self.push(outbound)
    }

    /// Gives back texts of a batch that could not be sent, for [`Hub::disconnect`] to see to.
    pub fn give_back(&self, mut unsent: VecDeque<Outbound>) {
        let mut outbox = self.outbox.lock();
        unsent.append(&mut outbox.queue);
        outbox.queue = unsent;
    }

    /// Ends it after all that was handed to it.
    pub fn close(&self, close: Close) {
        let mut outbox = self.outbox.lock();
        outbox.close.get_or_insert(close);
        drop(outbox);
        self.wake.notify_one();
    }

    fn is_closing(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.dead || outbox.close.is_some()
    }

    fn sit(&self, seat: Seat) {
        self.outbox.lock().seat = Some(seat);
    }

    fn flush_early(&self) {
        let early = std::mem::take(&mut self.outbox.lock().early);
        for outbound in early {
            self.push(outbound);
        }
    }

    fn rise(&self) -> Option<Seat> {
        let mut outbox = self.outbox.lock();
        outbox.early = Vec::new();
        outbox.seat.take()
    }

    /// Ends its taking of texts; returns the relayed ones that were not sent.
    fn die(&self) -> Vec<Arc<str>> {
        let mut outbox = self.outbox.lock();
        outbox.dead = true;
        let relayed = outbox.queue.drain(..).filter(|outbound| outbound.relayed);
        relayed.filter_map(|outbound| std::str::from_utf8(&outbound.text).ok().map(Arc::from)).collect()
    }
}

/// What this node holds of one room.
#[derive(Debug, Default)]
struct LocalRoom {
    connections: BTreeMap<ConnectionId, Arc<Connection>>,
    /// The latest record this node saw, and its revision.
    seen: Option<(Revision, Arc<Record>)>,
    /// The room that it was before others began it anew, as the store had lost it.
    lost: Option<Arc<Record>>,
    /// Whether nothing says that it is out of date; relays are decided on it then.
    fresh: bool,
    /// When its connections here were last told the number of viewers, and the number.
    viewers: Option<(Instant, u64)>,
    /// How many connections have joined and are not told so yet.
    expected: usize,
}

/// All connections of this node.
#[derive(Debug, Default)]
pub struct Hub {
    next: AtomicU64,
    connections: DashMap<ConnectionId, Arc<Connection>>,
    rooms: DashMap<RoomId, LocalRoom>,
    /// Numbers of viewers that are to be told.
    counted: Mutex<BTreeMap<RoomId, u64>>,
}

impl Hub {
    /// A new connection.
    pub fn connect(&self) -> Arc<Connection> {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let connection =
            Arc::new(Connection { id, outbox: Mutex::new(Outbox::default()), wake: Notify::new() });
        self.connections.insert(id, connection.clone());
        connection
    }

    /// The connection's task has ended. Returns where it sat and what relayed signals were not sent.
    pub fn disconnect(&self, connection: &Connection) -> (Option<Seat>, Vec<Arc<str>>) {
        self.connections.remove(&connection.id);
        let unsent = connection.die();
        (self.exit(connection), unsent)
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Every connection, the oldest first.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<Arc<Connection>> =
            self.connections.iter().map(|entry| entry.value().clone()).collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// The rooms that connections of this node have joined.
    pub fn rooms(&self) -> Vec<RoomId> {
        let mut rooms: Vec<RoomId> = self.rooms.iter().map(|entry| entry.key().clone()).collect();
        rooms.sort_unstable();
        rooms
    }

    /// How many rooms that is.
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.connections.get(&id).map(|entry| entry.value().clone())
    }

    /// Hands a participant's connection a text; `false` when there is no such connection any more.
    pub(crate) fn deliver(&self, to: ConnectionId, outbound: Outbound) -> bool {
        self.connections.get(&to).is_some_and(|connection| connection.deliver(outbound))
    }

    /// Seats a connection, hands it `welcome` in order, then what came for it meanwhile.
    pub(crate) fn enter(&self, at: ConnectionId, seat: Seat, welcome: Vec<Outbound>) -> bool {
        let Some(connection) = self.get(at) else { return false };
        self.rooms.entry(seat.room.clone()).or_default().connections.insert(at, connection.clone());
        connection.sit(seat);
        let taken = welcome.into_iter().all(|outbound| connection.push(outbound));
        connection.flush_early();
        taken
    }

    /// Takes a connection out of its room; the connection stays.
    pub(crate) fn exit(&self, connection: &Connection) -> Option<Seat> {
        let seat = connection.rise()?;
        if let Some(mut room) = self.rooms.get_mut(&seat.room) {
            room.connections.remove(&connection.id);
        }
        Some(seat)
    }

    /// Forgets a room nobody here is in; `false` when somebody is, or it was forgotten already.
    pub(crate) fn forget_if_empty(&self, room: &RoomId) -> bool {
        self.rooms.remove_if(room, |_, local| local.connections.is_empty() && local.expected == 0).is_some()
    }

    /// A connection is about to [`Hub::enter`] the room: it is not forgotten until [`Hub::arrived`].
    pub(crate) fn expect(&self, room: &RoomId) {
        self.rooms.entry(room.clone()).or_default().expected += 1;
    }

    /// One that was expected is there, or has gone.
    pub(crate) fn arrived(&self, room: &RoomId) {
        if let Some(mut local) = self.rooms.get_mut(room) {
            local.expected = local.expected.saturating_sub(1);
        }
    }

    pub(crate) fn holds(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    pub(crate) fn hold(&self, room: &RoomId) {
        self.rooms.entry(room.clone()).or_default();
    }

    /// The connections that have joined `room`.
    pub(crate) fn joined(&self, room: &RoomId) -> Vec<Arc<Connection>> {
        self.rooms.get(room).map(|local| local.connections.values().cloned().collect()).unwrap_or_default()
    }

    /// The room's record, as long as nothing says that it is out of date.
    pub(crate) fn snapshot(&self, room: &RoomId) -> Option<(Revision, Arc<Record>)> {
        self.rooms.get(room).filter(|local| local.fresh)?.seen.clone()
    }

    /// The room's record as this node saw it last, however long ago.
    pub(crate) fn last_seen(&self, room: &RoomId) -> Option<Arc<Record>> {
        self.rooms.get(room)?.seen.as_ref().map(|(_, record)| record.clone())
    }

    /// Keeps what a commit or a load showed, unless nobody here is in the room.
    pub(crate) fn saw(&self, room: &RoomId, revision: Revision, record: Option<&Arc<Record>>) {
        if let (Some(mut local), Some(record)) = (self.rooms.get_mut(room), record) {
            let before = local.seen.replace((revision, record.clone()));
            local.fresh = true;
            let is_another = |(_, before): &(Revision, Arc<Record>)| before.created_at != record.created_at;
            if let Some((_, lost)) = before.filter(is_another)
                && !local.connections.is_empty()
            {
                local.lost = Some(lost);
            }
        }
    }

    /// The room has come to its end, and is not to be given back to a store.
    pub(crate) fn ended(&self, room: &RoomId) {
        if let Some(mut local) = self.rooms.get_mut(room) {
            (local.seen, local.lost) = (None, None);
        }
    }

    /// Whether this node knows a room in which somebody is connected here.
    pub(crate) fn is_live(&self, room: &RoomId) -> bool {
        let stays = |connection: &Arc<Connection>| !connection.is_closing();
        self.rooms
            .get(room)
            .is_some_and(|local| local.seen.is_some() && local.connections.values().any(stays))
    }

    /// What was seen of the room before others began it anew; once.
    pub(crate) fn take_lost(&self, room: &RoomId) -> Option<Arc<Record>> {
        self.rooms.get_mut(room)?.lost.take()
    }

    /// The room is at `revision` by now: a record of another one is out of date.
    pub(crate) fn stale_unless(&self, room: &RoomId, revision: Revision) {
        if let Some(mut local) = self.rooms.get_mut(room)
            && local.seen.as_ref().is_some_and(|(seen, _)| *seen != revision)
        {
            local.fresh = false;
        }
    }

    /// The room's viewers are `viewers` now, to be told once a second has passed since last time.
    pub(crate) fn viewers(&self, room: &RoomId, viewers: u64) {
        self.counted.lock().insert(room.clone(), viewers);
    }

    /// Rooms whose number of viewers is to be told now; once told, not again for `pause`.
    pub(crate) fn viewers_to_tell(&self, pause: Duration) -> Vec<(RoomId, u64)> {
        let mut tell = Vec::new();
        self.counted.lock().retain(|room, count| {
            let Some(mut local) = self.rooms.get_mut(room) else { return false };
            let (told_at, told) = local.viewers.unzip();
            if told == Some(*count) {
                return false;
            }
            if told_at.is_some_and(|at: Instant| at.elapsed() < pause) {
                return true;
            }
            local.viewers = Some((Instant::now(), *count));
            tell.push((room.clone(), *count));
            false
        });
        tell
    }
}
