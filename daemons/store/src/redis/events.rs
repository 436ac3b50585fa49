//! Events on Redis: a stream, and a channel that tells of what is appended.

use std::time::Duration;

use async_trait::async_trait;
use mobz_core::store::{EVENTS_MAX, Event, Events, StoreError};
use mobz_core::time::Timestamp;
use redis::Value;
use tokio::time::{Instant, timeout_at};

use super::RedisStore;
use super::connection::corrupt;
use super::keys;
use super::script::script;

script!(APPEND, "append.lua");
script!(AFTER, "after.lua");

const LOG: [&str; 2] = [keys::EVENTS, keys::EVENTS_SEQ];
/// How long the log outlives its last event.
const LOG_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

#[async_trait]
impl Events for RedisStore {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut call = APPEND.keys(LOG).text(EVENTS_MAX).text(LOG_TTL.as_secs());
        call = call.text(self.connection.publish()).text(keys::EVENTS_APPENDED);
        for event in &events {
            call = call.text(event.at.as_millis()).bytes(event.name.as_bytes()).bytes(event.data.as_bytes());
        }
        let _: Value = call.run(&self.connection, || "append events".to_owned()).await?;
        Ok(())
    }

    async fn after(
        &self,
        seq: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<Event>, u64), StoreError> {
        let deadline = Instant::now() + wait;
        let (found, mut from) = self.read(seq, limit).await?;
        if !found.is_empty() || wait.is_zero() {
            return Ok((found, from));
        }
        let mut appended =
            self.bus.listen(keys::EVENTS_APPENDED.to_owned(), || "listen for events".to_owned()).await?;
        loop {
            // Read after listening: what came in between is told to nobody.
            let (found, end) = self.read(Some(from), limit).await?;
            from = end;
            if !found.is_empty() || timeout_at(deadline, appended.next()).await.is_err() {
                return Ok((found, from));
            }
        }
    }
}

type Entry = (String, Vec<String>);

impl RedisStore {
    async fn read(&self, seq: Option<u64>, limit: usize) -> Result<(Vec<Event>, u64), StoreError> {
        let call =
            AFTER.keys(LOG).text(seq.map(|seq| seq.to_string()).unwrap_or_default()).text(limit.max(1));
        let doing = || "read events".to_owned();
        let (from, entries): (u64, Vec<Entry>) = call.run(&self.connection, doing).await?;
        let events: Option<Vec<Event>> = entries.into_iter().map(event).collect();
        let events = events.ok_or_else(|| corrupt(doing(), &"an entry that is no event"))?;
        let end = events.last().map_or(from, |event| event.seq);
        Ok((events, end))
    }
}

fn event((id, fields): Entry) -> Option<Event> {
    let seq = id.strip_suffix("-0")?.parse().ok()?;
    let [_, at, _, name, _, data] = <[String; 6]>::try_from(fields).ok()?;
    Some(Event { seq, at: Timestamp::from_millis(at.parse().ok()?), name, data: data.into() })
}
