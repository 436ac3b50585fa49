//! Rooms on Redis.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use mobz_core::id::{IdError, NodeId, RoomId, UserId};
use mobz_core::room::{HEIRS_KNOWN, Heir, Participant};
use mobz_core::store::{
    AUDIENCE_BATCH_MAX, Asked, Change, Committed, DUE_BATCH_MAX, DUE_CLAIM, KEPT_BYTES_MAX, KEPT_MAX, Kept,
    KeptChange, Loaded, MemberChange, ROOM_TTL, RecordChange, Revision, RoomPage, Rooms, StoreError,
};
use mobz_core::time::Timestamp;
use redis::{FromRedisValue, Value};

use super::RedisStore;
use super::connection::corrupt;
use super::keys::{self, INDEX_SHARDS, Index};
use super::script::{Call, script};
use crate::shard::{Cursor, shard_of};

script!(LOAD, "load.lua");
script!(COMMIT, "index.lua", "commit.lua");
script!(NOTE, "index.lua", "note.lua");
script!(KEEP, "index.lua", "keep.lua");
script!(DROP, "drop.lua");
script!(PAGE, "page.lua");
script!(CLAIM, "claim.lua");
script!(SETTLE, "settle.lua");
script!(TAKE_KEPT, "take_kept.lua");
script!(REFRESH, "refresh.lua");

/// How long an untouched shard of the index is kept; longer than any of its rooms.
const INDEX_TTL_SECONDS: u64 = 2 * ROOM_TTL.as_secs();
/// How long an index entry may be ahead of its room before a listing drops it, in microseconds of the
/// server's clock: many times what a commit may take.
const INDEX_AHEAD_MAX: u64 = 60_000_000;
/// The most rooms of a page, and the most asked for at once by a refresh.
const BATCH_MAX: usize = 500;

#[async_trait]
impl Rooms for RedisStore {
    async fn load(&self, room: &RoomId, asked: Asked) -> Result<Loaded, StoreError> {
        let call = LOAD.keys(keys::whole_room(room)).text(HEIRS_KNOWN);
        let call = match asked {
            Asked::Users(users) => call.text("users").texts(users),
            Asked::Due(now) => call.text("due").text(now.as_millis()).text(AUDIENCE_BATCH_MAX),
            Asked::At(node) => call.text("at").text(node).text(AUDIENCE_BATCH_MAX),
            Asked::First(limit) => call.text("first").text(u32::try_from(limit).unwrap_or(u32::MAX)),
        };
        let doing = || format!("load room {room}");
        let answer: Vec<Value> = call.run(&self.connection, doing).await?;
        loaded(answer).map_err(|cause| corrupt(doing(), &cause))
    }

    async fn commit(
        &self,
        room: &RoomId,
        revision: Revision,
        change: Change,
    ) -> Result<Committed, StoreError> {
        let new = revision == Revision::default() && matches!(change.record, RecordChange::Put(_));
        let removed = matches!(change.record, RecordChange::Remove);
        let entry = if self.connection.is_cluster() {
            self.note(room, new, change.due).await?;
            if removed { self.index_entry(room).await? } else { None }
        } else {
            None
        };
        let call = commit_call(room, revision, &change, &self.names.next(), !self.connection.is_cluster())?;
        let answer: Vec<u64> = call.run(&self.connection, || format!("commit room {room}")).await?;
        let [1, revision] = answer[..] else { return Ok(Committed::Conflict) };
        if let Some(since) = entry {
            self.drop_index_entry(room, &since).await?;
        }
        if new && self.connection.is_cluster() {
            // Whoever removes a room before this one drops the entry as it saw it, which may be the one
            // noted above; not this one. Failing leaves it to the next refresh.
            drop(self.note(room, new, None).await);
        }
        Ok(Committed::Done(Revision(revision)))
    }

