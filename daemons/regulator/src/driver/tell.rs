//! Telling clients, and answering who asked: in order for each, many at once, beside the driver.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use mobz_core::id::MunitId;
use mobz_core::signal::{Asker, MunitAck, MunitMessage, MunitSignal, ServerSignal};
use mobz_core::store::Store;
use mobz_runtime::clock;
use mobz_runtime::node::Node;
use tokio::sync::mpsc;

use super::written;
use crate::plane::Whom;

/// How many tell at once.
const TELLERS: usize = 16;
/// How many wait to be told by each; those beyond are dropped, with a word in the log: the store has
/// been away for long by then, and who waited has been told so.
const WAITING_MAX: usize = 1024;

/// What is to be told.
#[derive(Debug)]
pub(super) enum Telling {
    Client { whom: Whom, signal: Box<ServerSignal>, re: Option<String> },
    Ack { reply_to: String, ack: MunitAck },
    Munit { munit: MunitId, signal: MunitSignal, from: Asker },
}

/// Those who tell.
#[derive(Debug)]
pub(super) struct Tellers {
    queues: Vec<mpsc::Sender<Telling>>,
    /// Keeps it secret who shares a queue.
    salt: u128,
}

impl Tellers {
    pub(super) fn start(node: &Arc<Node>, store: &Arc<dyn Store>) -> Self {
        let start = || {
            let (queue, waiting) = mpsc::channel(WAITING_MAX);
            tokio::spawn(tell_all(node.clone(), store.clone(), waiting));
            queue
        };
        Self { queues: std::iter::repeat_with(start).take(TELLERS).collect(), salt: clock::random() }
    }

    pub(super) fn tell(&self, telling: Telling) {
        let key = match &telling {
            Telling::Client { whom, .. } => self.hash(&(&whom.room, &whom.user)),
            Telling::Ack { reply_to, .. } => self.hash(reply_to),
            Telling::Munit { munit, .. } => self.hash(munit),
        };
        let queue = &self.queues[usize::try_from(key % TELLERS as u64).unwrap_or_default()];
        if queue.try_send(telling).is_err() {
            tracing::warn!("too many wait to be told; one is dropped");
        }
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.salt, key).hash(&mut hasher);
        hasher.finish()
    }
}

async fn tell_all(node: Arc<Node>, store: Arc<dyn Store>, mut waiting: mpsc::Receiver<Telling>) {
    while let Some(telling) = waiting.recv().await {
        match telling {
            Telling::Client { whom, signal, re } => {
                let Whom { room, user, at } = whom;
                let told = node.tell_participant(&room, &user, at.as_ref(), &signal, re.as_deref()).await;
                if let Err(error) = told {
                    tracing::warn!(%room, %user, %error, "a client was not told");
                }
            }
            Telling::Ack { reply_to, ack } => {
                if let Err(error) = store.reply(&reply_to, written(&ack)).await {
                    tracing::debug!(%error, "a signal was not acknowledged");
                }
            }
            Telling::Munit { munit, signal, from } => {
                let reply_to = store.reply_channel(node.id());
                let message = MunitMessage { signal, id: String::new(), reply_to, from: Some(from) };
                if let Err(error) = store.signal_munit(&munit, written(&message)).await {
                    tracing::warn!(%munit, %error, "another munit was not told");
                }
            }
        }
    }
}
