//! Redis going away and coming back, under a real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where something is wrong")]

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mobz_core::hls::store::{MediaName, StreamChange};
use mobz_core::id::{NodeId, RoomId};
use mobz_core::store::{
    Asked, BusEvent, Change, Committed, KeptChange, RecordChange, Revision, Store, StoreError, Subscription,
};
use mobz_core::time::Timestamp;
use mobz_store::OPERATION_MAX;
use mobz_store::contract::{PATIENCE, sample};
use mobz_store::testing::{Redis, RedisCluster};
use tokio::time::timeout;

/// How long an operation may really take on a busy machine before it counts as hanging.
const HANGING: Duration = OPERATION_MAX.saturating_mul(3);

fn room() -> RoomId {
    "demo".parse().unwrap()
}

fn node() -> NodeId {
    "node".parse().unwrap()
}

fn put(room: &RoomId) -> Change {
    Change { record: RecordChange::Put(Arc::new(sample(room.as_str()))), ..Change::default() }
}

async fn open(url: &str) -> Arc<dyn Store> {
    mobz_store::open(Some(url)).await.unwrap()
}

/// Expects an operation to fail in bounded time, by saying that the store cannot be reached.
async fn fails<T: Debug>(what: &str, operation: impl Future<Output = Result<T, StoreError>>) {
    let started = Instant::now();
    let outcome = timeout(HANGING, operation).await.unwrap_or_else(|_| panic!("{what} hangs"));
    let error = outcome.expect_err(what);
    assert!(matches!(error, StoreError::Unreachable { .. }), "{what}: {error}");
    assert!(error.to_string().starts_with("cannot reach the store to "), "{error}");
    assert!(started.elapsed() < HANGING, "{what}");
}

/// Expects every operation to fail, all at once as a busy daemon would ask.
async fn everything_fails(store: &dyn Store) {
    let (room, node) = (room(), node());
    let user = "ann".parse().unwrap();
    let kept = Change { kept: vec![KeptChange::Append("ann".parse().unwrap(), "{}".into())], ..put(&room) };
    let now = Timestamp::from_millis(1);
    let media = MediaName::Init("main".parse().unwrap(), 1);
    let rooms = [room.clone()];
    tokio::join!(
        fails("ping", store.ping()),
        fails("load", store.load(&room, Asked::First(1))),
        fails("commit", store.commit(&room, Revision::default(), kept)),
        fails("take_kept", store.take_kept(&room, &user)),
        fails("list", store.list(None, 10)),
        fails("claim_due", store.claim_due(now)),
        fails("settle_due", store.settle_due(&room, Some(now))),
        fails("refresh", store.refresh(&rooms)),
        fails("beat", store.beat(&node, now)),
        fails("claim_lost", store.claim_lost(now)),
        fails("forget", store.forget(&node)),
        fails("attach", store.attach(&node, &room)),
        fails("detach", store.detach(&node, &room)),
        fails("rooms_of", store.rooms_of(&node, 10)),
        fails("send", store.send(&node, Bytes::from_static(b"x"))),
        fails("append", store.append(vec![event()])),
        fails("after", store.after(None, 10, Duration::ZERO)),
    );
    tokio::join!(
        fails("load_stream", store.load_stream(&room)),
        fails("commit_stream", store.commit_stream(&room, Revision::default(), StreamChange::default())),
        fails("media", store.media(&room, &media)),
        fails("listen", async { store.listen(&"another".parse().unwrap()).await.map(drop) }),
        fails("listen_stream", async { store.listen_stream(&room).await.map(drop) }),
    );
}

fn event() -> mobz_core::store::Event {
    let name = "room.created".to_owned();
    mobz_core::store::Event { seq: 0, at: Timestamp::from_millis(1), name, data: "{}".into() }
}