    async fn take_kept(&self, room: &RoomId, user: &UserId) -> Result<Kept, StoreError> {
        let call = TAKE_KEPT.keys([keys::kept(room)]).text(user);
        let (signals, missed): (Vec<String>, u8) =
            call.run(&self.connection, || format!("take what is kept for {user} in room {room}")).await?;
        Ok(Kept { signals: signals.into_iter().map(Arc::from).collect(), missed: missed == 1 })
    }

    async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<RoomPage, StoreError> {
        let Some(mut cursor) = cursor.map_or(Some(Cursor::START), Cursor::decode) else {
            return Ok(RoomPage::default());
        };
        let limit = limit.clamp(1, BATCH_MAX);
        let mut rooms = Vec::new();
        while cursor.shard < INDEX_SHARDS {
            let asked = limit - rooms.len();
            let found = self.page(&cursor, asked).await?;
            if found.len() < asked {
                cursor = Cursor { shard: cursor.shard + 1, after: None };
            } else {
                cursor.after = found.last().map(|(room, _)| room.clone());
            }
            rooms.extend(self.living(found).await?);
            if rooms.len() == limit {
                return Ok(RoomPage { rooms, cursor: Some(cursor.encode()) });
            }
        }
        Ok(RoomPage { rooms, cursor: None })
    }

