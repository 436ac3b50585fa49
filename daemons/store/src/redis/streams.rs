//! Streams on Redis.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::hls::store::{COUNTERS_TTL, MediaName, StreamChange, Streams};
use mobz_core::id::RoomId;
use mobz_core::store::{Revision, StoreError, Subscription};
use mobz_core::time::millis;
use redis::Cmd;

use super::RedisStore;
use super::keys;
use super::script::script;

script!(COMMIT_STREAM, "commit_stream.lua");

#[async_trait]
impl Streams for RedisStore {
    async fn load_stream(&self, room: &RoomId) -> Result<(Revision, Option<Arc<[u8]>>), StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(keys::stream(room)).arg("revision").arg("state");
        let (revision, state): (Option<u64>, Option<Vec<u8>>) =
            self.connection.command(&command, || format!("load the stream of room {room}")).await?;
        Ok((Revision(revision.unwrap_or_default()), state.map(Arc::from)))
    }

    async fn commit_stream(
        &self,
        room: &RoomId,
        revision: Revision,
        change: StreamChange,
    ) -> Result<Option<Revision>, StoreError> {
        let stored = change.put.iter().map(|(name, ..)| name);
        let keys = stored.chain(&change.remove).map(|name| keys::media(room, name));
        // The state as a notice goes over the wire once: an hour of the past makes it large.
        let (has_notice, notice) = match &change.notice {
            None => (0, None),
            notice if *notice == change.state => (2, None),
            Some(notice) => (1, Some(notice)),
        };
        let call = COMMIT_STREAM.keys([keys::stream(room)].into_iter().chain(keys));
        let mut call = call
            .text(revision.0)
            .text(u8::from(change.state.is_some()))
            .bytes(change.state.as_deref().unwrap_or_default())
            .text(COUNTERS_TTL.as_secs())
            .text(has_notice)
            .bytes(notice.map(|notice| &notice[..]).unwrap_or_default())
            .text(self.connection.publish())
            .text(keys::notices(room))
            .text(self.names.next())
            .text(change.put.len());
        for (_, bytes, keep) in &change.put {
            call = call.bytes(bytes).text(millis(*keep).max(1));
        }
        let revision: Option<u64> =
            call.run(&self.connection, || format!("commit the stream of room {room}")).await?;
        Ok(revision.map(Revision))
    }

    async fn media(&self, room: &RoomId, name: &MediaName) -> Result<Option<Bytes>, StoreError> {
        let command = Cmd::get(keys::media(room, name));
        let found: Option<Vec<u8>> =
            self.connection.command(&command, || format!("read media of room {room}")).await?;
        Ok(found.map(Bytes::from))
    }

    async fn listen_stream(&self, room: &RoomId) -> Result<Box<dyn Subscription>, StoreError> {
        self.bus.listen(keys::notices(room), || format!("listen to the stream of room {room}")).await
    }
}
