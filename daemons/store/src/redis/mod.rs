//! The store on a Redis server or a Redis Cluster.
//!
//! One script, one round trip: every change of a room or a stream is one Lua script over keys of one hash
//! tag. Only what belongs to no single room lies elsewhere: the index of rooms and their deadlines, the
//! register of nodes, the indexes of munits and the log of events. Needs Redis 6.2, in a cluster 7.0 (sharded PubSub).

mod bus;
mod connection;
mod events;
mod keys;
mod links;
mod munits;
mod nodes;
mod rooms;
mod script;
mod streams;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use mobz_core::store::{Store, StoreError};

use bus::Bus;
use connection::Connection;
pub use connection::OPERATION_MAX;

/// A [`Store`] on Redis. Reconnects by itself; while Redis is away every operation fails within
/// [`OPERATION_MAX`].
#[derive(Debug)]
pub struct RedisStore {
    connection: Connection,
    bus: Bus,
    names: Names,
}

impl RedisStore {
    /// Connects to the server or the cluster at `url`: `redis://[user:secret@]host[:port][/database]`,
    /// `rediss://…` for TLS, further hosts of a cluster after commas. Which of the two it is, it asks.
    pub async fn open(url: &str) -> Result<Arc<Self>, StoreError> {
        if url.starts_with("rediss") {
            // Fails when there is one already, which is as good.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        let connection = Connection::open(url).await?;
        let bus = Bus::start(&connection);
        Ok(Arc::new(Self { connection, bus, names: Names::new() }))
    }
}

/// Names for commits that no other commit has, of whatever process.
#[derive(Debug)]
struct Names {
    store: u64,
    commits: AtomicU64,
}

impl Names {
    fn new() -> Self {
        // Its keys are random.
        Self { store: RandomState::new().build_hasher().finish(), commits: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:x}-{:x}", self.store, self.commits.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let _: redis::Value = self.connection.command(&redis::cmd("PING"), || "ping it".to_owned()).await?;
        Ok(())
    }

    fn describe(&self) -> String {
        self.connection.describe()
    }
}
