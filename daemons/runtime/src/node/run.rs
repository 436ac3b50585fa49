//! What a node does by itself: says that it lives, listens, looks after what is due and who is lost.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mobz_core::id::{NodeId, RoomId};
use mobz_core::munit::BEAT_MISSING_MAX;
use mobz_core::room::{Close, Input, Mode, Record};
use mobz_core::signal::{Code, ParticipantView, PublisherView, Refusal, ServerSignal};
use mobz_core::store::{
    Asked, Change, Committed, Event, Loaded, MemberChange, ROOM_TTL, RecordChange, Revision, StoreError,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::steady::Steady;
use super::{Doubted, Node, NodeError, nodes_of};
use crate::clock;
use crate::hub::{Connection, Outbound, Seat};
use crate::message::Delivery;

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How long it is believed to live after that.
const LEASE: Duration = Duration::from_secs(10);
/// How often a room is given back to an empty store while other nodes give theirs back too; after that
/// the room is what they made of it.
const RESTORE_ATTEMPTS_MAX: u32 = 4;
/// How often due rooms are looked for.
const DUE_POLL: Duration = Duration::from_millis(250);
/// How often munits that have fallen silent are looked for.
const SWEEP_POLL: Duration = Duration::from_millis(250);
/// How long a munit may be silent: those whose silence is long enough before the next look are missed in time.
pub(super) const SILENCE_MAX: Duration = BEAT_MISSING_MAX.saturating_sub(SWEEP_POLL);
/// How often changed audiences are counted; a room at most once in [`COUNT_PAUSE`].
const COUNT_POLL: Duration = Duration::from_millis(100);
/// The least time between two `ViewerCount` of a room (PROTOCOL.md §3).
const COUNT_PAUSE: Duration = Duration::from_secs(1);
/// How long the acknowledgement of a relay to another node is awaited.
const RELAY_WAIT: Duration = Duration::from_secs(5);
/// How many rooms one node sees to at once when it starts, ends or takes over.
const ROOMS_AT_ONCE: usize = 64;
/// The most events logged in one go.
const EVENTS_BATCH_MAX: usize = 256;
/// How long a node's end may take in all.
const DRAIN_MAX: Duration = Duration::from_secs(10);

impl Node {
    /// Serves until `shutdown`, then sees its connections off and returns, in ten seconds at most.
    ///
    /// # Errors
    /// When the store cannot be reached at the start.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), StoreError> {
        self.store.beat(&self.id, clock::now().after(LEASE)).await?;
        let subscription = self.store.listen(&self.id).await?;
        let replies = self.store.listen_replies(&self.replies).await?;
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let spawn = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            tasks.spawn(stop.clone().run_until_cancelled_owned(task));
        };
        spawn(Box::pin(self.clone().listen(subscription)));
        spawn(Box::pin(self.clone().listen_replies(replies)));
        spawn(Box::pin(self.clone().keep_sweeping()));
        spawn(Box::pin(self.clone().keep_beating()));
        spawn(Box::pin(self.clone().keep_looking()));
        spawn(Box::pin(self.clone().keep_counting()));
        spawn(Box::pin(self.clone().keep_refreshing()));
        let events = self.events_waiting.lock().take();
        if let Some(events) = events {
            tasks.spawn(self.clone().keep_logging(events, stop.clone()));
        }
        shutdown.cancelled().await;
        if tokio::time::timeout(DRAIN_MAX, self.drain()).await.is_err() {
            tracing::warn!("the end took too long; connections were cut");
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    /// Tells every room that its connections here are lost, then every client to come back elsewhere.
    /// In this order, so that what is relayed from now on is kept; what was relayed is still sent.
    async fn drain(self: &Arc<Self>) {
        let lost = |room: RoomId| {
            let node = self.clone();
            async move {
                if let Err(error) = node.lose(&node.id, &room).await {
                    tracing::warn!(%room, %error, "the room does not know yet that this node ends");
                }
            }
        };
        stream::iter(self.hub.rooms()).for_each_concurrent(ROOMS_AT_ONCE, lost).await;
        self.hub.all().iter().for_each(|connection| connection.close(Close::Restart));
        while !self.hub.is_empty() || self.ending.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Err(error) = self.store.forget(&self.id).await {
            tracing::warn!(%error, "other nodes will notice that this one is gone");
        }
    }

    async fn keep_beating(self: Arc<Self>) {
        let mut steady_since = Some(Instant::now());
        let mut every = tokio::time::interval(BEAT);
        loop {
            every.tick().await;
            if self.counted(self.store.beat(&self.id, clock::now().after(LEASE)).await).is_err() {
                steady_since = None;
                continue;
            }
            if steady_since.is_none() {
                tracing::info!("the store is back");
                self.resync().await;
            }
            // After a fault of the store every node looks lost until it has said otherwise.
            if steady_since.get_or_insert_with(Instant::now).elapsed() >= LEASE {
                self.take_over().await;
            }
        }
    }

    /// Looks for munits that have fallen silent. What was not heard of while the store did not answer, or this
    /// node did not run, is no silence: munits have had as long as ever to be heard since the last such time.
    async fn keep_sweeping(self: Arc<Self>) {
        let mut steady = Steady::since(Instant::now());
        let mut every = tokio::time::interval(SWEEP_POLL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let asked = Instant::now();
            let is_sure = steady.is_for(SILENCE_MAX, asked);
            let silent = self.silent_munits(is_sure.then_some(SILENCE_MAX)).await;
            steady.looked(silent.is_ok(), asked, Instant::now());
            self.give_up(silent.unwrap_or_default(), SILENCE_MAX).await;
            steady.rests(Instant::now());
        }
    }

    /// Tells the rooms of nodes that died that their connections are lost.
    async fn take_over(self: &Arc<Self>) {
        for node in self.counted(self.store.claim_lost(clock::now()).await).unwrap_or_default() {
            if node == self.id {
                continue;
            }
            tracing::warn!(%node, "a node is lost; its participants are away");
            if self.see_to(&node).await.is_ok() {
                let _ = self.counted(self.store.forget(&node).await);
            }
        }
    }

    async fn see_to(self: &Arc<Self>, lost: &NodeId) -> Result<(), NodeError> {
        loop {
            let rooms = self.counted(self.store.rooms_of(lost, ROOMS_AT_ONCE * 8).await)?;
            if rooms.is_empty() {
                return Ok(());
            }
            let seen = stream::iter(rooms).map(|room| {
                let (node, lost) = (self.clone(), lost.clone());
                async move {
                    node.lose(&lost, &room).await?;
                    Ok(node.counted(node.store.detach(&lost, &room).await)?)
                }
            });
            let seen: Vec<Result<(), NodeError>> = seen.buffer_unordered(ROOMS_AT_ONCE).collect().await;
            seen.into_iter().collect::<Result<(), NodeError>>()?;
        }
    }

    /// Tells one room that the connections on node `lost` are, however many members that takes.
    pub(crate) async fn lose(&self, lost: &NodeId, room: &RoomId) -> Result<(), NodeError> {
        loop {
            let asked = Asked::At(lost.clone());
            let loaded = self.counted(self.store.load(room, asked).await)?;
            let listed = loaded.record.as_ref().is_some_and(|record| nodes_of(record).any(|at| at == lost));
            if !listed && loaded.members.is_empty() {
                return Ok(());
            }
            self.submit(room, Input::NodeLost(lost.clone())).await?;
        }
    }

    /// Looks at rooms when they are due, whoever made them so.
    async fn keep_looking(self: Arc<Self>) {
        let mut every = tokio::time::interval(DUE_POLL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.time_relays();
            self.time_munits();
            let Ok(rooms) = self.store.claim_due(clock::now()).await else { continue };
            stream::iter(rooms).for_each_concurrent(ROOMS_AT_ONCE, |room| self.clone().look(room)).await;
            self.unassign_waiting().await;
            let doubted = std::mem::take(&mut *self.doubted.lock());
            let settle = |(room, doubted)| self.clone().settle_doubt(room, doubted);
            stream::iter(doubted).for_each_concurrent(ROOMS_AT_ONCE, settle).await;
        }
    }

    async fn settle_doubt(self: Arc<Self>, room: RoomId, doubted: Doubted) {
        if !doubted.may_have_changed {
            return self.lose_missing(&room).await;
        }
        self.clone().resync_room(room.clone()).await;
        self.have_look(&room, doubted.others.iter()).await;
    }

    /// Says to other nodes that a room may not be as they hold it.
    async fn have_look(&self, room: &RoomId, nodes: impl Iterator<Item = &NodeId>) {
        for node in nodes.filter(|node| **node != self.id) {
            self.send(node, room, Revision::default(), Vec::new()).await;
        }
    }

    async fn look(self: Arc<Self>, room: RoomId) {
        match self.decide_all(&room, [Input::Due].into()).await {
            Ok(decided) => drop(self.counted(self.store.settle_due(&room, decided.due).await)),
            Err(error) => tracing::warn!(%room, %error, "the room stays due"),
        }
    }

    fn time_relays(&self) {
        let mut late = Vec::new();
        self.relayed.lock().retain(|waiting, since| {
            let keep = since.elapsed() < RELAY_WAIT;
            if !keep {
                late.push(waiting.clone());
            }
            keep
        });
        for (connection, re) in late {
            let message = "the other side's node did not answer; send Sync and try again";
            let signal: ServerSignal = Refusal::new(Code::Timeout, message).into();
            self.push(&self.address(connection), Outbound::news(signal.to_json(Some(&re))));
        }
    }

    /// Counts changed audiences and tells the nodes that hold some of the room.
    async fn keep_counting(self: Arc<Self>) {
        let mut every = tokio::time::interval(COUNT_POLL);
        loop {
            every.tick().await;
            let mut ready = Vec::new();
            self.counting.lock().retain(|room, last| {
                let rested = last.is_none_or(|at| at.elapsed() >= COUNT_PAUSE);
                if rested {
                    ready.push(room.clone());
                }
                !rested
            });
            stream::iter(ready).for_each_concurrent(ROOMS_AT_ONCE, |room| self.clone().count(room)).await;
            for (room, viewers) in self.hub.viewers_to_tell(COUNT_PAUSE) {
                let text = Outbound::news(ServerSignal::ViewerCount { viewers }.to_json(None));
                for connection in self.hub.joined(&room) {
                    self.metrics.signals_sent.inc();
                    connection.push(text.clone());
                }
            }
        }
    }

    async fn count(self: Arc<Self>, room: RoomId) {
        let Ok(loaded) = self.reload(&room, Asked::Users(Vec::new())).await else {
            self.counting.lock().insert(room, Some(Instant::now()));
            return;
        };
        let Some(record) = &loaded.record else { return };
        let viewers = loaded.audience.count;
        let nodes: BTreeSet<&NodeId> = nodes_of(record).chain(&loaded.audience_nodes).collect();
        for node in nodes {
            if *node == self.id {
                self.hub.viewers(&room, viewers);
            } else {
                self.send(node, &room, loaded.revision, vec![Delivery::Viewers { viewers }]).await;
            }
        }
    }

    async fn keep_refreshing(self: Arc<Self>) {
        let mut every = tokio::time::interval(ROOM_TTL / 6);
        every.tick().await;
        loop {
            every.tick().await;
            for rooms in self.hub.rooms().chunks(ROOMS_AT_ONCE * 8) {
                for room in self.counted(self.store.refresh(rooms).await).unwrap_or_default() {
                    self.restore(&room, Revision::default(), None).await;
                }
            }
        }
    }

    /// Logs events until `stop`, and then those that came before it.
    async fn keep_logging(self: Arc<Self>, mut events: mpsc::Receiver<Event>, stop: CancellationToken) {
        let mut batch = Vec::new();
        let log = async |batch: &mut Vec<Event>| self.counted(self.store.append(std::mem::take(batch)).await);
        while stop.run_until_cancelled(events.recv_many(&mut batch, EVENTS_BATCH_MAX)).await.is_some() {
            let _ = log(&mut batch).await;
        }
        events.close();
        // A store that does not answer now holds up nobody's end.
        while events.recv_many(&mut batch, EVENTS_BATCH_MAX).await > 0 && log(&mut batch).await.is_ok() {}
    }

    /// After messages may have been lost, or the store was away: finds what changed meanwhile, gives
    /// an empty store its rooms back, and tells clients whose room went on without them.
    pub(super) async fn resync(self: &Arc<Self>) {
        let again = |room| self.clone().resync_room(room);
        stream::iter(self.hub.rooms()).for_each_concurrent(ROOMS_AT_ONCE, again).await;
    }

    async fn resync_room(self: Arc<Self>, room: RoomId) {
        let known = self.hub.last_seen(&room).map(|record| record.version);
        let nobody = || Asked::Users(Vec::new());
        let Ok(mut loaded) = self.counted(self.store.load(&room, nobody()).await) else {
            return self.doubt(&room, []);
        };
        for _ in 0..RESTORE_ATTEMPTS_MAX {
            if !self.knows_more(&room, &loaded) {
                break;
            }
            self.restore(&room, loaded.revision, loaded.record.as_deref()).await;
            let Ok(restored) = self.counted(self.store.load(&room, nobody()).await) else { return };
            loaded = restored;
        }
        if let Some(stored) = &loaded.record {
            self.hub.saw(&room, loaded.revision, Some(stored));
            self.give_back(&room).await;
            self.lose_missing(&room).await;
        }
        for connection in self.hub.joined(&room) {
            if let Some(Seat { user, .. }) = connection.seat() {
                let address = self.address(connection.id());
                if let Err(error) = self.submit(&room, Input::Alive { user, address }).await {
                    tracing::warn!(%room, %error, "cannot say that a connection lives");
                }
            }
        }
        if loaded.record.as_ref().map(|record| record.version) != known {
            self.retell(&room, &loaded);
        }
    }

    /// Where others have begun a room anew that the store has lost: who is connected here is in it again.
    pub(super) async fn give_back(&self, room: &RoomId) {
        let Some(mut lost) = self.hub.take_lost(room) else { return };
        let here: BTreeSet<_> = self.hub.joined(room).iter().map(|there| self.address(there.id())).collect();
        Arc::make_mut(&mut lost).participants.retain(|_, there| here.contains(&there.address));
        tracing::info!(%room, participants = lost.participants.len(), "gives a room begun anew its people back");
        if let Err(error) = self.submit(room, Input::GiveBack(lost)).await {
            tracing::warn!(%room, %error, "cannot give the room its people back");
        }
    }

    /// Sends everybody here the room's state as it is.
    fn retell(&self, room: &RoomId, loaded: &Loaded) {
        let Some(record) = &loaded.record else { return };
        self.hub.saw(room, loaded.revision, Some(record));
        let publisher = mobz_core::room::ParticipantType::Publisher;
        let listed = || record.participants.values().map(Arc::as_ref);
        for connection in self.hub.joined(room) {
            let oneself = connection.seat().and_then(|seat| seat.member);
            let participants = listed().chain(oneself.as_deref()).map(ParticipantView::from).collect();
            let publishers = listed().filter(|there| there.participant_type == publisher);
            let state = ServerSignal::RoomState {
                participants,
                publishers: publishers.map(PublisherView::from).collect(),
                owner: record.owner.clone(),
                version: record.version,
            };
            connection.push(Outbound::news(state.to_json(None)));
        }
    }

    /// Whether the store has lost the room, or was given back an older state of it by another node.
    fn knows_more(&self, room: &RoomId, loaded: &Loaded) -> bool {
        let Some(stored) = &loaded.record else { return true };
        let seen = self.hub.last_seen(room);
        seen.is_some_and(|seen| seen.created_at == stored.created_at && seen.version > stored.version)
    }

    /// Writes back what this node holds of a room that the store has lost, or has an `older` state of, where it is
    /// still at `revision`.
    pub(super) async fn restore(&self, room: &RoomId, revision: Revision, older: Option<&Record>) {
        let joined = self.hub.joined(room);
        let Some(mut record) = self.hub.last_seen(room).filter(|_| !joined.is_empty()) else { return };
        Arc::make_mut(&mut record).restored = true;
        let member = |connection: Arc<Connection>| connection.seat()?.member;
        let members = joined.into_iter().filter_map(member);
        let members: Vec<_> = members
            .map(|member| MemberChange::Put { was: None, now: Box::new(Arc::unwrap_or_clone(member)) })
            .collect();
        let is_p2m = record.mode == Mode::P2m;
        let change = Change { record: RecordChange::Put(record.clone()), ..Change::default() };
        if self.counted(self.store.attach(&self.id, room).await).is_err() {
            return;
        }
        match self.counted(self.store.commit(room, revision, change).await) {
            Ok(done) => {
                tracing::info!(%room, ?done, "gave the store its room back");
                if let Committed::Done(_) = done {
                    let mut others: BTreeSet<&NodeId> = nodes_of(&record).collect();
                    for node in others.iter().filter(|node| ***node != self.id) {
                        self.note_node(node, room).await;
                    }
                    // They may have seen the older state, and may not have all the connections that this one says.
                    others.extend(older.into_iter().flat_map(nodes_of));
                    self.have_look(room, others.into_iter()).await;
                }
            }
            Err(_) => return,
        }
        if is_p2m {
            self.restore_members(room, members).await;
        }
    }

    /// The store may not know that there is such a node: unless it says so itself, it is lost in a while.
    async fn note_node(&self, node: &NodeId, room: &RoomId) {
        let noted = async {
            self.store.beat(node, clock::now().after(LEASE)).await?;
            self.store.attach(node, room).await
        };
        // Failing leaves its participants where they are until somebody tells them something.
        let _ = self.counted(noted.await);
    }

    /// What a room says is connected here and is not has ended before the store was given an older state back.
    pub(super) async fn lose_missing(&self, room: &RoomId) {
        let Ok(loaded) = self.counted(self.store.load(room, Asked::Users(Vec::new())).await) else { return };
        let Some(record) = loaded.record else { return };
        let here =
            record.participants.values().filter(|there| !there.is_away() && there.address.node == self.id);
        for there in here.filter(|there| self.hub.get(there.address.connection).is_none()) {
            let (user, address) = (there.user.clone(), there.address.clone());
            let lost = self.submit(room, Input::Lost { user, address, unsent: Vec::new() }).await;
            if let Err(error) = lost {
                tracing::warn!(%room, %error, "cannot say that a connection has ended");
            }
        }
    }

    async fn restore_members(&self, room: &RoomId, members: Vec<MemberChange>) {
        for members in members.chunks(mobz_core::store::AUDIENCE_BATCH_MAX) {
            let Ok(loaded) = self.counted(self.store.load(room, Asked::Users(Vec::new())).await) else {
                return;
            };
            let change = Change { members: members.to_vec(), ..Change::default() };
            let _ = self.counted(self.store.commit(room, loaded.revision, change).await);
        }
    }
}
