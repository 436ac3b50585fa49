//! Memory and Redis adapters of core's store port, mirrored file by file. May touch core and Redis, nothing else.
//!
//! [`open`] is the way in. What both adapters must do is said at the port (`mobz_core::store`), and
//! the suite in `contract` holds them to it.

#[cfg(feature = "contract")]
pub mod contract;
mod memory;
mod redis;
mod reply;
mod shard;
#[cfg(feature = "testing")]
pub mod testing;
mod topics;

use std::sync::Arc;

use mobz_core::store::{Store, StoreError};

pub use memory::MemoryStore;
pub use redis::{OPERATION_MAX, RedisStore};
pub use topics::{MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX};

/// Opens a store: in this process when there is no `url`, else the Redis at `url`.
pub async fn open(url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        None => Ok(MemoryStore::new()),
        Some(url) => Ok(RedisStore::open(url).await?),
    }
}
