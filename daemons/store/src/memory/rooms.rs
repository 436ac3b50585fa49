//! Rooms in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::{Audience, Record};
use mobz_core::store::{
    Asked, Change, Committed, DUE_BATCH_MAX, KEPT_BYTES_MAX, KEPT_MAX, Kept, KeptChange, Loaded,
    MemberChange, ROOM_TTL, RecordChange, Revision, RoomPage, Rooms, StoreError,
};
use mobz_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::audience::Members;
use super::due::Due;
use super::{MemoryStore, SHARDS};
use crate::shard::{Cursor, shard_of};

#[derive(Debug)]
pub(super) struct Shelf {
    shards: Box<[Mutex<Shard>]>,
    /// The last revision given to any room.
    revision: AtomicU64,
    /// Where the next search for due rooms begins, so that no shard is always last.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    rooms: BTreeMap<RoomId, Room>,
    due: Due,
}

#[derive(Debug)]
struct Room {
    revision: Revision,
    record: Arc<Record>,
    members: Option<Box<Members>>,
    kept: BTreeMap<UserId, KeptList>,
    expires: Instant,
}

#[derive(Debug, Default)]
struct KeptList {
    signals: VecDeque<Arc<str>>,
    bytes: usize,
    missed: bool,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            revision: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }
}

impl Shelf {
    fn shard(&self, room: &RoomId) -> &Mutex<Shard> {
        &self.shards[shard_of(room, SHARDS)]
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().rooms.is_empty())
    }

    pub(super) fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            shard.lock().rooms.retain(|_, room| room.expires > now);
        }
    }
}

impl Shard {
    fn live(&mut self, room: &RoomId, now: Instant) -> Option<&mut Room> {
        self.rooms.get_mut(room).filter(|room| room.expires > now)
    }
}

#[async_trait]
impl Rooms for MemoryStore {
    async fn load(&self, room: &RoomId, asked: Asked) -> Result<Loaded, StoreError> {
        let mut shard = self.rooms.shard(room).lock();
        let Some(found) = shard.live(room, Instant::now()) else { return Ok(Loaded::default()) };
        let members = found.members.as_deref();
        Ok(Loaded {
            revision: found.revision,
            record: Some(found.record.clone()),
            audience: members.map_or_else(Audience::default, Members::audience),
            members: members.map_or_else(Vec::new, |members| members.asked(&asked)),
            audience_nodes: members.map_or_else(Vec::new, Members::nodes),
        })
    }

    async fn commit(
        &self,
        room: &RoomId,
        revision: Revision,
        change: Change,
    ) -> Result<Committed, StoreError> {
        let now = Instant::now();
        let mut shard = self.rooms.shard(room).lock();
        let found = shard.live(room, now);
        if found.as_ref().map(|room| room.revision).unwrap_or_default() != revision
            || !fits(found.as_deref(), &change)
        {
            return Ok(Committed::Conflict);
        }
        if let Some(due) = change.due {
            shard.due.set(room, due);
        }
        let record = match change.record {
            RecordChange::Remove => {
                let removed = shard.rooms.remove(room);
                // A large audience takes a while to drop; others need not wait for it.
                drop(shard);
                drop(removed);
                return Ok(Committed::Done(Revision::default()));
            }
            RecordChange::Put(record) => Some(record),
            RecordChange::Same => None,
        };
        let expires = now + ROOM_TTL;
        if let Some(record) = record {
            let revision = Revision(self.rooms.revision.fetch_add(1, Ordering::Relaxed) + 1);
            if let Some(found) = shard.live(room, now) {
                (found.revision, found.record) = (revision, record);
            } else {
                let kept = BTreeMap::new();
                shard.rooms.insert(room.clone(), Room { revision, record, members: None, kept, expires });
            }
        }
        let Some(found) = shard.rooms.get_mut(room) else { return Ok(Committed::Done(revision)) };
        found.expires = expires;
        found.apply(change.members, change.kept);
        Ok(Committed::Done(found.revision))
    }

    async fn take_kept(&self, room: &RoomId, user: &UserId) -> Result<Kept, StoreError> {
        let mut shard = self.rooms.shard(room).lock();
        let kept = shard.live(room, Instant::now()).and_then(|room| room.kept.remove(user));
        Ok(kept.map(|kept| Kept { signals: kept.signals.into(), missed: kept.missed }).unwrap_or_default())
    }

