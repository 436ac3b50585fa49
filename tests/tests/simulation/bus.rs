//! The simulated `PubSub`: messages may be late, overtake each other, come twice, or never.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::store::{BusEvent, Subscription};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::chance::{happens, millis};
use crate::life::Life;
use crate::log::note;
use crate::mistake::Mistake;
use crate::redis::Faults;

/// What waits for one listener, by when it arrives.
#[derive(Debug)]
struct Mailbox {
    topic: String,
    life: Arc<Life>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    arriving: BTreeMap<(Instant, u64), Bytes>,
    last: u64,
    /// When the last message that kept its place arrives.
    in_order: Option<Instant>,
    /// Whether the subscription broke, and when it stands again, if that is known.
    broken: bool,
    stands_at: Option<Instant>,
}

/// All listeners.
#[derive(Debug)]
pub(crate) struct Bus {
    mistake: Option<Mistake>,
    mailboxes: Mutex<BTreeMap<String, Vec<Weak<Mailbox>>>>,
}

impl Bus {
    pub(crate) fn new(mistake: Option<Mistake>) -> Self {
        Self { mistake, mailboxes: Mutex::default() }
    }

    pub(crate) fn listen(&self, life: &Arc<Life>, topic: String) -> Box<dyn Subscription> {
        let (inner, changed) = (Mutex::default(), Notify::new());
        let mailbox = Arc::new(Mailbox { topic: topic.clone(), life: life.clone(), inner, changed });
        self.mailboxes.lock().unwrap().entry(topic).or_default().push(Arc::downgrade(&mailbox));
        Box::new(Listener(mailbox))
    }

    /// Whether anybody seems to listen.
    pub(crate) fn publish(&self, topic: &str, message: &Bytes, faults: Faults) -> bool {
        let mut heard = false;
        if self.mistake == Some(Mistake::LosesNews) && topic.starts_with("node") {
            return true;
        }
        for mailbox in self.of(topic) {
            heard |= mailbox.take_in(message, faults);
        }
        heard
    }

    /// The subscriptions of processes for which `whose` is true break, until [`Bus::heal`].
    pub(crate) fn interrupt(&self, whose: impl Fn(&Life) -> bool) {
        for mailbox in self.all().iter().filter(|mailbox| whose(&mailbox.life)) {
            let mut inner = mailbox.inner.lock().unwrap();
            (inner.broken, inner.stands_at) = (true, None);
            inner.arriving.clear();
        }
    }

    /// Those subscriptions stand again, each a little later.
    pub(crate) fn heal(&self, whose: impl Fn(&Life) -> bool) {
        for mailbox in self.all().iter().filter(|mailbox| whose(&mailbox.life)) {
            let mut inner = mailbox.inner.lock().unwrap();
            if inner.broken && inner.stands_at.is_none() {
                inner.stands_at = Some(Instant::now() + millis(1, 1000));
            }
            drop(inner);
            mailbox.changed.notify_one();
        }
    }

    fn of(&self, topic: &str) -> Vec<Arc<Mailbox>> {
        let mailboxes = self.mailboxes.lock().unwrap();
        mailboxes.get(topic).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    fn all(&self) -> Vec<Arc<Mailbox>> {
        let mut mailboxes = self.mailboxes.lock().unwrap();
        for of_topic in mailboxes.values_mut() {
            of_topic.retain(|mailbox| mailbox.strong_count() > 0);
        }
        mailboxes.retain(|_, of_topic| !of_topic.is_empty());
        mailboxes.values().flatten().filter_map(Weak::upgrade).collect()
    }
}

impl Mailbox {
    fn take_in(&self, message: &Bytes, faults: Faults) -> bool {
        if self.life.is_dead() {
            return false;
        }
        let mut inner = self.inner.lock().unwrap();
        if inner.broken {
            return false;
        }
        if happens(faults.lost) {
            note!("{} loses a message on {}", self.life.name, self.topic);
            // What one node tells another is told for good or the connection broke: its listener hears of that.
            // Of what munits are told nobody may rely on it.
            if self.topic.starts_with("node") {
                (inner.broken, inner.stands_at) = (true, Some(Instant::now() + millis(1, 2000)));
                inner.arriving.clear();
                drop(inner);
                self.changed.notify_one();
            }
            return true;
        }
        for _ in 0..=u64::from(happens(faults.twice)) {
            let mut at = Instant::now() + millis(0, faults.late);
            if happens(faults.overtaken) {
                at += millis(0, 1500);
            } else {
                at = inner.in_order.map_or(at, |before| at.max(before));
                inner.in_order = Some(at);
            }
            inner.last += 1;
            let number = inner.last;
            inner.arriving.insert((at, number), message.clone());
        }
        drop(inner);
        self.changed.notify_one();
        true
    }

    /// What its listener hears now, or when to ask again.
    fn due(&self) -> Result<BusEvent, Option<Instant>> {
        let now = Instant::now();
        let mut inner = self.inner.lock().unwrap();
        if inner.broken {
            return match inner.stands_at {
                Some(at) if at <= now => {
                    (inner.broken, inner.stands_at) = (false, None);
                    Ok(BusEvent::Resubscribed)
                }
                at => Err(at),
            };
        }
        match inner.arriving.first_key_value() {
            Some(((at, _), _)) if *at <= now => {
                let message = inner.arriving.pop_first().map(|(_, message)| message);
                Ok(BusEvent::Message(message.unwrap_or_default()))
            }
            first => Err(first.map(|((at, _), _)| *at)),
        }
    }
}

struct Listener(Arc<Mailbox>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> Option<BusEvent> {
        let Self(mailbox) = self;
        loop {
            mailbox.life.lives().await;
            match mailbox.due() {
                Ok(event) => {
                    note!("{} hears {} {}", mailbox.life.name, mailbox.topic, shown(&event));
                    return Some(event);
                }
                Err(at) => {
                    let far = Instant::now() + Duration::from_secs(3600);
                    tokio::select! {
                        biased;
                        () = mailbox.changed.notified() => {}
                        () = sleep_until(at.unwrap_or(far)) => {}
                    }
                }
            }
        }
    }
}

fn shown(event: &BusEvent) -> String {
    match event {
        BusEvent::Message(message) => String::from_utf8_lossy(message).into_owned(),
        BusEvent::Resubscribed => "again".to_owned(),
    }
}
