//! The connections that subscriptions take: one per server, in a cluster to the server of the channel's slot
//! (Redis Cluster specification; sharded PubSub, so that a message reaches one server alone).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue, PushInfo, PushKind,
    RedisResult, Value,
};
use tokio::sync::Notify;

use super::connection::{CONNECT_MAX, Connection, RESPONSE_MAX};
use crate::topics::Topics;

/// How many hash slots a cluster has.
const SLOTS: u16 = 16_384;
/// How often a subscription is tried before it has failed: once more after the slots were learnt anew.
const SUBSCRIBE_ATTEMPTS_MAX: u32 = 2;

/// A server, as host and port.
pub(super) type Place = (String, u16);

/// The connections of one process.
pub(super) struct Links {
    seeds: Vec<ConnectionInfo>,
    cluster: bool,
    /// First and last slot of each range, and who serves it; empty when it has to be learnt.
    slots: Vec<(u16, u16, Place)>,
    open: HashMap<Place, Link>,
    topics: Arc<Topics<String>>,
    signal: Arc<Notify>,
}

struct Link {
    connection: MultiplexedConnection,
    state: Arc<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    broken: AtomicBool,
    /// Channels that were asked to be unsubscribed and are not confirmed yet.
    leaving: Mutex<HashSet<String>>,
}

impl Links {
    pub(super) fn new(connection: &Connection, topics: Arc<Topics<String>>, signal: Arc<Notify>) -> Self {
        Self {
            seeds: connection.addresses().to_vec(),
            cluster: connection.is_cluster(),
            slots: Vec::new(),
            open: HashMap::new(),
            topics,
            signal,
        }
    }

    /// Subscribes to channels; says of each, in order, where, or why not.
    pub(super) async fn subscribe(&mut self, channels: Vec<String>) -> Vec<Result<Place, String>> {
        let mut outcomes: Vec<_> = channels.iter().map(|_| Err(String::new())).collect();
        for _ in 0..SUBSCRIBE_ATTEMPTS_MAX {
            self.attempt(&channels, &mut outcomes).await;
            if outcomes.iter().all(Result::is_ok) || !self.cluster {
                break;
            }
            self.slots.clear();
        }
        outcomes
    }