/// Waits until the store answers again, by itself.
async fn answers_again(store: &dyn Store) {
    let again = async { while store.ping().await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the store does not answer again");
}

/// Sends until the subscription hears; what it heard before that.
async fn hears_again(store: &dyn Store, subscription: &mut Box<dyn Subscription>) -> Vec<BusEvent> {
    let mut heard = Vec::new();
    let hearing = async {
        loop {
            drop(store.send(&node(), Bytes::from_static(b"again")).await);
            match timeout(Duration::from_millis(100), subscription.next()).await {
                Ok(Some(BusEvent::Message(message))) if message == "again" => return,
                Ok(Some(event)) => heard.push(event),
                Ok(None) => panic!("the subscription has ended"),
                Err(_) => {}
            }
        }
    };
    timeout(PATIENCE, hearing).await.expect("the subscription does not hear again");
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_fails_every_operation_in_bounded_time_and_all_resumes() {
    let redis = Redis::start().unwrap();
    let store = open(&redis.url()).await;
    let Committed::Done(revision) = store.commit(&room(), Revision::default(), put(&room())).await.unwrap()
    else {
        panic!("a conflict in an empty store")
    };
    let mut subscription = store.listen(&node()).await.unwrap();

    redis.freeze().unwrap();
    everything_fails(&*store).await;
    redis.thaw().unwrap();

    answers_again(&*store).await;
    hears_again(&*store, &mut subscription).await;
    let loaded = store.load(&room(), Asked::First(1)).await.unwrap();
    assert_eq!(loaded.revision, revision, "what was frozen is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_comes_back_empty_and_all_resumes() {
    let mut redis = Redis::start().unwrap();
    let store = open(&redis.url()).await;
    store.commit(&room(), Revision::default(), put(&room())).await.unwrap();
    let mut subscription = store.listen(&node()).await.unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.after(None, 10, PATIENCE).await })
    };

    redis.kill();
    everything_fails(&*store).await;
    redis.restart().unwrap();

    answers_again(&*store).await;
    let heard = hears_again(&*store, &mut subscription).await;
    assert_eq!(heard, [BusEvent::Resubscribed], "told once that messages may be lost");
    assert_eq!(store.refresh(&[room()]).await.unwrap(), [room()], "the room is gone with the server");
    let committed = store.commit(&room(), Revision::default(), put(&room())).await.unwrap();
    assert!(matches!(committed, Committed::Done(_)), "and can be written back");
    assert!(timeout(2 * PATIENCE, waiting).await.is_ok(), "who waits for events does not hang");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blink_of_the_server_is_waited_for() {
    let mut redis = Redis::start().unwrap();
    let store = open(&redis.url()).await;
    redis.kill();
    let asked = {
        let store = store.clone();
        tokio::spawn(async move { store.load(&room(), Asked::First(1)).await })
    };
    redis.restart().unwrap();
    // The one sent into the dying connection may fail; what comes after it is not told of the blink.
    drop(asked.await.unwrap());
    answers_again(&*store).await;
    store.load(&room(), Asked::First(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_one_node_serves_the_others_rooms_and_heals() {
    let mut cluster = RedisCluster::start().unwrap();
    let store = open(&cluster.url()).await;
    let rooms: Vec<RoomId> = (0..30).map(|number| format!("room-{number}").parse().unwrap()).collect();
    for room in &rooms {
        store.commit(room, Revision::default(), put(room)).await.unwrap();
    }
    let mut subscription = store.listen(&node()).await.unwrap();

    cluster.nodes[1].kill();
    let started = Instant::now();
    let loads = rooms.iter().map(|room| timeout(HANGING, store.load(room, Asked::First(1))));
    let outcomes = futures_util::future::join_all(loads).await;
    let served = outcomes.iter().filter(|outcome| outcome.as_ref().expect("a load hangs").is_ok()).count();
    assert!((10..30).contains(&served), "{served} of 30 rooms, in {:?}", started.elapsed());

    cluster.nodes[1].restart().unwrap();
    let again = async {
        for room in &rooms {
            while store.load(room, Asked::First(1)).await.is_err() {}
        }
    };
    timeout(2 * PATIENCE, again).await.expect("a room stays unreachable");
    answers_again(&*store).await;
    hears_again(&*store, &mut subscription).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_one_frozen_node_serves_the_others_rooms() {
    let cluster = RedisCluster::start().unwrap();
    let store = open(&cluster.url()).await;
    let rooms: Vec<RoomId> = (0..30).map(|number| format!("room-{number}").parse().unwrap()).collect();
    for room in &rooms {
        store.commit(room, Revision::default(), put(room)).await.unwrap();
    }

    cluster.nodes[2].freeze().unwrap();
    let loads = rooms.iter().map(|room| timeout(HANGING, store.load(room, Asked::First(1))));
    let outcomes = futures_util::future::join_all(loads).await;
    let served = outcomes.iter().filter(|outcome| outcome.as_ref().expect("a load hangs").is_ok()).count();
    assert!((10..30).contains(&served), "{served} of 30 rooms");
    cluster.nodes[2].thaw().unwrap();
    let again = async {
        for room in &rooms {
            while store.load(room, Asked::First(1)).await.is_err() {}
        }
    };
    timeout(2 * PATIENCE, again).await.expect("a room stays unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_to_another_node_takes_its_subscriptions_along() {
    let cluster = RedisCluster::start().unwrap();
    let store = open(&cluster.url()).await;
    let mut subscription = store.listen(&node()).await.unwrap();
    let mut nodes: Vec<redis::Connection> = Vec::new();
    for node in &cluster.nodes {
        nodes.push(redis::Client::open(node.url()).unwrap().get_connection().unwrap());
    }
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg("{node:node}").query(&mut nodes[0]).unwrap();
    let owner = usize::from(slot) / 5462;
    let taker = (owner + 1) % 3;
    let taker_id: String = redis::cmd("CLUSTER").arg("MYID").query(&mut nodes[taker]).unwrap();

    for index in [taker, owner, 3 - owner - taker] {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg("NODE").arg(&taker_id).exec(&mut nodes[index]).unwrap();
    }

    let heard = hears_again(&*store, &mut subscription).await;
    assert_eq!(heard, [BusEvent::Resubscribed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_becomes_a_replica_is_looked_up_anew() {
    let redis = Redis::start().unwrap();
    let store = open(&redis.url()).await;
    let mut server = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    // The connections that commands come over, by their ids.
    let mut commanding = async || {
        let attach = store.attach(&node(), &room()).await;
        let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut server).unwrap();
        let mut commands =
            list.lines().filter(|line| line.contains("cmd=expire") || line.contains("cmd=sadd"));
        let id = commands.find_map(|line| line.split(' ').next()).map(str::to_owned);
        (attach.is_ok(), id)
    };
    let mut control = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let (done, before) = commanding().await;
    assert!(done && before.is_some());

    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec(&mut control).unwrap();
    assert!(!commanding().await.0, "a replica takes no writes");
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut control).unwrap();

    let (done, after) = commanding().await;
    assert!(done);
    assert_ne!(before, after, "by another connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_or_locked_is_told_apart_at_once() {
    let mut redis = Redis::start_with(&["--requirepass", "long secret"]).unwrap();
    let locked = mobz_store::open(Some(&redis.url())).await.err().unwrap().to_string();
    assert!(locked.contains("NOAUTH") || locked.contains("uthentication"), "{locked}");
    let url = redis.url().replace("redis://", "redis://:long%20secret@");
    let store = open(&url).await;
    store.ping().await.unwrap();
    assert_eq!(store.describe(), redis.url(), "without the secret");

    redis.kill();
    let started = Instant::now();
    let gone = mobz_store::open(Some(&url)).await.err().unwrap().to_string();
    assert!(started.elapsed() < HANGING);
    assert!(gone.contains(&redis.url()) && gone.contains("refused") && !gone.contains("secret"), "{gone}");
    let strange = mobz_store::open(Some("http://127.0.0.1")).await.err().unwrap().to_string();
    assert!(strange.contains("redis://"), "{strange}");
}
