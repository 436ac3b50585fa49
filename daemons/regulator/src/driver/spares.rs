//! Handles that are attached in advance, so that who watches waits for one request to Janus and not for two.

use janus_client::{Error, EventSink, Fresh, Handle, Session};
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

/// How many handles wait at most. Janus keeps about 1 KiB for each; of a crowd that comes at once, those beyond have
/// theirs attached as they come.
const SPARES_MAX: usize = 16;
/// How the opaque id of one begins; who attached it follows.
const PREFIX: &str = "mobz-spare/";

/// The handles that nobody uses yet.
#[derive(Debug)]
pub(super) struct Spares {
    opaque: String,
    free: Mutex<Vec<Handle<Fresh>>>,
    /// Held by who attaches more.
    stocking: Turn<()>,
}

impl Spares {
    /// None yet; those of a regulator `instance`.
    pub(super) fn new(instance: &str) -> Self {
        let opaque = format!("{PREFIX}{instance}");
        Self { opaque, free: Mutex::default(), stocking: Turn::default() }
    }

    /// One of them, if there is one.
    pub(super) fn take(&self) -> Option<Handle<Fresh>> {
        self.free.lock().pop()
    }

    /// Whether a handle with this opaque id is one that another regulator has left.
    pub(super) fn is_left(&self, opaque: &str) -> bool {
        opaque.starts_with(PREFIX) && opaque != self.opaque
    }

    /// Attaches as many as are missing, unless somebody is about it.
    ///
    /// # Errors
    /// When Janus attaches none; what was attached until then stays.
    pub(super) async fn stock(&self, session: &Session, sink: &EventSink) -> Result<(), Error> {
        let Ok(_alone) = self.stocking.try_lock() else { return Ok(()) };
        while self.free.lock().len() < SPARES_MAX {
            let spare = session.attach(Some(&self.opaque), sink).await?;
            self.free.lock().push(spare);
        }
        Ok(())
    }
}