    async fn claim_due(&self, now: Timestamp) -> Result<Vec<RoomId>, StoreError> {
        let until = now.after(DUE_CLAIM).as_millis();
        let claims = (0..INDEX_SHARDS).map(|shard| {
            let index = Index::shard(shard);
            let call = CLAIM.keys([index.due, index.claimed]).text(now.as_millis()).text(until);
            let call = call.text(DUE_BATCH_MAX / INDEX_SHARDS);
            call.run::<Vec<String>>(&self.connection, || "claim due rooms".to_owned())
        });
        // A shard that answers is not held up by one that does not: what it handed out is claimed.
        let mut claimed = Vec::new();
        let mut failed = None;
        for answer in join_all(claims).await {
            match answer {
                Ok(rooms) => claimed.extend(rooms.iter().filter_map(|room| room.parse().ok())),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if claimed.is_empty() => Err(error),
            Some(_) | None => Ok(claimed),
        }
    }

    async fn settle_due(&self, room: &RoomId, next: Option<Timestamp>) -> Result<(), StoreError> {
        let index = Index::of(room);
        let next = next.map(|next| next.as_millis().to_string()).unwrap_or_default();
        let call = SETTLE.keys([index.due, index.claimed]).text(room).text(next).text(INDEX_TTL_SECONDS);
        let _: Value = call.run(&self.connection, || format!("settle when room {room} is due")).await?;
        Ok(())
    }

    async fn refresh(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, StoreError> {
        let doing = || "refresh rooms".to_owned();
        let mut missing = Vec::new();
        let mut shards = vec![Vec::new(); INDEX_SHARDS];
        for batch in rooms.chunks(BATCH_MAX) {
            let refreshed = batch.iter().map(|room| {
                let call = REFRESH.keys(keys::whole_room(room)).text(ROOM_TTL.as_secs());
                call.run::<u8>(&self.connection, doing)
            });
            for (room, there) in batch.iter().zip(try_join_all(refreshed).await?) {
                if there == 1 {
                    shards[shard_of(room, INDEX_SHARDS)].push(room);
                } else {
                    missing.push(room.clone());
                }
            }
        }
        let kept = shards.iter().enumerate().filter(|(_, rooms)| !rooms.is_empty()).map(|(shard, rooms)| {
            let call = KEEP.keys(Index::shard(shard).all()).text(INDEX_TTL_SECONDS).texts(rooms);
            call.run::<Value>(&self.connection, doing)
        });
        try_join_all(kept).await?;
        Ok(missing)
    }
}

impl RedisStore {
    /// Notes in the index that a room is new, and when it is due.
    async fn note(&self, room: &RoomId, new: bool, due: Option<Timestamp>) -> Result<(), StoreError> {
        if !new && due.is_none() {
            return Ok(());
        }
        let call = NOTE.keys(Index::of(room).all()).text(room).text(u8::from(new));
        let call = call.text(millis_or_nothing(due)).text(INDEX_TTL_SECONDS);
        let _: Value = call.run(&self.connection, || format!("note room {room} in the index")).await?;
        Ok(())
    }

    async fn index_entry(&self, room: &RoomId) -> Result<Option<String>, StoreError> {
        let command = redis::Cmd::hget(Index::of(room).since, room.as_str());
        self.connection.command(&command, || format!("look up room {room} in the index")).await
    }

    async fn drop_index_entry(&self, room: &RoomId, since: &str) -> Result<(), StoreError> {
        let index = Index::of(room);
        let call = DROP.keys([index.rooms, index.since]).text(room).text(since);
        let _: Value = call.run(&self.connection, || format!("take room {room} out of the index")).await?;
        Ok(())
    }

    /// The next entries of a shard: room, and since when if it is long enough to be dropped.
    async fn page(&self, cursor: &Cursor, limit: usize) -> Result<Vec<(RoomId, Option<String>)>, StoreError> {
        let index = Index::shard(cursor.shard);
        let from = cursor.after.as_ref().map_or_else(|| "-".to_owned(), |room| format!("({room}"));
        let call = PAGE.keys([index.rooms, index.since]).text(from).text(limit);
        let (rooms, since, now): (Vec<String>, Vec<String>, u64) =
            call.run(&self.connection, || "list rooms".to_owned()).await?;
        let old = |since: &str| now.saturating_sub(since.parse().unwrap_or_default()) > INDEX_AHEAD_MAX;
        let entries = rooms.iter().zip(since);
        Ok(entries
            .filter_map(|(room, since)| Some((room.parse().ok()?, Some(since).filter(|since| old(since)))))
            .collect())
    }

    /// Those of the entries whose room is there; drops old ones whose room is gone.
    async fn living(&self, entries: Vec<(RoomId, Option<String>)>) -> Result<Vec<RoomId>, StoreError> {
        let asked = entries.iter().map(|(room, _)| {
            let command = redis::Cmd::exists(keys::room(room));
            async move { self.connection.command::<bool>(&command, || "list rooms".to_owned()).await }
        });
        let there = try_join_all(asked).await?;
        let mut rooms = Vec::with_capacity(entries.len());
        for ((room, old_since), there) in entries.into_iter().zip(there) {
            match old_since {
                _ if there => rooms.push(room),
                Some(since) => self.drop_index_entry(&room, &since).await?,
                None => {}
            }
        }
        Ok(rooms)
    }
}

fn millis_or_nothing(at: Option<Timestamp>) -> String {
    at.map(|at| at.as_millis().to_string()).unwrap_or_default()
}

/// A secret that is there, be it empty.
fn secret(text: &str) -> String {
    format!("={text}")
}

fn commit_call<'a>(
    room: &RoomId,
    revision: Revision,
    change: &'a Change,
    name: &str,
    with_index: bool,
) -> Result<Call<'a>, StoreError> {
    let json = |value: Result<Vec<u8>, serde_json::Error>| {
        value.map_err(|error| corrupt(format!("write room {room} as JSON"), &error))
    };
    let mut keys = keys::whole_room(room);
    if with_index {
        keys.extend(Index::of(room).all());
    }
    let (becomes, record) = match &change.record {
        RecordChange::Same => ("same", Vec::new()),
        RecordChange::Put(record) => ("put", json(serde_json::to_vec(&**record))?),
        RecordChange::Remove => ("remove", Vec::new()),
    };
    let mut call: Call<'a> = COMMIT.keys(keys).text(revision.0).text(becomes).owned(record).text(room);
    call = call.text(ROOM_TTL.as_secs()).text(millis_or_nothing(change.due)).text(INDEX_TTL_SECONDS);
    call = call.text(KEPT_MAX).text(KEPT_BYTES_MAX).text(name).text(change.members.len());
    for member in &change.members {
        call = match member {
            MemberChange::Put { was, now } => {
                let node = if now.is_away() { "" } else { now.address.node.as_str() };
                call.text(&now.user)
                    .text(was.as_deref().map(secret).unwrap_or_default())
                    .owned(json(serde_json::to_vec(now))?)
                    .text(secret(&now.resume))
                    .text(now.order)
                    .text(u8::from(now.grants.owner))
                    .text(millis_or_nothing(now.due()))
                    .text(node)
            }
            MemberChange::Remove { was, user } => call.text(user).text(secret(was)).texts([""; 6]),
        };
    }
    for kept in &change.kept {
        call = match kept {
            KeptChange::Append(user, signal) => call.text(user).text("+").bytes(signal.as_bytes()),
            KeptChange::Clear(user) => call.text(user).texts(["-", ""]),
        };
    }
    Ok(call)
}

