//! What this process listens to on Redis: every subscription shares the connections of one task, which
//! subscribes again by itself after an interruption.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mobz_core::store::{StoreError, Subscription};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connection::{Connection, OPERATION_MAX};
use super::links::{Links, Place};
use crate::topics::Topics;

/// The most subscriptions that wait to be made; the next waits outside.
const WANTED_MAX: usize = 1024;
/// How often subscriptions nobody wants any more are ended, and lost ones are tried again.
const TIDY_EVERY: Duration = Duration::from_millis(200);
/// How often each connection is asked whether it still stands.
const PING_EVERY: Duration = Duration::from_secs(1);

/// The way to listen.
#[derive(Debug)]
pub(super) struct Bus {
    topics: Arc<Topics<String>>,
    wanted: mpsc::Sender<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    channel: String,
    stands: oneshot::Sender<Result<(), String>>,
}

impl Bus {
    /// Starts the task; it ends with the bus.
    pub(super) fn start(connection: &Connection) -> Self {
        let topics = Topics::new();
        let (wanted, asked) = mpsc::channel(WANTED_MAX);
        let signal = Arc::new(Notify::new());
        let links = Links::new(connection, topics.clone(), signal.clone());
        let keeper = Keeper { topics: topics.clone(), links, standing: HashMap::new(), signal };
        tokio::spawn(keeper.run(asked));
        Self { topics, wanted }
    }

    /// Listens to a channel; returns once the server has confirmed it.
    pub(super) async fn listen(
        &self,
        channel: String,
        doing: impl FnOnce() -> String + Send,
    ) -> Result<Box<dyn Subscription>, StoreError> {
        let listener = self.topics.listen(channel.clone());
        let (stands, answer) = oneshot::channel();
        let asked = async {
            // Failing to send means that the answer fails too.
            drop(self.wanted.send(Wanted { channel, stands }).await);
            answer.await
        };
        let cause = match timeout(OPERATION_MAX, asked).await {
            Ok(Ok(Ok(()))) => return Ok(Box::new(listener)),
            Ok(Ok(Err(cause))) => cause,
            Ok(Err(_)) => "the store is closing".to_owned(),
            Err(_) => format!("no answer within {} ms", OPERATION_MAX.as_millis()),
        };
        Err(StoreError::Unreachable { doing: doing(), cause })
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.topics.close();
    }
}

/// How it stands with a channel.
enum Standing {
    /// Subscribed there.
    At(Place),
    /// It stood, and was interrupted.
    Lost,
}

struct Keeper {
    topics: Arc<Topics<String>>,
    links: Links,
    standing: HashMap<String, Standing>,
    /// Woken when a link breaks.
    signal: Arc<Notify>,
}

impl Keeper {
    async fn run(mut self, mut asked: mpsc::Receiver<Wanted>) {
        let mut tidy = interval(TIDY_EVERY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping_at = Instant::now() + PING_EVERY;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = asked.recv_many(&mut batch, WANTED_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.subscribe(std::mem::take(&mut batch)).await;
                }
                () = self.signal.notified() => self.note_broken(),
                _ = tidy.tick() => {
                    if Instant::now() >= ping_at {
                        self.links.ping().await;
                        ping_at = Instant::now() + PING_EVERY;
                    }
                    self.note_broken();
                    self.leave().await;
                    self.recover().await;
                }
            }
        }
    }

    async fn subscribe(&mut self, wanted: Vec<Wanted>) {
        self.note_broken();
        let (standing, missing): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|wanted| matches!(self.standing.get(&wanted.channel), Some(Standing::At(_))));
        for wanted in standing {
            // Who has stopped waiting needs no answer; here and below.
            drop(wanted.stands.send(Ok(())));
        }
        let channels = missing.iter().map(|wanted| wanted.channel.clone()).collect();
        let outcomes = self.links.subscribe(channels).await;
        for (wanted, outcome) in missing.into_iter().zip(outcomes) {
            let outcome = outcome.map(|place| self.stands(wanted.channel, place));
            drop(wanted.stands.send(outcome));
        }
    }

    fn stands(&mut self, channel: String, place: Place) {
        if let Some(Standing::Lost) = self.standing.get(&channel) {
            self.topics.interrupted(&channel);
        }
        self.standing.insert(channel, Standing::At(place));
    }

    fn note_broken(&mut self) {
        let broken = self.links.drop_broken();
        if broken.is_empty() {
            return;
        }
        for standing in self.standing.values_mut() {
            if matches!(standing, Standing::At(place) if broken.contains(place)) {
                *standing = Standing::Lost;
            }
        }
    }

    /// Ends subscriptions that nobody listens to any more.
    async fn leave(&mut self) {
        if !self.topics.take_left() {
            return;
        }
        let topics = &self.topics;
        let left = self.standing.extract_if(|channel, _| !topics.has(channel));
        let left = left.filter_map(|(channel, standing)| match standing {
            Standing::At(place) => Some((channel, place)),
            Standing::Lost => None,
        });
        self.links.unsubscribe(left.collect()).await;
    }

    /// Subscribes again to what was interrupted.
    async fn recover(&mut self) {
        let lost = self.standing.iter().filter(|(_, standing)| matches!(standing, Standing::Lost));
        let lost: Vec<String> = lost.map(|(channel, _)| channel.clone()).collect();
        if lost.is_empty() {
            return;
        }
        let outcomes = self.links.subscribe(lost.clone()).await;
        let mut failed = None;
        for (channel, outcome) in lost.into_iter().zip(outcomes) {
            match outcome {
                Ok(place) => self.stands(channel, place),
                Err(cause) => failed = Some(cause),
            }
        }
        if let Some(cause) = failed {
            tracing::debug!(cause, "cannot subscribe again yet");
        } else {
            tracing::info!("subscriptions stand again");
        }
    }
}
