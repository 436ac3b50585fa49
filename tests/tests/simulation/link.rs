//! One process's way to the simulated Redis: late, cut, or answering nothing although it was done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::hls::store::{MediaName, StreamChange, Streams};
use mobz_core::id::{MunitId, NodeId, RoomId, UserId};
use mobz_core::munit::{Beat, Record};
use mobz_core::placement::Candidate;
use mobz_core::store::{
    Asked, Change, Committed, Event, Events, Kept, Loaded, LoadedMunit, MunitPage, Munits, Nodes, Revision,
    RoomPage, Rooms, Store, StoreError, Subscription,
};
use mobz_core::time::Timestamp;

use crate::chance::{happens, pause};
use crate::life::Life;
use crate::log::note;
use crate::mistake::Mistake;
use crate::redis::{Data, Redis};
use crate::rules;

/// A [`Store`] as one process has it.
#[derive(Debug)]
pub(crate) struct Link {
    redis: Arc<Redis>,
    life: Arc<Life>,
}

impl Link {
    pub(crate) fn of(redis: &Arc<Redis>, life: &Arc<Life>) -> Arc<dyn Store> {
        Arc::new(Self { redis: redis.clone(), life: life.clone() })
    }

    /// The way there.
    async fn reach(&self, doing: &str) -> Result<Data, StoreError> {
        self.way(doing).await?;
        Ok(self.redis.data())
    }

    /// The way back.
    async fn answer(&self, doing: &str) -> Result<(), StoreError> {
        if happens(self.redis.faults().unanswered) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Err(self.unreachable(doing, "the answer is lost"));
        }
        self.way(doing).await
    }

    async fn way(&self, doing: &str) -> Result<(), StoreError> {
        self.life.lives().await;
        pause(0, self.redis.faults().late).await;
        self.life.lives().await;
        if self.redis.is_away() {
            return Err(self.unreachable(doing, "connection refused"));
        }
        if self.life.is_cut() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.life.lives().await;
            return Err(self.unreachable(doing, "no answer within 1000 ms"));
        }
        Ok(())
    }

    fn unreachable(&self, doing: &str, cause: &str) -> StoreError {
        note!("{} cannot {doing}: {cause}", self.life.name);
        StoreError::Unreachable { doing: doing.to_owned(), cause: cause.to_owned() }
    }

    fn tell(&self, topic: &str, message: &Bytes) -> bool {
        let heard = self.redis.bus.publish(topic, message, self.redis.faults());
        note!("{} tells {topic}, heard {heard}", self.life.name);
        heard
    }
}

fn of_node(node: &NodeId) -> String {
    format!("node {node}")
}

fn of_munit(munit: &MunitId) -> String {
    format!("munit {munit}")
}

#[async_trait]
impl Rooms for Link {
    async fn load(&self, room: &RoomId, asked: Asked) -> Result<Loaded, StoreError> {
        let data = self.reach("load a room").await?;
        let mut loaded = data.store.load(room, asked).await?;
        loaded.revision = data.outside(loaded.revision);
        if let Some(mistake) = self.redis.mistake {
            mistake.shown_room(&mut loaded.record);
        }
        self.answer("load a room").await?;
        Ok(loaded)
    }

    async fn commit(
        &self,
        room: &RoomId,
        revision: Revision,
        mut change: Change,
    ) -> Result<Committed, StoreError> {
        let data = self.reach("commit a room").await?;
        let before = data.store.load(room, Asked::Users(Vec::new())).await?;
        let compares = self.redis.mistake != Some(Mistake::NoCompare);
        let revision = if compares { data.inside(revision) } else { Some(before.revision) };
        if let Some(mistake) = self.redis.mistake {
            mistake.kept_room(before.record.as_ref(), &mut change.record);
        }
        let committed = match revision {
            Some(revision) => data.committed(data.store.commit(room, revision, change).await?),
            None => Committed::Conflict,
        };
        let after = data.store.load(room, Asked::Users(Vec::new())).await?.record;
        note!("{} commits room {room}: {committed:?}", self.life.name);
        rules::room(room, before.record.as_deref(), after.as_deref());
        self.answer("commit a room").await?;
        Ok(committed)
    }