fn loaded(answer: Vec<Value>) -> Result<Loaded, String> {
    let mut answer = answer.into_iter();
    let Some(revision) = answer.next() else { return Ok(Loaded::default()) };
    let mut loaded = Loaded { revision: Revision(read(Some(revision))?), ..Loaded::default() };
    let record: Vec<u8> = read(answer.next())?;
    loaded.record = Some(Arc::new(serde_json::from_slice(&record).map_err(|error| error.to_string())?));
    loaded.audience.count = read(answer.next())?;
    if loaded.audience.count == 0 {
        return Ok(loaded);
    }
    let heirs: Vec<(String, u8, u64)> = read(answer.next())?;
    let heirs = heirs.into_iter().map(|(user, by_grant, order)| {
        let user = user.parse().map_err(|error: IdError| error.to_string())?;
        Ok(Heir { user, by_grant: by_grant == 1, order })
    });
    loaded.audience.heirs = heirs.collect::<Result<_, String>>()?;
    let due: String = read(answer.next())?;
    // Written as a float, the end of time may read as later than that.
    let due = if due.is_empty() { None } else { Some(due.parse().unwrap_or(u64::MAX)) };
    loaded.audience.due = due.map(Timestamp::from_millis);
    let members: Vec<Vec<u8>> = read(answer.next())?;
    let members = members.iter().map(|member| serde_json::from_slice::<Participant>(member));
    loaded.members = members.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let nodes: Vec<String> = read(answer.next())?;
    loaded.audience_nodes = nodes
        .iter()
        .map(|node| node.parse::<NodeId>())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    Ok(loaded)
}

fn read<T: FromRedisValue>(value: Option<Value>) -> Result<T, String> {
    T::from_redis_value(value.unwrap_or(Value::Nil)).map_err(|error| error.to_string())
}

#[cfg(all(test, feature = "testing", feature = "contract"))]
mod tests {
    use mobz_core::store::Store;

    use super::*;
    use crate::contract::sample;
    use crate::testing::Redis;

    #[tokio::test]
    async fn a_commit_that_is_sent_twice_holds_once() {
        let redis = Redis::start().unwrap();
        let store = RedisStore::open(&redis.url()).await.unwrap();
        store.ping().await.unwrap();
        let room: RoomId = "demo".parse().unwrap();
        let viewer = sample("demo").participants.into_values().next().unwrap();
        let viewer = Arc::unwrap_or_clone(viewer);
        let change = Change {
            record: RecordChange::Put(Arc::new(sample("demo"))),
            members: vec![MemberChange::Put { was: None, now: Box::new(viewer) }],
            kept: vec![KeptChange::Append("owner".parse().unwrap(), "{}".into())],
            due: None,
        };
        let mut answers = Vec::new();
        for name in ["one", "one", "two"] {
            let call = commit_call(&room, Revision::default(), &change, name, true).unwrap();
            answers.push(call.run::<Vec<u64>>(&store.connection, String::new).await.unwrap());
        }
        assert_eq!(answers[0], answers[1], "the second is told what became of the first");
        assert_eq!(answers[2], [0], "another is a conflict");
        let kept = store.take_kept(&room, &"owner".parse().unwrap()).await.unwrap();
        assert_eq!(kept.signals.len(), 1);
    }
}
