//! Munits on Redis.
//!
//! The indexes of all munits share one hash tag: a few short commands per heartbeat of each, which one
//! server takes for many thousands of them, and the freest come first in one round trip.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use mobz_core::id::{MunitId, NodeId};
use mobz_core::munit::{Beat, Record};
use mobz_core::placement::Candidate;
use mobz_core::store::{
    Committed, DUE_BATCH_MAX, DUE_CLAIM, LoadedMunit, MunitPage, Munits, ROOM_TTL, Revision, StoreError,
    Subscription,
};
use mobz_core::time::{Timestamp, millis};
use redis::{Cmd, Value};

use super::RedisStore;
use super::connection::corrupt;
use super::keys::{self, MunitIndex};
use super::script::{Call, script};
use crate::reply::{is_reply_channel, reply_channel};

script!(COMMIT, "munit.lua", "munit_commit.lua");
script!(BEAT, "munit.lua", "munit_beat.lua");
script!(STANDS, "munit.lua", "munit_stands.lua");
script!(NOTE, "munit.lua", "munit_note.lua");
script!(DROP, "munit.lua", "munit_drop.lua");
script!(PAGE, "munit_page.lua");
script!(CLAIM, "munit_claim.lua");

/// How long an untouched index is kept; longer than any of its munits.
const INDEX_TTL_SECONDS: u64 = 2 * ROOM_TTL.as_secs();
/// The most munits of a page.
const PAGE_MAX: usize = 500;

/// What the indexes shall say of a munit.
struct Stand {
    revision: Revision,
    free: String,
    /// When it was last heard, in milliseconds since the epoch; empty when it is lost.
    heard: String,
}

#[async_trait]
impl Munits for RedisStore {
    async fn load_munit(&self, munit: &MunitId) -> Result<LoadedMunit, StoreError> {
        let doing = || format!("load munit {munit}");
        let command = Cmd::hmget(keys::munit(munit), &["revision", "record", "beat"]);
        let found: (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>) =
            self.connection.command(&command, doing).await?;
        let (Some(revision), Some(record), beat) = found else { return Ok(LoadedMunit::default()) };
        let fail = |error: serde_json::Error| corrupt(doing(), &error);
        Ok(LoadedMunit {
            revision: Revision(revision),
            record: Some(Arc::new(serde_json::from_slice(&record).map_err(fail)?)),
            beat: beat.map(|beat| serde_json::from_slice(&beat)).transpose().map_err(fail)?,
        })
    }

    async fn commit_munit(
        &self,
        munit: &MunitId,
        revision: Revision,
        record: Option<Arc<Record>>,
    ) -> Result<Committed, StoreError> {
        let call =
            commit_call(munit, revision, record.as_deref(), &self.names.next(), self.munit_keys(munit))?;
        let answer: Vec<String> = call.run(&self.connection, || format!("commit munit {munit}")).await?;
        let committed = match &answer[..] {
            [_, _] => {
                // Failing leaves it to the next that finds it in a listing or a claim.
                drop(self.drop_munit(munit, revision).await);
                Revision::default()
            }
            [_, stand @ ..] => match stand_of(stand) {
                Some(stand) => {
                    // Failing leaves it to the next heartbeat.
                    drop(self.note_munit(munit, &stand).await);
                    stand.revision
                }
                None => return Ok(Committed::Conflict),
            },
            [] => return Ok(Committed::Conflict),
        };
        Ok(Committed::Done(committed))
    }

    async fn beat_munit(&self, munit: &MunitId, beat: &Beat) -> Result<Option<Revision>, StoreError> {
        let doing = || format!("note a heartbeat of munit {munit}");
        let json = serde_json::to_vec(beat).map_err(|error| corrupt(doing(), &error))?;
        let call = BEAT.keys(self.munit_keys(munit)).text(munit).owned(json);
        let call = call.text(ROOM_TTL.as_secs()).text(INDEX_TTL_SECONDS);
        let answer: Vec<String> = call.run(&self.connection, doing).await?;
        let Some(stand) = stand_of(&answer) else { return Ok(None) };
        self.note_munit(munit, &stand).await?;
        Ok(Some(stand.revision))
    }