    async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<RoomPage, StoreError> {
        let Some(mut cursor) = cursor.map_or(Some(Cursor::START), Cursor::decode) else {
            return Ok(RoomPage::default());
        };
        let (limit, now) = (limit.max(1), Instant::now());
        let mut rooms = Vec::new();
        while let Some(shard) = self.rooms.shards.get(cursor.shard) {
            let after = cursor.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let shard = shard.lock();
            let following = shard.rooms.range((after, Bound::Unbounded));
            let live = following.filter(|(_, room)| room.expires > now).map(|(id, _)| id.clone());
            rooms.extend(live.take(limit - rooms.len()));
            drop(shard);
            if rooms.len() == limit {
                cursor.after = rooms.last().cloned();
                return Ok(RoomPage { rooms, cursor: Some(cursor.encode()) });
            }
            cursor = Cursor { shard: cursor.shard + 1, after: None };
        }
        Ok(RoomPage { rooms, cursor: None })
    }

    async fn claim_due(&self, now: Timestamp) -> Result<Vec<RoomId>, StoreError> {
        let first = self.rooms.turn.fetch_add(1, Ordering::Relaxed);
        let mut claimed = Vec::new();
        for offset in 0..SHARDS {
            let mut shard = self.rooms.shards[first.wrapping_add(offset) % SHARDS].lock();
            while claimed.len() < DUE_BATCH_MAX
                && let Some(room) = shard.due.claim(now)
            {
                claimed.push(room);
            }
        }
        Ok(claimed)
    }

    async fn settle_due(&self, room: &RoomId, next: Option<Timestamp>) -> Result<(), StoreError> {
        self.rooms.shard(room).lock().due.settle(room, next);
        Ok(())
    }

    async fn refresh(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, StoreError> {
        let now = Instant::now();
        let mut missing = Vec::new();
        for room in rooms {
            match self.rooms.shard(room).lock().live(room, now) {
                Some(found) => found.expires = now + ROOM_TTL,
                None => missing.push(room.clone()),
            }
        }
        Ok(missing)
    }
}

/// Whether the members are as the change found them, and there is or will be a room for them.
fn fits(found: Option<&Room>, change: &Change) -> bool {
    match change.record {
        RecordChange::Remove => return true,
        RecordChange::Same if found.is_none() => return change.members.is_empty() && change.kept.is_empty(),
        RecordChange::Same | RecordChange::Put(_) => {}
    }
    let members = found.and_then(|room| room.members.as_deref());
    // What the change itself has made of a member, when it names one twice.
    let mut changed = BTreeMap::<&UserId, Option<&str>>::new();
    change.members.iter().all(|member| {
        let (user, was, now) = match member {
            MemberChange::Put { was, now } => (&now.user, was.as_deref(), Some(now.resume.as_str())),
            MemberChange::Remove { was, user } => (user, Some(was.as_str()), None),
        };
        let stored = || members.and_then(|members| members.secret(user));
        let is = changed.get(user).copied().unwrap_or_else(stored);
        changed.insert(user, now);
        is == was
    })
}

impl Room {
    fn apply(&mut self, members: Vec<MemberChange>, kept: Vec<KeptChange>) {
        for member in members {
            let audience = self.members.get_or_insert_default();
            match member {
                MemberChange::Put { now, .. } => audience.put(*now),
                MemberChange::Remove { user, .. } => {
                    audience.remove(&user);
                    self.kept.remove(&user);
                }
            }
        }
        self.members.take_if(|members| members.is_empty());
        for change in kept {
            match change {
                KeptChange::Append(user, signal) => self.kept.entry(user).or_default().append(signal),
                KeptChange::Clear(user) => drop(self.kept.remove(&user)),
            }
        }
    }
}

impl KeptList {
    fn append(&mut self, signal: Arc<str>) {
        self.missed |= self.signals.len() >= KEPT_MAX || self.bytes + signal.len() > KEPT_BYTES_MAX;
        if !self.missed {
            self.bytes += signal.len();
            self.signals.push_back(signal);
        }
    }
}
