//! The Redis store, held to the contract on a real server and on a real cluster.

#![allow(clippy::unwrap_used, reason = "a test panics where something is wrong")]

use std::sync::Arc;

use async_trait::async_trait;
use mobz_core::store::Store;
use mobz_store::contract::Place;
use mobz_store::store_contract;
use mobz_store::testing::{Redis, RedisCluster};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// A server for one test.
struct Single(Redis);

#[async_trait]
impl Place for Single {
    async fn connect(&self) -> Arc<dyn Store> {
        mobz_store::open(Some(&self.0.url())).await.unwrap()
    }
}

/// The one cluster of this process, emptied and lent to one test at a time.
struct Lent(MutexGuard<'static, RedisCluster>);

impl Lent {
    async fn emptied() -> Self {
        static CLUSTER: OnceCell<Mutex<RedisCluster>> = OnceCell::const_new();
        let cluster = CLUSTER.get_or_init(async || Mutex::new(RedisCluster::start().unwrap())).await;
        let lent = cluster.lock().await;
        for node in &lent.nodes {
            let mut connection = redis::Client::open(node.url()).unwrap().get_connection().unwrap();
            redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
        }
        Self(lent)
    }
}

#[async_trait]
impl Place for Lent {
    async fn connect(&self) -> Arc<dyn Store> {
        mobz_store::open(Some(&self.0.url())).await.unwrap()
    }
}

store_contract!(single, Single(Redis::start().unwrap()));
store_contract!(cluster, Lent::emptied().await);
