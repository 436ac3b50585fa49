//! How a regulator of the simulation reaches its Janus, and what it asks there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use janus_client::Error;
use mobz_core::id::{MunitId, StationId};
use mobz_core::signal::{Code, Refusal, Report};
use mobz_regulator::plane::{Command, Examining, Handle, Outcome, Seen};
use mobz_regulator::{JanusError, MediaServer, Reach, Reached};
use tokio::sync::mpsc;

use super::{Home, Janus, Line, streams};
use crate::chance::{between, happens, millis, pause};
use crate::life::Life;
use crate::log::note;

/// The way of one regulator process to its Janus.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) janus: Arc<Janus>,
    pub(crate) life: Arc<Life>,
}

/// A connection to one process of Janus.
#[derive(Debug)]
struct Connected {
    janus: Arc<Janus>,
    life: Arc<Life>,
    epoch: u64,
    line: u64,
}

#[async_trait]
impl Reach for Door {
    async fn reach(&self, _: &MunitId, instance: &str) -> Result<Reached, JanusError> {
        let Self { janus, life } = self;
        life.lives().await;
        pause(1, 200).await;
        life.lives().await;
        if janus.home != Home::There && !janus.is_there() {
            janus.start();
        }
        let epoch = janus.epoch().ok_or(JanusError::Api(Error::Closed { request: "create" }))?;
        let (events, told) = mpsc::unbounded_channel();
        let (changes, change) = mpsc::unbounded_channel();
        let mut inner = janus.inner();
        inner.lines += 1;
        let number = inner.lines;
        inner.line = Some(Line { number, up: true, events, changes });
        let predecessor = inner.keeper.replace(instance.to_owned());
        drop(inner);
        note!("{} reaches janus, after {}", life.name, predecessor.is_some());
        let connected = Connected { janus: janus.clone(), life: life.clone(), epoch, line: number };
        Ok(Reached {
            janus: Arc::new(connected),
            events: received(told),
            changes: received(change),
            predecessor,
        })
    }

    fn is_own(&self) -> bool {
        self.janus.home != Home::There
    }

    async fn end(&self) {
        self.life.lives().await;
        if self.janus.home != Home::There {
            self.janus.kill();
        }
    }
}

fn received<T: Send + 'static>(receive: mpsc::UnboundedReceiver<T>) -> BoxStream<'static, T> {
    stream::unfold(receive, async |mut receive| receive.recv().await.map(|next| (next, receive)))
        .fuse()
        .boxed()
}

impl Connected {
    fn stands(&self) -> bool {
        let inner = self.janus.inner();
        let is_up = inner.line.as_ref().is_some_and(|line| line.number == self.line && line.up);
        is_up && self.janus.epoch() == Some(self.epoch)
    }
}

#[async_trait]
impl MediaServer for Connected {
    fn url(&self) -> &'static str {
        "ws://nowhere"
    }

    fn pid(&self) -> Option<u32> {
        (self.janus.home != Home::There).then_some(1)
    }

    async fn ended(&self) {
        if self.janus.home == Home::There {
            return std::future::pending().await;
        }
        let mut running = self.janus.running.subscribe();
        drop(running.wait_for(|epoch| *epoch != Some(self.epoch)).await);
    }

    async fn is_there(&self) -> bool {
        self.life.lives().await;
        pause(1, 20).await;
        self.janus.home != Home::There || self.janus.is_there()
    }

    async fn close(&self) {
        let is_ours = self.janus.inner().line.as_ref().is_some_and(|line| line.number == self.line);
        if is_ours {
            self.janus.abandoned();
        }
    }

    async fn end_session(&self) {
        pause(0, 5).await;
        if self.stands() {
            let mut inner = self.janus.inner();
            inner.handles.clear();
            inner.keeper = None;
        }
    }

    /// It has nothing that takes time to make.
    async fn stock(&self) {}

    async fn look(&self) -> Result<(Vec<StationId>, Option<Vec<Seen>>), Error> {
        self.life.lives().await;
        pause(0, 10).await;
        let closed = || Error::Closed { request: "list" };
        if !self.stands() {
            return Err(closed());
        }
        let found = {
            let inner = self.janus.inner();
            let seen = inner.handles.iter().map(|(handle, there)| Seen {
                handle: Handle(*handle),
                opaque: there.opaque.clone(),
                connected: there.connected,
                up: there.up,
                session: there.session.clone(),
                streams: streams(),
            });
            (inner.rooms.iter().cloned().collect(), Some(seen.collect()))
        };
        pause(0, 10).await;
        self.life.lives().await;
        if self.stands() { Ok(found) } else { Err(closed()) }
    }

    async fn examine(&self, examining: Examining) -> Result<Report, Error> {
        self.life.lives().await;
        pause(0, 10).await;
        if !self.stands() {
            return Err(Error::Closed { request: "list" });
        }
        let rooms = self.janus.rooms();
        let (known, more) = examining.beside(rooms);
        Ok(Report { stations: known.into_iter().map(|(id, known)| (id, known.holding)).collect(), more })
    }

    async fn perform(&self, command: Command) -> Outcome {
        let failed = |unsure| Outcome::Failed {
            refusal: Refusal::new(Code::MunitUnavailable, "Janus does not answer; try again".to_owned()),
            unsure,
        };
        self.life.lives().await;
        if !self.stands() {
            return failed(false);
        }
        let hangs = happens(self.janus.inner().hangs);
        if hangs && happens(500) {
            tokio::time::sleep(Duration::from_secs(5)).await;
            return failed(true);
        }
        tokio::time::sleep(millis(0, between(1, 20))).await;
        self.life.lives().await;
        if !self.stands() {
            return failed(true);
        }
        note!("{} has janus {command:?}", self.life.name);
        let outcome = self.janus.apply(command);
        note!("and {outcome:?}");
        if hangs {
            tokio::time::sleep(Duration::from_secs(5)).await;
        } else {
            pause(0, 5).await;
        }
        self.life.lives().await;
        if self.stands() && !hangs { outcome } else { failed(true) }
    }

    fn forget(&self, _: Handle) {}
}
