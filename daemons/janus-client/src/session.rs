//! A session: what handles hang on.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connection::{Link, Named, Target};
use crate::error::Error;
use crate::event::{EventSink, Route};
use crate::handle::{Fresh, Handle, Role};
use crate::id::{HandleId, SessionId};
use crate::wire::{Nothing, read};

/// The plugin that handles are attached to.
pub(crate) const PLUGIN: &str = "janus.plugin.videoroom";

/// A session: cheap to clone. It is kept alive, and claimed after a lost connection, for as long as the
/// connection lives or until it is destroyed; dropping this changes nothing at Janus.
#[derive(Clone, Debug)]
pub struct Session {
    link: Arc<Link>,
    id: SessionId,
    within: Duration,
}

impl Session {
    pub(crate) fn new(link: Arc<Link>, id: SessionId, within: Duration) -> Self {
        Self { link, id, within }
    }

    /// Its id: what to remember to claim it later.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The same session, with another time for requests.
    #[must_use]
    pub fn with_timeout(&self, within: Duration) -> Self {
        Self { within, ..self.clone() }
    }

    /// Whether it is kept alive: false once it was destroyed, timed out or could not be claimed.
    pub fn is_owned(&self) -> bool {
        self.link.shared.table().owns(self.id)
    }

    /// Attaches a handle to the VideoRoom plugin. The `opaque_id` comes back in the Admin API's
    /// `handle_info`, which is how a controller without memory finds its way; its events go to `events`.
    pub async fn attach(&self, opaque_id: Option<&str>, events: &EventSink) -> Result<Handle<Fresh>, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            plugin: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            opaque_id: Option<&'a str>,
        }
        #[derive(Deserialize)]
        struct Answer {
            data: Attached,
        }
        #[derive(Deserialize)]
        struct Attached {
            id: HandleId,
        }
        let body = Body { plugin: PLUGIN, opaque_id };
        let request = Named::core("attach");
        let text = self.link.request(request, self.target(), &body, self.within).await?;
        let answer: Answer = read(request.name, &text)?;
        Ok(self.adopt(answer.data.id, events))
    }

    /// Takes over a handle that hangs on this session already, in the role it is known to have (see
    /// `HandleInfo::room` of the Admin API). Janus is not asked: a handle that is not there answers
    /// [`crate::JanusCode::HANDLE_NOT_FOUND`] when it is used.
    pub fn adopt<R: Role>(&self, handle: HandleId, events: &EventSink) -> Handle<R> {
        self.link.shared.table().route(self.id, handle, Route::new(handle, events.clone()));
        Handle::new(self.link.clone(), self.id, handle, self.within)
    }

    /// Ends the session and all its handles. [`crate::Change::SessionGone`] and
    /// [`crate::Event::SessionGone`] follow, as after any other end of it.
    pub async fn destroy(&self) -> Result<(), Error> {
        let request = Named::core("destroy");
        self.link.request(request, self.target(), &Nothing {}, self.within).await?;
        self.link.shared.session_gone(self.id);
        Ok(())
    }

    fn target(&self) -> Target {
        Target { session: Some(self.id), handle: None }
    }
}