    /// Unsubscribes; what fails is over with its connection anyway.
    pub(super) async fn unsubscribe(&mut self, channels: Vec<(String, Place)>) {
        let name = if self.cluster { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" };
        let asked = channels.into_iter().filter_map(|(channel, place)| {
            let link = self.open.get(&place)?;
            link.state.leaving.lock().insert(channel.clone());
            let mut connection = link.connection.clone();
            Some(async move { redis::cmd(name).arg(channel).exec_async(&mut connection).await })
        });
        join_all(asked.collect::<Vec<_>>()).await;
    }

    /// Asks every connection whether it stands.
    pub(super) async fn ping(&mut self) {
        let asked = self.open.values().map(|link| async {
            if redis::cmd("PING").exec_async(&mut link.connection.clone()).await.is_err() {
                link.state.broken.store(true, Ordering::Relaxed);
            }
        });
        join_all(asked).await;
    }

    /// Drops broken connections; returns where they led.
    pub(super) fn drop_broken(&mut self) -> HashSet<Place> {
        let broken = self.open.extract_if(|_, link| link.state.broken.load(Ordering::Relaxed));
        let broken: HashSet<Place> = broken.map(|(place, _)| place).collect();
        if !broken.is_empty() {
            self.slots.clear();
        }
        broken
    }

    async fn attempt(&mut self, channels: &[String], outcomes: &mut [Result<Place, String>]) {
        if self.cluster && self.slots.is_empty() {
            self.slots = self.learn_slots().await;
        }
        let mut asked = Vec::new();
        let mut refused = HashMap::<Place, String>::new();
        for (index, channel) in channels.iter().enumerate() {
            if outcomes[index].is_ok() {
                continue;
            }
            let Some(place) = self.place_of(channel) else {
                outcomes[index] = Err("no known server of the cluster serves its slot".to_owned());
                continue;
            };
            if let Some(cause) = refused.get(&place) {
                outcomes[index] = Err(cause.clone());
                continue;
            }
            match self.link(&place).await {
                Ok(connection) => asked.push((index, place, connection)),
                Err(error) => {
                    outcomes[index] = Err(error.to_string());
                    refused.insert(place, error.to_string());
                }
            }
        }
        let name = if self.cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        let answers = asked.into_iter().map(|(index, place, mut connection)| async move {
            let answer = redis::cmd(name).arg(&channels[index]).exec_async(&mut connection).await;
            (index, answer.map(|()| place).map_err(|error| error.to_string()))
        });
        for (index, answer) in join_all(answers).await {
            outcomes[index] = answer;
        }
    }

    fn place_of(&self, channel: &str) -> Option<Place> {
        if !self.cluster {
            return self.seeds.first().and_then(place);
        }
        let slot = slot(channel);
        let served = self.slots.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        served.map(|(_, _, place)| place.clone())
    }

    async fn link(&mut self, place: &Place) -> RedisResult<MultiplexedConnection> {
        if let Some(link) = self.open.get(place)
            && !link.state.broken.load(Ordering::Relaxed)
        {
            return Ok(link.connection.clone());
        }
        let state = Arc::<LinkState>::default();
        let (heard, topics, signal) = (state.clone(), self.topics.clone(), self.signal.clone());
        let config = config().set_push_sender(move |push: PushInfo| {
            if !hear(push, &topics, &heard) {
                heard.broken.store(true, Ordering::Relaxed);
                signal.notify_one();
            }
            Ok::<(), ()>(())
        });
        let client = Client::open(self.info(place))?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        self.open.insert(place.clone(), Link { connection: connection.clone(), state });
        Ok(connection)
    }

    /// How to connect to `place`: as to the first seed.
    fn info(&self, place: &Place) -> ConnectionInfo {
        let seed = &self.seeds[0];
        let (host, port) = place.clone();
        let address = if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = seed.addr().clone() {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        seed.clone().set_addr(address)
    }

    /// Asks the first server that answers who serves which slots.
    async fn learn_slots(&self) -> Vec<(u16, u16, Place)> {
        let known = self.open.keys().cloned().chain(self.seeds.iter().filter_map(place));
        for place in known {
            if let Ok(slots) = self.ask_slots(&place).await {
                return slots;
            }
        }
        Vec::new()
    }

    async fn ask_slots(&self, place: &Place) -> RedisResult<Vec<(u16, u16, Place)>> {
        let client = Client::open(self.info(place))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config()).await?;
        let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
        let mut slots = Vec::new();
        for range in ranges {
            let [first, last, master, ..] = &range[..] else { continue };
            let Value::Array(master) = master else { continue };
            let [host, port, ..] = &master[..] else { continue };
            let host = Option::<String>::from_redis_value_ref(host)?.filter(|host| !host.is_empty());
            // A server that does not know its own name is the one that was asked.
            let host = host.unwrap_or_else(|| place.0.clone());
            let served_by = (host, u16::from_redis_value_ref(port)?);
            slots.push((u16::from_redis_value_ref(first)?, u16::from_redis_value_ref(last)?, served_by));
        }
        Ok(slots)
    }
}

/// Takes in what a server pushes; whether its connection and subscriptions still stand.
fn hear(push: PushInfo, topics: &Topics<String>, state: &LinkState) -> bool {
    let mut data = push.data.into_iter();
    let channel = data.next().and_then(|channel| String::from_redis_value(channel).ok()).unwrap_or_default();
    if matches!(push.kind, PushKind::Message | PushKind::SMessage)
        && let Some(Value::BulkString(message)) = data.next()
    {
        topics.publish(&channel, &Bytes::from(message));
    }
    if matches!(push.kind, PushKind::Unsubscribe | PushKind::SUnsubscribe) {
        // Unasked for, the channel's slot has moved to another server.
        return state.leaving.lock().remove(&channel);
    }
    push.kind != PushKind::Disconnection
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_MAX))
        .set_response_timeout(Some(RESPONSE_MAX))
}

fn place(info: &ConnectionInfo) -> Option<Place> {
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = info.addr() {
        return Some((host.clone(), *port));
    }
    None
}

/// The hash slot of a key or channel: CRC-16/XMODEM of what stands in the first braces, if anything does
/// (Redis Cluster specification, key distribution model).
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("mobz:{foo}:room"), slot("foo"));
        assert_eq!(slot("{}foo"), slot("{}foo"));
        assert_ne!(slot("{}foo"), slot("foo"));
    }
}
