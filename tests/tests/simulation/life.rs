//! A process of the simulation, and that it can be killed: then nothing it began ever ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// One process, by a name of its own.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) dead: CancellationToken,
    /// Whether it cannot reach the store.
    cut: AtomicBool,
}

impl Life {
    pub(crate) fn begin(name: String) -> Arc<Self> {
        Arc::new(Self { name, dead: CancellationToken::new(), cut: AtomicBool::new(false) })
    }

    pub(crate) fn kill(&self) {
        self.dead.cancel();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// What a dead process does next: nothing.
    pub(crate) async fn lives(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.cut.store(is_cut, Ordering::Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}
