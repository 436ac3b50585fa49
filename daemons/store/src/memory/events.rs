//! Events in memory.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use mobz_core::store::{EVENTS_MAX, Event, Events, StoreError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::MemoryStore;

#[derive(Debug)]
pub(super) struct Log {
    kept: Mutex<VecDeque<Event>>,
    /// The last number given.
    last: watch::Sender<u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self { kept: Mutex::default(), last: watch::Sender::new(0) }
    }
}

impl Log {
    fn read(&self, after: u64, limit: usize) -> Vec<Event> {
        let kept = self.kept.lock();
        let from = kept.partition_point(|event| event.seq <= after);
        kept.range(from..).take(limit).cloned().collect()
    }
}

#[async_trait]
impl Events for MemoryStore {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        let mut kept = self.events.kept.lock();
        let mut seq = *self.events.last.borrow();
        for event in events {
            seq += 1;
            if kept.len() == EVENTS_MAX {
                kept.pop_front();
            }
            kept.push_back(Event { seq, ..event });
        }
        self.events.last.send_replace(seq);
        Ok(())
    }

    async fn after(
        &self,
        seq: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<Event>, u64), StoreError> {
        let deadline = Instant::now() + wait;
        let mut last = self.events.last.subscribe();
        let newest = *last.borrow_and_update();
        // A number beyond the newest is of a log that is gone: all that is kept comes after it.
        let from = seq.map_or(newest, |seq| if seq > newest { 0 } else { seq });
        loop {
            let found = self.events.read(from, limit.max(1));
            if let Some(end) = found.last().map(|event| event.seq) {
                return Ok((found, end));
            }
            if !matches!(timeout_at(deadline, last.changed()).await, Ok(Ok(()))) {
                return Ok((Vec::new(), from));
            }
        }
    }
}