    async fn take_kept(&self, room: &RoomId, user: &UserId) -> Result<Kept, StoreError> {
        let kept = self.reach("take what is kept").await?.store.take_kept(room, user).await?;
        self.answer("take what is kept").await?;
        Ok(kept)
    }

    async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<RoomPage, StoreError> {
        let page = self.reach("list rooms").await?.store.list(cursor, limit).await?;
        self.answer("list rooms").await?;
        Ok(page)
    }

    async fn claim_due(&self, now: Timestamp) -> Result<Vec<RoomId>, StoreError> {
        let claimed = self.reach("claim due rooms").await?.store.claim_due(now).await?;
        self.answer("claim due rooms").await?;
        Ok(claimed)
    }

    async fn settle_due(&self, room: &RoomId, next: Option<Timestamp>) -> Result<(), StoreError> {
        self.reach("settle a room").await?.store.settle_due(room, next).await?;
        self.answer("settle a room").await
    }

    async fn refresh(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, StoreError> {
        let missing = self.reach("refresh rooms").await?.store.refresh(rooms).await?;
        self.answer("refresh rooms").await?;
        Ok(missing)
    }
}

#[async_trait]
impl Nodes for Link {
    async fn beat(&self, node: &NodeId, until: Timestamp) -> Result<(), StoreError> {
        self.reach("beat").await?.store.beat(node, until).await?;
        self.answer("beat").await
    }

    async fn claim_lost(&self, now: Timestamp) -> Result<Vec<NodeId>, StoreError> {
        let lost = self.reach("claim lost nodes").await?.store.claim_lost(now).await?;
        self.answer("claim lost nodes").await?;
        Ok(lost)
    }

    async fn forget(&self, node: &NodeId) -> Result<(), StoreError> {
        self.reach("forget a node").await?.store.forget(node).await?;
        self.answer("forget a node").await
    }

    async fn attach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        self.reach("attach a room").await?.store.attach(node, room).await?;
        self.answer("attach a room").await
    }

    async fn detach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        self.reach("detach a room").await?.store.detach(node, room).await?;
        self.answer("detach a room").await
    }

    async fn rooms_of(&self, node: &NodeId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let rooms = self.reach("list a node's rooms").await?.store.rooms_of(node, limit).await?;
        self.answer("list a node's rooms").await?;
        Ok(rooms)
    }

    async fn send(&self, node: &NodeId, message: Bytes) -> Result<bool, StoreError> {
        self.reach("send to a node").await?;
        let heard = self.tell(&of_node(node), &message);
        self.answer("send to a node").await?;
        Ok(heard)
    }

    async fn listen(&self, node: &NodeId) -> Result<Box<dyn Subscription>, StoreError> {
        self.reach("listen").await?;
        Ok(self.redis.bus.listen(&self.life, of_node(node)))
    }
}

#[async_trait]
impl Munits for Link {
    async fn load_munit(&self, munit: &MunitId) -> Result<LoadedMunit, StoreError> {
        let data = self.reach("load a munit").await?;
        let mut loaded = data.store.load_munit(munit).await?;
        loaded.revision = data.outside(loaded.revision);
        if let Some(mistake) = self.redis.mistake {
            mistake.shown_munit(&self.life, &mut loaded);
        }
        self.answer("load a munit").await?;
        Ok(loaded)
    }

    async fn commit_munit(
        &self,
        munit: &MunitId,
        revision: Revision,
        mut record: Option<Arc<Record>>,
    ) -> Result<Committed, StoreError> {
        let data = self.reach("commit a munit").await?;
        let before = data.store.load_munit(munit).await?;
        if let (Some(mistake), Some(before), Some(record)) = (self.redis.mistake, &before.record, &mut record)
        {
            mistake.kept_munit(&self.life, before, Arc::make_mut(record));
        }
        let committed = match data.inside(revision) {
            Some(revision) => data.committed(data.store.commit_munit(munit, revision, record).await?),
            None => Committed::Conflict,
        };
        let after = data.store.load_munit(munit).await?.record;
        note!("{} commits munit {munit}: {committed:?}", self.life.name);
        rules::munit(munit, before.record.as_deref(), after.as_deref());
        self.answer("commit a munit").await?;
        Ok(committed)
    }

