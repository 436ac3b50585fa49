//! Nodes on Redis.

use async_trait::async_trait;
use bytes::Bytes;
use mobz_core::id::{NodeId, RoomId};
use mobz_core::store::{DUE_CLAIM, Nodes, ROOM_TTL, StoreError, Subscription};
use mobz_core::time::{Timestamp, millis};
use redis::{Cmd, Value};
use tokio::try_join;

use super::RedisStore;
use super::keys;
use super::script::script;

script!(BEAT, "beat.lua");
script!(CLAIM_LOST, "claim_lost.lua");

const REGISTER: [&str; 2] = [keys::NODES, keys::NODES_CLAIMED];
/// How long a node's list of rooms is kept after its last beat, in seconds.
const NODE_TTL: i64 = ROOM_TTL.as_secs().cast_signed();

#[async_trait]
impl Nodes for RedisStore {
    async fn beat(&self, node: &NodeId, until: Timestamp) -> Result<(), StoreError> {
        let doing = || format!("say that node {node} lives");
        let beat = BEAT.keys(REGISTER).text(node).text(until.as_millis()).text(ROOM_TTL.as_secs());
        let keep = Cmd::expire(keys::node_rooms(node), NODE_TTL);
        try_join!(
            beat.run::<Value>(&self.connection, doing),
            self.connection.command::<Value>(&keep, doing),
        )?;
        Ok(())
    }

    async fn claim_lost(&self, now: Timestamp) -> Result<Vec<NodeId>, StoreError> {
        let call = CLAIM_LOST.keys(REGISTER).text(now.as_millis()).text(millis(DUE_CLAIM));
        let call = call.text(ROOM_TTL.as_secs());
        let lost: Vec<String> = call.run(&self.connection, || "claim lost nodes".to_owned()).await?;
        Ok(lost.iter().filter_map(|node| node.parse().ok()).collect())
    }

    async fn forget(&self, node: &NodeId) -> Result<(), StoreError> {
        let doing = || format!("forget node {node}");
        // The list first: a node still registered is found again, a list without its node never.
        let _: Value = self.connection.command(&Cmd::unlink(keys::node_rooms(node)), doing).await?;
        let [until, claimed] =
            [Cmd::zrem(keys::NODES, node.as_str()), Cmd::hdel(keys::NODES_CLAIMED, node.as_str())];
        try_join!(
            self.connection.command::<Value>(&until, doing),
            self.connection.command::<Value>(&claimed, doing),
        )?;
        Ok(())
    }

    async fn attach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        let doing = || format!("note that node {node} serves room {room}");
        let key = keys::node_rooms(node);
        let [add, keep] = [Cmd::sadd(&key, room.as_str()), Cmd::expire(&key, NODE_TTL)];
        try_join!(
            self.connection.command::<Value>(&add, doing),
            self.connection.command::<Value>(&keep, doing),
        )?;
        Ok(())
    }

    async fn detach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        let doing = || format!("note that node {node} no longer serves room {room}");
        let _: Value =
            self.connection.command(&Cmd::srem(keys::node_rooms(node), room.as_str()), doing).await?;
        Ok(())
    }

    async fn rooms_of(&self, node: &NodeId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let mut command = redis::cmd("SRANDMEMBER");
        command.arg(keys::node_rooms(node)).arg(limit);
        let rooms: Vec<String> =
            self.connection.command(&command, || format!("list the rooms of node {node}")).await?;
        Ok(rooms.iter().filter_map(|room| room.parse().ok()).collect())
    }

    async fn send(&self, node: &NodeId, message: Bytes) -> Result<bool, StoreError> {
        let mut command = redis::cmd(self.connection.publish());
        command.arg(keys::node_bus(node)).arg(&*message);
        let listeners: u64 =
            self.connection.command(&command, || format!("send a message to node {node}")).await?;
        Ok(listeners > 0)
    }

    async fn listen(&self, node: &NodeId) -> Result<Box<dyn Subscription>, StoreError> {
        self.bus.listen(keys::node_bus(node), || format!("listen for node {node}")).await
    }
}