    async fn list_munits(&self, cursor: Option<&str>, limit: usize) -> Result<MunitPage, StoreError> {
        let Ok(mut after) = cursor.map(str::parse::<MunitId>).transpose() else {
            return Ok(MunitPage::default());
        };
        let limit = limit.clamp(1, PAGE_MAX);
        let mut munits = Vec::new();
        loop {
            let asked = limit - munits.len();
            let found = self.munit_page(after.as_ref(), asked).await?;
            let more = found.len() == asked;
            after = found.last().map(|(munit, _)| munit.clone());
            munits.extend(self.living_munits(found).await?);
            if !more || munits.len() == limit {
                let cursor = after.filter(|_| more).map(|after| after.to_string());
                return Ok(MunitPage { munits, cursor });
            }
        }
    }

    async fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("ZRANGE");
        command.arg(MunitIndex::FREE).arg("+inf").arg("(0").arg("BYSCORE").arg("REV");
        command.arg("LIMIT").arg(0).arg(limit).arg("WITHSCORES");
        let found: Vec<(String, usize)> =
            self.connection.command(&command, || "find a munit that takes a station".to_owned()).await?;
        let candidate = |(munit, free): (String, usize)| Some(Candidate { munit: munit.parse().ok()?, free });
        Ok(found.into_iter().filter_map(candidate).collect())
    }

    async fn claim_silent_munits(
        &self,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<MunitId>, StoreError> {
        let doing = || "claim silent munits".to_owned();
        let call = CLAIM.keys([MunitIndex::HEARD, MunitIndex::CLAIMED, MunitIndex::REVISIONS]);
        let call = call.text(now.as_millis()).text(before.as_millis()).text(millis(DUE_CLAIM));
        let call = call.text(DUE_BATCH_MAX).text(INDEX_TTL_SECONDS);
        let (munits, revisions): (Vec<String>, Vec<u64>) = call.run(&self.connection, doing).await?;
        let indexed = munits.iter().zip(revisions);
        let indexed = indexed.filter_map(|(munit, revision)| Some((munit.parse().ok()?, revision)));
        let looks = indexed.map(|(munit, revision)| async move {
            let silent = self.is_silent(&munit, Revision(revision), before).await?;
            Ok(silent.then_some(munit))
        });
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    async fn signal_munit(&self, munit: &MunitId, message: Bytes) -> Result<bool, StoreError> {
        self.publish(keys::munit_bus(munit), message, || format!("signal munit {munit}")).await
    }

    async fn listen_munit(&self, munit: &MunitId) -> Result<Box<dyn Subscription>, StoreError> {
        self.bus.listen(keys::munit_bus(munit), || format!("listen for munit {munit}")).await
    }

    fn reply_channel(&self, asker: &NodeId) -> String {
        reply_channel(asker)
    }

    async fn listen_replies(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        self.bus.listen(channel.to_owned(), || format!("listen for replies on {channel}")).await
    }

    async fn reply(&self, channel: &str, message: Bytes) -> Result<bool, StoreError> {
        if !is_reply_channel(channel) {
            return Ok(false);
        }
        self.publish(channel.to_owned(), message, || format!("reply on {channel}")).await
    }
}

impl RedisStore {
    /// The keys of a munit, and on a single server those of the indexes.
    fn munit_keys(&self, munit: &MunitId) -> Vec<String> {
        let mut keys = vec![keys::munit(munit), keys::munit_revision(munit)];
        if !self.connection.is_cluster() {
            keys.extend(MunitIndex::ALL.map(str::to_owned));
        }
        keys
    }

    /// Puts the indexes right where the munit's own script could not.
    async fn note_munit(&self, munit: &MunitId, stand: &Stand) -> Result<(), StoreError> {
        if self.connection.is_cluster() { self.put_index_right(munit, stand).await } else { Ok(()) }
    }

    async fn drop_munit(&self, munit: &MunitId, revision: Revision) -> Result<(), StoreError> {
        if self.connection.is_cluster() { self.drop_from_index(munit, revision).await } else { Ok(()) }
    }

    async fn put_index_right(&self, munit: &MunitId, stand: &Stand) -> Result<(), StoreError> {
        let call = NOTE.keys(MunitIndex::ALL).text(INDEX_TTL_SECONDS).text(munit);
        let call = call.text(stand.revision.0).text(&stand.free).text(&stand.heard);
        let _: Value = call.run(&self.connection, || format!("note munit {munit} in the indexes")).await?;
        Ok(())
    }

    async fn drop_from_index(&self, munit: &MunitId, revision: Revision) -> Result<(), StoreError> {
        let call = DROP.keys(MunitIndex::ALL).text(munit).text(revision.0);
        let _: Value =
            call.run(&self.connection, || format!("take munit {munit} out of the indexes")).await?;
        Ok(())
    }

    /// Whether a munit that the index says is silent really is; the index is put right where it is not.
    async fn is_silent(
        &self,
        munit: &MunitId,
        indexed: Revision,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let call = STANDS.keys([keys::munit(munit)]);
        let answer: Vec<String> =
            call.run(&self.connection, || format!("look whether munit {munit} is silent")).await?;
        let Some(stand) = stand_of(&answer) else {
            self.drop_from_index(munit, indexed).await?;
            return Ok(false);
        };
        if stand.heard.parse().is_ok_and(|heard: u64| heard < before.as_millis()) {
            return Ok(true);
        }
        self.put_index_right(munit, &stand).await?;
        Ok(false)
    }

    /// The next entries of the index: munit and revision.
    async fn munit_page(
        &self,
        after: Option<&MunitId>,
        limit: usize,
    ) -> Result<Vec<(MunitId, Revision)>, StoreError> {
        let from = after.map_or_else(|| "-".to_owned(), |munit| format!("({munit}"));
        let call = PAGE.keys([MunitIndex::IDS, MunitIndex::REVISIONS]).text(from).text(limit);
        let (munits, revisions): (Vec<String>, Vec<u64>) =
            call.run(&self.connection, || "list munits".to_owned()).await?;
        let entries = munits.iter().zip(revisions);
        Ok(entries.filter_map(|(munit, revision)| Some((munit.parse().ok()?, Revision(revision)))).collect())
    }

    /// Those of the entries whose munit is there; drops the others.
    async fn living_munits(&self, entries: Vec<(MunitId, Revision)>) -> Result<Vec<MunitId>, StoreError> {
        let asked = entries.iter().map(|(munit, _)| {
            let command = Cmd::exists(keys::munit(munit));
            async move { self.connection.command::<bool>(&command, || "list munits".to_owned()).await }
        });
        let there = try_join_all(asked).await?;
        let mut munits = Vec::with_capacity(entries.len());
        for ((munit, revision), there) in entries.into_iter().zip(there) {
            if there {
                munits.push(munit);
            } else {
                self.drop_from_index(&munit, revision).await?;
            }
        }
        Ok(munits)
    }

    async fn publish(
        &self,
        channel: String,
        message: Bytes,
        doing: impl FnOnce() -> String + Send,
    ) -> Result<bool, StoreError> {
        let mut command = redis::cmd(self.connection.publish());
        command.arg(channel).arg(&*message);
        let listeners: u64 = self.connection.command(&command, doing).await?;
        Ok(listeners > 0)
    }
}

fn commit_call(
    munit: &MunitId,
    revision: Revision,
    record: Option<&Record>,
    name: &str,
    keys: Vec<String>,
) -> Result<Call<'static>, StoreError> {
    let call = COMMIT.keys(keys).text(revision.0).text(munit).text(name);
    let call = call.text(ROOM_TTL.as_secs()).text(INDEX_TTL_SECONDS);
    let Some(record) = record else { return Ok(call.text("")) };
    let json = serde_json::to_vec(record)
        .map_err(|error| corrupt(format!("write munit {munit} as JSON"), &error))?;
    let call = call.owned(json).text(record.free()).text(record.capacity.viewers).text(&record.instance);
    Ok(call.text(record.since.as_millis()).text(u8::from(record.lost)))
}

fn stand_of(answer: &[String]) -> Option<Stand> {
    let [revision, free, heard] = answer else { return None };
    Some(Stand { revision: Revision(revision.parse().ok()?), free: free.clone(), heard: heard.clone() })
}
