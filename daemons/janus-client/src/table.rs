//! What a connection has to remember: requests that wait for an answer, and where events go.
//!
//! Nothing here waits, reads a clock or touches a socket.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::event::{Event, Route};
use crate::id::{HandleId, SessionId};
use crate::wire::{Envelope, Kind};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no socket.
    Down,
    /// There is a socket; sessions are being claimed, other requests are not taken yet.
    Claiming,
    /// Requests are taken.
    Ready,
    /// It will never be ready again.
    Closed,
}

/// Which message answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The ack is all that comes.
    ByAck,
    /// Success, error or event; an ack before or after it says nothing.
    Fully,
}

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    Lost,
    SessionGone(SessionId),
}

impl Unanswered {
    pub(crate) fn into_error(self, request: &'static str) -> Error {
        match self {
            Self::Lost => Error::Lost { request },
            Self::SessionGone(session) => Error::SessionGone { request, session },
        }
    }
}

pub(crate) type Answer = Result<Utf8Bytes, Unanswered>;

#[derive(Debug)]
struct Pending {
    answered: Answered,
    session: Option<SessionId>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Handle {
    session: SessionId,
    route: Route,
    /// Who waits for `detached`.
    leaving: Vec<oneshot::Sender<Answer>>,
}

/// What came of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It reached whom it was for, or it is for nobody.
    Settled,
    /// A session is no more.
    SessionGone(SessionId),
}

/// The memory of a connection.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) standing: Standing,
    /// Rises with every socket: a message written for an earlier one is not sent.
    pub(crate) epoch: u64,
    /// Sets this client's transactions apart from those of an earlier owner of a claimed session.
    nonce: u32,
    next: u64,
    pending: HashMap<u64, Pending>,
    handles: HashMap<HandleId, Handle>,
    sessions: Vec<SessionId>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let random = RandomState::new().hash_one(0_u8).to_le_bytes();
        Self {
            standing: Standing::Down,
            epoch: 0,
            nonce: u32::from_le_bytes([random[0], random[1], random[2], random[3]]),
            next: 0,
            pending: HashMap::new(),
            handles: HashMap::new(),
            sessions: Vec::new(),
        }
    }

    /// Notes a request that is about to be sent.
    pub(crate) fn expect(
        &mut self,
        answered: Answered,
        session: Option<SessionId>,
    ) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, waiting) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, Pending { answered, session, answer });
        (number, waiting)
    }

    /// The transaction a request is sent with.
    pub(crate) fn transaction(&self, number: u64) -> String {
        let mut transaction = String::with_capacity(28);
        let _infallible = write!(transaction, "{:08x}-{number}", self.nonce);
        transaction
    }

    fn number(&self, transaction: &str) -> Option<u64> {
        let (nonce, number) = transaction.split_once('-')?;
        if u32::from_str_radix(nonce, 16) != Ok(self.nonce) {
            return None;
        }
        number.parse().ok()
    }

    /// Nobody waits for this request any more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.pending.remove(&number);
    }

    /// How many requests wait for their answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.len()
    }

    /// Keeps a session alive, and claims it after a lost connection.
    pub(crate) fn own(&mut self, session: SessionId) {
        if !self.sessions.contains(&session) {
            self.sessions.push(session);
        }
    }

    /// The sessions that are kept alive.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.clone()
    }

    pub(crate) fn owns(&self, session: SessionId) -> bool {
        self.sessions.contains(&session)
    }

    /// Sends a handle's events somewhere.
    pub(crate) fn route(&mut self, session: SessionId, handle: HandleId, route: Route) {
        self.handles.insert(handle, Handle { session, route, leaving: Vec::new() });
    }

    /// Waits for the handle to be gone; `None` when nobody knows of it.
    pub(crate) fn leaving(&mut self, handle: HandleId) -> Option<oneshot::Receiver<Answer>> {
        let (gone, waiting) = oneshot::channel();
        self.handles.get_mut(&handle)?.leaving.push(gone);
        Some(waiting)
    }

    /// Stops to send a handle's events anywhere.
    pub(crate) fn unroute(&mut self, handle: HandleId) {
        self.handles.remove(&handle);
    }

    /// The socket is gone: whoever waits for an answer is told.
    pub(crate) fn lose(&mut self, standing: Standing) {
        self.standing = standing;
        self.epoch += 1;
        for (_, pending) in self.pending.drain() {
            let _gone = pending.answer.send(Err(Unanswered::Lost));
        }
        for handle in self.handles.values_mut() {
            for waiting in handle.leaving.drain(..) {
                let _gone = waiting.send(Err(Unanswered::Lost));
            }
        }
        if standing == Standing::Closed {
            self.handles.clear();
            self.sessions.clear();
        }
    }

    /// A session is no more: its handles and whoever waits for them are told. False if it was not known.
    pub(crate) fn session_gone(&mut self, session: SessionId) -> bool {
        let known = self.owns(session);
        self.sessions.retain(|known| *known != session);
        for (_, handle) in self.handles.extract_if(|_, handle| handle.session == session) {
            handle.route.send(Event::SessionGone);
            for waiting in handle.leaving {
                let _gone = waiting.send(Err(Unanswered::SessionGone(session)));
            }
        }
        for (_, pending) in self.pending.extract_if(|_, pending| pending.session == Some(session)) {
            let _gone = pending.answer.send(Err(Unanswered::SessionGone(session)));
        }
        known
    }

    /// Hands a message on to whom it is for.
    pub(crate) fn receive(&mut self, envelope: &Envelope, text: &Utf8Bytes) -> Came {
        let number = envelope.transaction.as_deref().and_then(|transaction| self.number(transaction));
        match envelope.janus {
            Kind::Ack => self.answer(number, text, |pending| pending.answered == Answered::ByAck),
            Kind::Success | Kind::Pong | Kind::ServerInfo | Kind::Error => {
                self.answer(number, text, |_| true)
            }
            Kind::Event => {
                if number.is_some_and(|number| self.pending.contains_key(&number)) {
                    self.answer(number, text, |_| true)
                } else {
                    self.event(envelope, text)
                }
            }
            Kind::Webrtcup | Kind::Media | Kind::Slowlink | Kind::Hangup | Kind::Trickle | Kind::Other => {
                self.event(envelope, text)
            }
            Kind::Detached => self.detached(envelope, text),
            Kind::Timeout => match envelope.session_id {
                Some(session) => Came::SessionGone(session),
                None => Came::Settled,
            },
        }
    }

    fn answer(&mut self, number: Option<u64>, text: &Utf8Bytes, fits: impl Fn(&Pending) -> bool) -> Came {
        let Some(number) = number else { return Came::Settled };
        if self.pending.get(&number).is_some_and(fits)
            && let Some(pending) = self.pending.remove(&number)
        {
            let _gave_up = pending.answer.send(Ok(text.clone()));
        }
        Came::Settled
    }

    fn event(&mut self, envelope: &Envelope, text: &Utf8Bytes) -> Came {
        if let Some(handle) = envelope.sender.and_then(|sender| self.handles.get(&sender)) {
            handle.route.send(Event::read(envelope.janus, text));
        }
        Came::Settled
    }

    fn detached(&mut self, envelope: &Envelope, text: &Utf8Bytes) -> Came {
        if let Some(handle) = envelope.sender.and_then(|sender| self.handles.remove(&sender)) {
            handle.route.send(Event::Detached);
            for waiting in handle.leaving {
                let _gave_up = waiting.send(Ok(text.clone()));
            }
        }
        Came::Settled
    }
}
