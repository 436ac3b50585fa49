//! Nodes in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use mobz_core::id::{NodeId, RoomId};
use mobz_core::store::{DUE_CLAIM, Nodes, StoreError, Subscription};
use mobz_core::time::Timestamp;

use super::MemoryStore;
use crate::topics::Topics;

#[derive(Debug)]
pub(super) struct Register {
    lives: DashMap<NodeId, Life>,
    rooms: DashMap<NodeId, BTreeSet<RoomId>>,
    bus: Arc<Topics<NodeId>>,
}

#[derive(Debug)]
struct Life {
    until: Timestamp,
    claimed: Option<Timestamp>,
}

impl Default for Register {
    fn default() -> Self {
        Self { lives: DashMap::new(), rooms: DashMap::new(), bus: Topics::new() }
    }
}

impl Register {
    pub(super) fn close(&self) {
        self.bus.close();
    }
}

#[async_trait]
impl Nodes for MemoryStore {
    async fn beat(&self, node: &NodeId, until: Timestamp) -> Result<(), StoreError> {
        self.nodes.lives.insert(node.clone(), Life { until, claimed: None });
        Ok(())
    }

    async fn claim_lost(&self, now: Timestamp) -> Result<Vec<NodeId>, StoreError> {
        let mut lost = Vec::new();
        for mut life in self.nodes.lives.iter_mut() {
            let claimed = life.claimed.is_some_and(|since| now < since.after(DUE_CLAIM));
            if life.until < now && !claimed {
                life.claimed = Some(now);
                lost.push(life.key().clone());
            }
        }
        lost.sort_unstable();
        Ok(lost)
    }

    async fn forget(&self, node: &NodeId) -> Result<(), StoreError> {
        self.nodes.lives.remove(node);
        self.nodes.rooms.remove(node);
        Ok(())
    }

    async fn attach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        self.nodes.rooms.entry(node.clone()).or_default().insert(room.clone());
        Ok(())
    }

    async fn detach(&self, node: &NodeId, room: &RoomId) -> Result<(), StoreError> {
        if let Some(mut rooms) = self.nodes.rooms.get_mut(node) {
            rooms.remove(room);
        }
        self.nodes.rooms.remove_if(node, |_, rooms| rooms.is_empty());
        Ok(())
    }

    async fn rooms_of(&self, node: &NodeId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let rooms = self.nodes.rooms.get(node);
        Ok(rooms.map(|rooms| rooms.iter().take(limit).cloned().collect()).unwrap_or_default())
    }

    async fn send(&self, node: &NodeId, message: Bytes) -> Result<bool, StoreError> {
        Ok(self.nodes.bus.publish(node, &message) > 0)
    }

    async fn listen(&self, node: &NodeId) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(self.nodes.bus.listen(node.clone())))
    }
}
