//! Two nodes on one store, in memory or on a real Redis, and clients that speak to them without a socket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mobz_core::id::{RoomId, UserId};
use mobz_core::room::{Grants, Input, Joining, Mode, resume_secret};
use mobz_core::settings::Settings;
use mobz_core::signal::{ClientSignal, parse};
use mobz_core::store::Store;
use mobz_runtime::clock;
use mobz_runtime::hub::{Connection, Outbound};
use mobz_runtime::node::{Ended, Node};
use mobz_store::testing::Redis;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take that should happen.
const SOON: Duration = Duration::from_secs(30);

pub fn room() -> RoomId {
    "demo".parse().unwrap()
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// A store, and two nodes that share it.
pub struct World {
    pub store: Arc<dyn Store>,
    pub here: Arc<Node>,
    pub there: Arc<Node>,
    stop: CancellationToken,
    runs: Vec<JoinHandle<()>>,
    redis: Option<Redis>,
}

impl World {
    pub async fn in_memory() -> Self {
        Self::on(mobz_store::open(None).await.unwrap(), None).await
    }

    pub async fn on_redis() -> Self {
        let redis = Redis::start().unwrap();
        let store = mobz_store::open(Some(&redis.url())).await.unwrap();
        Self::on(store, Some(redis)).await
    }

    async fn on(store: Arc<dyn Store>, redis: Option<Redis>) -> Self {
        let stop = CancellationToken::new();
        let mut runs = Vec::new();
        let mut node = |id: &str| {
            let node = Node::new(id.parse().unwrap(), Settings::default(), store.clone());
            let run = node.clone().run(stop.clone());
            runs.push(tokio::spawn(async move { run.await.unwrap() }));
            node
        };
        let (here, there) = (node("here"), node("there"));
        for node in [&here, &there] {
            // It listens to replies last.
            let listens = async || store.reply(&store.reply_channel(node.id()), "{}".into()).await.unwrap();
            while !listens().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Self { store, here, there, stop, runs, redis }
    }

    /// Joins the room over a new connection.
    pub async fn join(&self, node: &Arc<Node>, name: &str, publish: bool) -> Client {
        self.join_as(node, name, Some(publish), None).await
    }

    pub async fn join_as(
        &self,
        node: &Arc<Node>,
        name: &str,
        publish: Option<bool>,
        resume: Option<&Client>,
    ) -> Client {
        let connection = node.hub().connect();
        let joining = Joining {
            address: node.address(connection.id()),
            user: user(name),
            name: None,
            grants: Grants::USUAL,
            mode: Some(Mode::M2m),
            publish,
            resume: resume.map(|old| old.joined["resume"].as_str().unwrap().to_owned()),
            secret: resume_secret(&user(name), clock::random()),
            re: Some("join".into()),
        };
        let client = Client {
            node: node.clone(),
            connection,
            user: user(name),
            joined: Value::Null,
            unread: VecDeque::new(),
        };
        self.enter(client, joining).await
    }

    async fn enter(&self, mut client: Client, joining: Joining) -> Client {
        client.node.submit(&room(), Input::Join(Box::new(joining))).await.unwrap();
        client.joined = client.answer("join").await;
        assert_eq!(client.joined["type"], "JoinAck", "{}", client.joined);
        client
    }

    /// Ends both nodes as a shutdown does, once their clients have gone. The store outlives them with the guard.
    pub async fn end(self, clients: Vec<Client>) -> Option<Redis> {
        for client in clients {
            client.go(Ended::Cleanly).await;
        }
        self.stop.cancel();
        for run in self.runs {
            run.await.unwrap();
        }
        self.redis
    }
}

/// A connection of one of the nodes, without its socket.
pub struct Client {
    pub node: Arc<Node>,
    pub connection: Arc<Connection>,
    pub user: UserId,
    pub joined: Value,
    unread: VecDeque<Value>,
}

impl Client {
    /// Sends a signal, as a socket would hand it on.
    pub async fn send(&mut self, signal: Value) {
        let incoming = parse(&signal.to_string()).unwrap();
        let ClientSignal::Room(signal) = incoming.signal else { panic!("{incoming:?}") };
        let (user, address) = (self.user.clone(), self.node.address(self.connection.id()));
        let input = Input::Signal { user, address, signal, re: incoming.id };
        self.node.submit(&room(), input).await.unwrap();
    }

    /// Sends a signal under an `id`, and waits for what carries it back.
    pub async fn request(&mut self, mut signal: Value) -> Value {
        let id = format!("{:x}", clock::random());
        signal["id"] = id.clone().into();
        self.send(signal).await;
        self.answer(&id).await
    }

    pub async fn refused(&mut self, signal: Value, code: &str) -> Value {
        let answer = self.request(signal).await;
        assert_eq!((&answer["type"], &answer["code"]), (&"Error".into(), &code.into()), "{answer}");
        answer
    }

    pub async fn answer(&mut self, id: &str) -> Value {
        self.expect_that(id, |signal| signal["re"] == id).await
    }

    pub async fn expect(&mut self, kind: &str) -> Value {
        self.expect_that(kind, |signal| signal["type"] == kind).await
    }

    /// The first unread signal that `is` says yes to.
    pub async fn expect_that(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&is) {
            return self.unread.remove(at).unwrap();
        }
        loop {
            let batch = tokio::time::timeout(SOON, self.connection.next()).await;
            let Ok(batch) = batch else { panic!("{} got no {what} but {:?}", self.user, self.unread) };
            let texts = batch.texts.iter().map(|text| serde_json::from_slice(&text.text).unwrap());
            self.unread.extend(texts);
            if let Some(at) = self.unread.iter().position(&is) {
                return self.unread.remove(at).unwrap();
            }
            assert!(batch.close.is_none(), "{} was closed before {what}: {batch:?}", self.user);
        }
    }

    /// Whether nothing of this kind is unread.
    pub fn has_no(&self, kind: &str) -> bool {
        self.unread.iter().all(|signal| signal["type"] != kind)
    }

    /// The connection's end; what waited for it was not sent.
    pub async fn go(self, ended: Ended) {
        let waiting: VecDeque<Outbound> = self.connection.take().map(|batch| batch.texts).unwrap_or_default();
        self.connection.give_back(waiting);
        self.node.disconnect(&self.connection, ended).await;
    }

    /// The connection is lost; the client remembers its secret.
    pub async fn lose(&self) {
        self.node.disconnect(&self.connection, Ended::Lost).await;
    }
}
