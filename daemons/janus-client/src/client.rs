//! The way in: a connection that is kept.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::broadcast;

use crate::connection::{Api, Link, Named, Target};
use crate::error::Error;
use crate::event::Change;
use crate::id::SessionId;
use crate::info::ServerInfo;
use crate::options::Options;
use crate::session::Session;
use crate::table::Standing;
use crate::wire::{Nothing, read};

/// A connection to Janus: cheap to clone, shared by all its clones, sessions and handles.
///
/// A task of its own keeps the WebSocket, in the runtime it was connected in. A connection that is lost is
/// opened again and its sessions are claimed; nothing is sent twice. It ends when the last clone, session
/// and handle is dropped, or with [`Client::close`]; Janus then keeps the sessions for its
/// `reclaim_session_timeout`.
#[derive(Clone, Debug)]
pub struct Client {
    link: Arc<Link>,
    within: Duration,
}

impl Client {
    /// Connects to `ws://host:port/`. Fails when Janus is not there: only a connection that once was is
    /// opened again by itself.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let within = options.request_timeout;
        Ok(Self { link: Arc::new(Link::open(url, Api::Janus, options).await?), within })
    }

    /// The same connection, with another time for requests.
    #[must_use]
    pub fn with_timeout(&self, within: Duration) -> Self {
        Self { link: self.link.clone(), within }
    }

    /// What happens to the connection and its sessions from now on.
    pub fn changes(&self) -> Changes {
        Changes::new(self.link.changes())
    }

    /// Whether requests are taken now.
    pub fn is_connected(&self) -> bool {
        self.link.shared.table().standing == Standing::Ready
    }

    /// How many requests wait for their answer.
    pub fn outstanding(&self) -> usize {
        self.link.shared.table().outstanding()
    }

    /// Makes a session.
    pub async fn create_session(&self) -> Result<Session, Error> {
        #[derive(Deserialize)]
        struct Answer {
            data: Created,
        }
        #[derive(Deserialize)]
        struct Created {
            id: SessionId,
        }
        let request = Named::core("create");
        let text = self.link.request(request, Target::default(), &Nothing {}, self.within).await?;
        let answer: Answer = read(request.name, &text)?;
        Ok(self.own(answer.data.id))
    }

    /// Takes over a session, of an earlier run of this program say. Its handles go on; see
    /// [`Session::adopt`].
    ///
    /// Janus moves the session's events to this connection at once and takes requests for it from any:
    /// whoever must be the only one needs a lease elsewhere.
    pub async fn claim(&self, session: SessionId) -> Result<Session, Error> {
        let target = Target { session: Some(session), handle: None };
        self.link.request(Named::core("claim"), target, &Nothing {}, self.within).await?;
        Ok(self.own(session))
    }

    /// Asks whether Janus answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.link.request(Named::core("ping"), Target::default(), &Nothing {}, self.within).await?;
        Ok(())
    }

    /// What Janus says of itself.
    pub async fn info(&self) -> Result<ServerInfo, Error> {
        let request = Named::core("info");
        let text = self.link.request(request, Target::default(), &Nothing {}, self.within).await?;
        ServerInfo::read(request.name, &text)
    }

    /// Closes the connection, after what was queued before. Sessions stay at Janus for its
    /// `reclaim_session_timeout`; what is outstanding fails with [`Error::Lost`].
    pub async fn close(&self) {
        self.link.close().await;
    }

    fn own(&self, session: SessionId) -> Session {
        self.link.shared.table().own(session);
        Session::new(self.link.clone(), session, self.within)
    }
}

/// What happens to a connection and its sessions, in order.
#[derive(Debug)]
pub struct Changes {
    receive: broadcast::Receiver<Change>,
    closed: bool,
}

impl Changes {
    pub(crate) fn new(receiver: broadcast::Receiver<Change>) -> Self {
        Self { receive: receiver, closed: false }
    }

    /// The next change; `None` after [`Change::Closed`].
    pub async fn next(&mut self) -> Option<Change> {
        if self.closed {
            return None;
        }
        match self.receive.recv().await {
            Ok(change) => {
                self.closed = change == Change::Closed;
                Some(change)
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Change::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
