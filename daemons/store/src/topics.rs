//! Who listens to what within this process: topics, and one bounded mailbox per listener.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use mobz_core::store::{BusEvent, Subscription};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most messages that wait for one listener. What comes beyond is dropped, and the listener is
/// told by [`BusEvent::Resubscribed`] that it lost some.
pub const MAILBOX_MESSAGES_MAX: usize = 32_768;
/// The most bytes of messages that wait for one listener; past it as past [`MAILBOX_MESSAGES_MAX`].
pub const MAILBOX_BYTES_MAX: usize = 64 << 20;

/// What waits for one listener.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<BusEvent>,
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    pub(crate) fn message(&self, message: Bytes) {
        let mut waiting = self.waiting.lock();
        let full =
            waiting.events.len() >= MAILBOX_MESSAGES_MAX || waiting.bytes + message.len() > MAILBOX_BYTES_MAX;
        if full {
            waiting.lost();
        } else {
            waiting.bytes += message.len();
            waiting.events.push_back(BusEvent::Message(message));
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    pub(crate) fn interrupted(&self) {
        self.waiting.lock().lost();
        self.arrived.notify_one();
    }

    fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_one();
    }

    async fn next(&self) -> Option<BusEvent> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some(event) = waiting.events.pop_front() {
                    if let BusEvent::Message(message) = &event {
                        waiting.bytes -= message.len();
                    }
                    return Some(event);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}

impl Waiting {
    /// One word of a loss is enough until the listener has read it.
    fn lost(&mut self) {
        if self.events.back() != Some(&BusEvent::Resubscribed) {
            self.events.push_back(BusEvent::Resubscribed);
        }
    }
}

/// Topics of one kind and their listeners in this process.
#[derive(Debug)]
pub(crate) struct Topics<K: Eq + Hash> {
    listeners: DashMap<K, Vec<Arc<Mailbox>>>,
    /// Whether a topic has lost its last listener since somebody asked.
    left: AtomicBool,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Topics<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { listeners: DashMap::new(), left: AtomicBool::new(false) })
    }

    /// Listens to `topic` until the listener is dropped.
    pub(crate) fn listen(self: &Arc<Self>, topic: K) -> Listener<K> {
        let mailbox = Arc::<Mailbox>::default();
        self.listeners.entry(topic.clone()).or_default().push(mailbox.clone());
        Listener { topics: self.clone(), topic, mailbox }
    }

    /// Hands `message` to every listener of `topic`; returns how many there are.
    pub(crate) fn publish(&self, topic: &K, message: &Bytes) -> usize {
        let Some(listeners) = self.listeners.get(topic) else { return 0 };
        for mailbox in listeners.iter() {
            mailbox.message(message.clone());
        }
        listeners.len()
    }

    /// Tells every listener of `topic` that it may have lost messages.
    pub(crate) fn interrupted(&self, topic: &K) {
        if let Some(listeners) = self.listeners.get(topic) {
            listeners.iter().for_each(|mailbox| mailbox.interrupted());
        }
    }

    /// Whether a topic has lost its last listener since the last call.
    pub(crate) fn take_left(&self) -> bool {
        self.left.swap(false, Ordering::Relaxed)
    }

    /// Ends all listening: every listener hears what waits for it, and then that it is over.
    pub(crate) fn close(&self) {
        for listeners in &self.listeners {
            listeners.iter().for_each(|mailbox| mailbox.close());
        }
    }

    /// Whether somebody listens to `topic`.
    pub(crate) fn has(&self, topic: &K) -> bool {
        self.listeners.contains_key(topic)
    }

    fn leave(&self, topic: &K, mailbox: &Arc<Mailbox>) {
        if let Entry::Occupied(mut entry) = self.listeners.entry(topic.clone()) {
            entry.get_mut().retain(|other| !Arc::ptr_eq(other, mailbox));
            if entry.get().is_empty() {
                entry.remove();
                self.left.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// One listener; dropping it ends the listening.
#[derive(Debug)]
pub(crate) struct Listener<K: Eq + Hash + Clone + Send + Sync + 'static> {
    topics: Arc<Topics<K>>,
    topic: K,
    mailbox: Arc<Mailbox>,
}

#[async_trait]
impl<K: Eq + Hash + Clone + Send + Sync + 'static> Subscription for Listener<K> {
    async fn next(&mut self) -> Option<BusEvent> {
        self.mailbox.next().await
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Drop for Listener<K> {
    fn drop(&mut self) {
        self.topics.leave(&self.topic, &self.mailbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_does_not_read_is_told_once_that_it_lost_messages() {
        let topics = Topics::<&'static str>::new();
        let mut listener = topics.listen("a");
        for _ in 0..MAILBOX_MESSAGES_MAX + 10 {
            topics.publish(&"a", &Bytes::from_static(b"x"));
        }
        for _ in 0..MAILBOX_MESSAGES_MAX {
            assert_eq!(listener.next().await, Some(BusEvent::Message(Bytes::from_static(b"x"))));
        }
        assert_eq!(listener.next().await, Some(BusEvent::Resubscribed));
        topics.publish(&"a", &Bytes::from_static(b"y"));
        assert_eq!(listener.next().await, Some(BusEvent::Message(Bytes::from_static(b"y"))));
    }

    #[test]
    fn a_topic_is_forgotten_with_its_last_listener() {
        let topics = Topics::<&'static str>::new();
        let listeners = [topics.listen("a"), topics.listen("a")];
        assert_eq!(topics.publish(&"a", &Bytes::new()), 2);
        drop(listeners);
        assert_eq!(topics.publish(&"a", &Bytes::new()), 0);
        assert!(!topics.has(&"a"));
        assert!(topics.take_left());
    }
}
