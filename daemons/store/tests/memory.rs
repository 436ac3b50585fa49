//! The memory store, held to the contract.

#![allow(clippy::unwrap_used, reason = "a test panics where something is wrong")]

use std::sync::Arc;

use async_trait::async_trait;
use mobz_core::store::Store;
use mobz_store::contract::Place;
use mobz_store::store_contract;

/// Every process of a memory store is the same one.
struct Alone(Arc<dyn Store>);

#[async_trait]
impl Place for Alone {
    async fn connect(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

store_contract!(memory, Alone(mobz_store::open(None).await.unwrap()));
