//! Munits in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::id::{MunitId, NodeId};
use mobz_core::munit::{Beat, Record};
use mobz_core::placement::Candidate;
use mobz_core::store::{
    Committed, DUE_BATCH_MAX, DUE_CLAIM, LoadedMunit, MunitPage, Munits, ROOM_TTL, Revision, StoreError,
    Subscription,
};
use mobz_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::MemoryStore;
use crate::reply::{is_reply_channel, reply_channel};
use crate::topics::Topics;

#[derive(Debug)]
pub(super) struct Fleet {
    munits: Mutex<Munited>,
    bus: Arc<Topics<MunitId>>,
    replies: Arc<Topics<String>>,
}

/// All munits with their indexes, under one lock: there are thousands at most, and each is touched every
/// few hundred milliseconds.
#[derive(Debug, Default)]
struct Munited {
    munits: BTreeMap<MunitId, Munit>,
    /// Those that take stations, the freest first.
    free: BTreeSet<(Reverse<usize>, MunitId)>,
    /// Those that are not lost, the one heard longest ago first.
    heard: BTreeSet<(Timestamp, MunitId)>,
    /// What nobody beats goes, in this order.
    expires: BTreeSet<(Instant, MunitId)>,
    /// The last revision given to any munit.
    revision: u64,
}

#[derive(Debug)]
struct Munit {
    revision: Revision,
    record: Arc<Record>,
    beat: Option<Beat>,
    claim: Option<Claim>,
    expires: Instant,
}

/// Somebody has claimed a silent munit: it holds until the munit is heard anew.
#[derive(Debug)]
struct Claim {
    at: Timestamp,
    heard: Timestamp,
}

impl Munit {
    fn heard_at(&self) -> Timestamp {
        self.record.heard_at(self.beat.as_ref())
    }

    fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| now < claim.at.after(DUE_CLAIM))
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self { munits: Mutex::default(), bus: Topics::new(), replies: Topics::new() }
    }
}

impl Fleet {
    pub(super) fn close(&self) {
        self.bus.close();
        self.replies.close();
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.munits.lock().expire(now);
    }

    /// What is there now.
    fn live(&self) -> parking_lot::MutexGuard<'_, Munited> {
        let mut munits = self.munits.lock();
        munits.expire(Instant::now());
        munits
    }
}

impl Munited {
    fn expire(&mut self, now: Instant) {
        while let Some((_, munit)) = self.expires.first().filter(|(expires, _)| *expires <= now) {
            let munit = munit.clone();
            self.take(&munit);
        }
    }

    /// Takes a munit out of the indexes and all.
    fn take(&mut self, id: &MunitId) -> Option<Munit> {
        let munit = self.munits.remove(id)?;
        self.free.remove(&(Reverse(munit.record.free_by(munit.beat.as_ref())), id.clone()));
        self.heard.remove(&(munit.heard_at(), id.clone()));
        self.expires.remove(&(munit.expires, id.clone()));
        Some(munit)
    }

    /// Puts a munit that [`Munited::take`] took, or a new one.
    fn put(&mut self, id: &MunitId, mut munit: Munit) {
        munit.expires = Instant::now() + ROOM_TTL;
        let free = munit.record.free_by(munit.beat.as_ref());
        if free > 0 {
            self.free.insert((Reverse(free), id.clone()));
        }
        let heard = munit.heard_at();
        munit.claim = munit.claim.filter(|claim| claim.heard == heard && !munit.record.lost);
        if !munit.record.lost {
            self.heard.insert((heard, id.clone()));
        }
        self.expires.insert((munit.expires, id.clone()));
        self.munits.insert(id.clone(), munit);
    }
}

#[async_trait]
impl Munits for MemoryStore {
    async fn load_munit(&self, munit: &MunitId) -> Result<LoadedMunit, StoreError> {
        let munits = self.munits.live();
        let Some(found) = munits.munits.get(munit) else { return Ok(LoadedMunit::default()) };
        Ok(LoadedMunit {
            revision: found.revision,
            record: Some(found.record.clone()),
            beat: found.beat.clone(),
        })
    }

    async fn commit_munit(
        &self,
        munit: &MunitId,
        revision: Revision,
        record: Option<Arc<Record>>,
    ) -> Result<Committed, StoreError> {
        let mut munits = self.munits.live();
        if munits.munits.get(munit).map(|munit| munit.revision).unwrap_or_default() != revision {
            return Ok(Committed::Conflict);
        }
        let was = munits.take(munit);
        let Some(record) = record else { return Ok(Committed::Done(Revision::default())) };
        munits.revision += 1;
        let revision = Revision(munits.revision);
        let (beat, claim) = was.map_or((None, None), |was| (was.beat, was.claim));
        munits.put(munit, Munit { revision, record, beat, claim, expires: Instant::now() });
        Ok(Committed::Done(revision))
    }

    async fn beat_munit(&self, munit: &MunitId, beat: &Beat) -> Result<Option<Revision>, StoreError> {
        let mut munits = self.munits.live();
        let Some(mut found) = munits.take(munit) else { return Ok(None) };
        let revision = found.revision;
        found.beat = Some(beat.clone());
        munits.put(munit, found);
        Ok(Some(revision))
    }

    async fn list_munits(&self, cursor: Option<&str>, limit: usize) -> Result<MunitPage, StoreError> {
        let Ok(after) = cursor.map(str::parse::<MunitId>).transpose() else {
            return Ok(MunitPage::default());
        };
        let limit = limit.max(1);
        let munits = self.munits.live();
        let after = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let following = munits.munits.range((after, Bound::Unbounded));
        let munits: Vec<MunitId> = following.map(|(munit, _)| munit.clone()).take(limit).collect();
        let cursor = munits.last().filter(|_| munits.len() == limit).map(ToString::to_string);
        Ok(MunitPage { munits, cursor })
    }

    async fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let munits = self.munits.live();
        let freest = munits.free.iter().take(limit);
        Ok(freest.map(|(Reverse(free), munit)| Candidate { munit: munit.clone(), free: *free }).collect())
    }

    async fn claim_silent_munits(
        &self,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<MunitId>, StoreError> {
        let mut munits = self.munits.live();
        let Munited { munits, heard, .. } = &mut *munits;
        let mut silent = Vec::new();
        for (_, id) in heard.iter().take_while(|(heard, _)| *heard < before) {
            let Some(munit) = munits.get_mut(id) else { continue };
            if munit.is_claimed(now) {
                continue;
            }
            munit.claim = Some(Claim { at: now, heard: munit.heard_at() });
            silent.push(id.clone());
            if silent.len() == DUE_BATCH_MAX {
                break;
            }
        }
        Ok(silent)
    }

    async fn signal_munit(&self, munit: &MunitId, message: Bytes) -> Result<bool, StoreError> {
        Ok(self.munits.bus.publish(munit, &message) > 0)
    }

    async fn listen_munit(&self, munit: &MunitId) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(self.munits.bus.listen(munit.clone())))
    }

    fn reply_channel(&self, asker: &NodeId) -> String {
        reply_channel(asker)
    }

    async fn listen_replies(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(self.munits.replies.listen(channel.to_owned())))
    }

    async fn reply(&self, channel: &str, message: Bytes) -> Result<bool, StoreError> {
        Ok(is_reply_channel(channel) && self.munits.replies.publish(&channel.to_owned(), &message) > 0)
    }
}
