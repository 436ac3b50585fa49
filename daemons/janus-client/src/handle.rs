//! A handle: one attachment to the VideoRoom plugin, with at most one peer connection.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Link, Named, Target};
use crate::error::{Error, JanusCode};
use crate::id::{HandleId, SessionId};
use crate::jsep::Trickle;
use crate::video_room::RoomRequest;
use crate::wire::{Message, Nothing, PluginAnswer, PluginBody, read_plugin};

mod sealed {
    pub trait Sealed {}
}

/// What a handle is in its room. The roles are [`Fresh`], [`Publisher`],
/// [`Subscriber`] and [`Left`].
pub trait Role: sealed::Sealed + Send + Sync + 'static {}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl sealed::Sealed for $name {}
        impl Role for $name {}
    };
}

role! {
    /// A handle that has joined no room. Rooms are managed with it, or it joins one.
    Fresh
}
role! {
    /// A handle that has joined a room to publish, or to hear of it.
    Publisher
}
role! {
    /// A handle that has subscribed to feeds of a room.
    Subscriber
}
role! {
    /// A handle that has left its room. Janus lets it join no other: it is there to be detached.
    Left
}

/// A handle in one of its roles. Dropping it changes nothing at Janus: [`Handle::detach`] does.
pub struct Handle<R> {
    link: Arc<Link>,
    session: SessionId,
    id: HandleId,
    within: Duration,
    role: PhantomData<R>,
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("session", &self.session).field("id", &self.id).finish_non_exhaustive()
    }
}

macro_rules! cloned {
    ($role:ty) => {
        impl Clone for Handle<$role> {
            fn clone(&self) -> Self {
                self.in_role()
            }
        }
    };
}

// A fresh handle has one owner, who joins with it.
cloned!(Publisher);
cloned!(Subscriber);

impl<R> Handle<R> {
    pub(crate) fn new(link: Arc<Link>, session: SessionId, id: HandleId, within: Duration) -> Self {
        Self { link, session, id, within, role: PhantomData }
    }

    pub(crate) fn in_role<S>(&self) -> Handle<S> {
        Handle::new(self.link.clone(), self.session, self.id, self.within)
    }

    /// Its id.
    pub fn id(&self) -> HandleId {
        self.id
    }

    /// The session it hangs on.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The same handle, with another time for requests.
    #[must_use]
    pub fn with_timeout(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Makes a request about a room. VideoRoom takes these on any handle.
    pub async fn ask<Q: RoomRequest>(&self, request: &Q) -> Result<Q::Reply, Error> {
        Ok(self.message::<_, (), Q::Reply>(Q::NAME, request, None).await?.data)
    }

    /// Hands a candidate of the client, or the end of them, to Janus. Janus keeps early ones until there
    /// is a description to use them with.
    pub async fn trickle(&self, trickle: &Trickle) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            candidate: &'a Trickle,
        }
        self.request(Named::acked("trickle"), &Body { candidate: trickle }).await
    }

    /// Hands several candidates of the client to Janus at once.
    pub async fn trickle_all(&self, trickles: &[Trickle]) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            candidates: &'a [Trickle],
        }
        self.request(Named::acked("trickle"), &Body { candidates: trickles }).await
    }

    /// Ends the peer connection; the handle stays. [`crate::Event::HangUp`] follows if there was one.
    pub async fn hang_up(&self) -> Result<(), Error> {
        self.request(Named::core("hangup"), &Nothing {}).await
    }

    /// Ends the handle, and waits until Janus has cleaned up after it: once this returns, its feed's id is
    /// free again. A handle that is not there any more is no error.
    pub async fn detach(&self) -> Result<(), Error> {
        let request = Named::core("detach");
        let deadline = Instant::now() + self.within;
        let Some(gone) = self.link.shared.table().leaving(self.id) else { return Ok(()) };
        match self.request(request, &Nothing {}).await {
            Ok(()) => {}
            Err(Error::Janus { code: JanusCode::HANDLE_NOT_FOUND, .. }) => {
                self.link.shared.table().unroute(self.id);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let timed_out = |_| Error::TimedOut { request: request.name, within: self.within };
        match timeout_at(deadline, gone).await.map_err(timed_out)? {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(unanswered)) => Err(unanswered.into_error(request.name)),
            Err(_) => Err(Error::Lost { request: request.name }),
        }
    }

    async fn request<B: Serialize>(&self, request: Named, body: &B) -> Result<(), Error> {
        self.link.request(request, self.target(), body, self.within).await?;
        Ok(())
    }

    pub(crate) async fn message<B: Serialize, J: Serialize, T: DeserializeOwned>(
        &self,
        name: &'static str,
        fields: &B,
        jsep: Option<&J>,
    ) -> Result<PluginAnswer<T>, Error> {
        let message = Message { body: PluginBody { request: name, fields }, jsep };
        let text = self.link.request(Named::plugin(name), self.target(), &message, self.within).await?;
        read_plugin(name, &text)
    }

    fn target(&self) -> Target {
        Target { session: Some(self.session), handle: Some(self.id) }
    }
}
