//! The port of a munit's media server: what the driver asks of it, and what it tells. Behind it stands a
//! Janus ([`super::Place`]), or in a simulation what behaves like one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use janus_client::{Change, Error, Told};
use mobz_core::id::{MunitId, StationId};
use mobz_core::signal::Report;

use super::JanusError;
use crate::plane::{Command, Examining, Handle, Outcome, Seen};

/// Where a munit's media server is.
#[async_trait]
pub trait Reach: fmt::Debug + Send + Sync {
    /// Reaches it, or starts it, and takes over what an earlier regulator of `munit` had there.
    /// `instance` is who takes over from now on.
    ///
    /// # Errors
    /// When it cannot be reached; the driver tries again.
    async fn reach(&self, munit: &MunitId, instance: &str) -> Result<Reached, JanusError>;

    /// Whether it is the munit's own: started by it, and to end with it.
    fn is_own(&self) -> bool;

    /// Ends one that is the munit's own, if it runs.
    async fn end(&self);
}

/// A media server that is there, until it has [ended](MediaServer::ended).
#[async_trait]
pub trait MediaServer: fmt::Debug + Send + Sync {
    /// Where its API is.
    fn url(&self) -> &str;

    /// Its process, where it was started here.
    fn pid(&self) -> Option<u32>;

    /// Waits until its process has ended; for ever where somebody else started it.
    async fn ended(&self);

    /// Whether it can be reached at all, by a connection of its own.
    async fn is_there(&self) -> bool;

    /// Lets go of it; what it has stays for its `reclaim_session_timeout`.
    async fn close(&self);

    /// Ends the session with all its handles.
    async fn end_session(&self);

    /// All it has of this regulator: its rooms; and its handles, where it tells of them.
    ///
    /// # Errors
    /// When it does not answer.
    async fn look(&self) -> Result<(Vec<StationId>, Option<Vec<Seen>>), Error>;

    /// Adds to a report what it has, and how media fare.
    ///
    /// # Errors
    /// When it does not answer.
    async fn examine(&self, examining: Examining) -> Result<Report, Error>;

    /// Has it do a command.
    async fn perform(&self, command: Command) -> Outcome;

    /// Has ready what the next command may want; after what was asked for, and not before it.
    async fn stock(&self);

    /// A handle is no more: nothing of it is kept.
    fn forget(&self, handle: Handle);
}

/// A media server that was just reached.
pub struct Reached {
    /// It.
    pub janus: Arc<dyn MediaServer>,
    /// What happens to its handles; fused.
    pub events: BoxStream<'static, Told>,
    /// What happens to the connection; fused.
    pub changes: BoxStream<'static, Change>,
    /// The instance of the regulator that had it before, if its session was taken over.
    pub predecessor: Option<String>,
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { janus, predecessor, events: _, changes: _ } = self;
        f.debug_struct("Reached")
            .field("janus", janus)
            .field("predecessor", predecessor)
            .finish_non_exhaustive()
    }
}