    async fn beat_munit(&self, munit: &MunitId, beat: &Beat) -> Result<Option<Revision>, StoreError> {
        let data = self.reach("beat for a munit").await?;
        let revision = data.store.beat_munit(munit, beat).await?;
        self.answer("beat for a munit").await?;
        Ok(revision.map(|revision| data.outside(revision)))
    }

    async fn list_munits(&self, cursor: Option<&str>, limit: usize) -> Result<MunitPage, StoreError> {
        let page = self.reach("list munits").await?.store.list_munits(cursor, limit).await?;
        self.answer("list munits").await?;
        Ok(page)
    }

    async fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let data = self.reach("list candidates").await?;
        let mut candidates = data.store.candidates(limit).await?;
        if let Some(mistake) = self.redis.mistake {
            let mut all = Vec::new();
            for munit in data.store.list_munits(None, limit).await?.munits {
                all.extend(data.store.load_munit(&munit).await?.record.map(Arc::unwrap_or_clone));
            }
            mistake.shown_candidates(&all, &mut candidates);
        }
        self.answer("list candidates").await?;
        Ok(candidates)
    }

    async fn claim_silent_munits(
        &self,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<MunitId>, StoreError> {
        let data = self.reach("claim silent munits").await?;
        let silent = data.store.claim_silent_munits(now, before).await?;
        self.answer("claim silent munits").await?;
        Ok(silent)
    }

    async fn signal_munit(&self, munit: &MunitId, message: Bytes) -> Result<bool, StoreError> {
        self.reach("signal a munit").await?;
        let heard = self.tell(&of_munit(munit), &message);
        self.answer("signal a munit").await?;
        Ok(heard)
    }

    async fn listen_munit(&self, munit: &MunitId) -> Result<Box<dyn Subscription>, StoreError> {
        self.reach("listen").await?;
        Ok(self.redis.bus.listen(&self.life, of_munit(munit)))
    }

    fn reply_channel(&self, asker: &NodeId) -> String {
        format!("reply {asker}")
    }

    async fn listen_replies(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        self.reach("listen").await?;
        Ok(self.redis.bus.listen(&self.life, channel.to_owned()))
    }

    async fn reply(&self, channel: &str, message: Bytes) -> Result<bool, StoreError> {
        self.reach("reply").await?;
        let heard = self.tell(channel, &message);
        self.answer("reply").await?;
        Ok(heard)
    }
}

#[async_trait]
impl Events for Link {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.reach("log events").await?.store.append(events).await?;
        self.answer("log events").await
    }

    async fn after(
        &self,
        seq: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<Event>, u64), StoreError> {
        self.reach("read events").await?.store.after(seq, limit, wait).await
    }
}

#[async_trait]
impl Streams for Link {
    async fn load_stream(&self, room: &RoomId) -> Result<(Revision, Option<Arc<[u8]>>), StoreError> {
        self.reach("load a stream").await?.store.load_stream(room).await
    }

    async fn commit_stream(
        &self,
        room: &RoomId,
        revision: Revision,
        change: StreamChange,
    ) -> Result<Option<Revision>, StoreError> {
        self.reach("commit a stream").await?.store.commit_stream(room, revision, change).await
    }

    async fn media(&self, room: &RoomId, name: &MediaName) -> Result<Option<Bytes>, StoreError> {
        self.reach("read media").await?.store.media(room, name).await
    }

    async fn listen_stream(&self, room: &RoomId) -> Result<Box<dyn Subscription>, StoreError> {
        self.reach("listen").await?.store.listen_stream(room).await
    }
}

#[async_trait]
impl Store for Link {
    async fn ping(&self) -> Result<(), StoreError> {
        self.reach("ping").await?;
        self.answer("ping").await
    }

    fn describe(&self) -> String {
        format!("simulated, for {}", self.life.name)
    }
}
