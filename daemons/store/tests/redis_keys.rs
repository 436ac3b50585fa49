//! What the Redis store leaves on the server: everything expires, and the index of rooms heals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where something is wrong")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mobz_core::hls::store::{MediaName, StreamChange};
use mobz_core::id::RoomId;
use mobz_core::munit::{Beat, Load};
use mobz_core::room::Participant;
use mobz_core::store::{Change, Event, KeptChange, MemberChange, RecordChange, Revision, Store};
use mobz_core::time::Timestamp;
use mobz_store::contract::{sample, sample_munit};
use mobz_store::testing::Redis;

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

const MINUTE: Duration = Duration::from_secs(60);

struct Server {
    // Ends the server when it goes.
    _redis: Redis,
    connection: redis::Connection,
    store: Arc<dyn Store>,
}

async fn start() -> Server {
    let redis = Redis::start().unwrap();
    let connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    Server { _redis: redis, connection, store }
}

impl Server {
    fn ask<T: redis::FromRedisValue>(&mut self, command: &[&str]) -> T {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connection).unwrap()
    }

    /// The key of a kind that belongs to `room`'s shard of the index.
    fn index_key(&mut self, what: &str) -> String {
        let keys: Vec<String> = self.ask(&["KEYS", &format!("mobz:{{index:*}}:{what}")]);
        keys.into_iter().next().unwrap()
    }

    async fn rooms(&self) -> Vec<RoomId> {
        self.store.list(None, 100).await.unwrap().rooms
    }
}

fn demo() -> RoomId {
    "demo".parse().unwrap()
}

fn put() -> Change {
    Change { record: RecordChange::Put(Arc::new(sample("demo"))), ..Change::default() }
}

fn beat() -> Beat {
    Beat { instance: "a".into(), at: AT, ready: true, load: Load::default() }
}

fn viewer(away: bool) -> Participant {
    let mut member = Arc::unwrap_or_clone(sample("demo").participants.into_values().next().unwrap());
    member.user = if away { "away" } else { "here" }.parse().unwrap();
    member.grants.owner = true;
    (member.away_since, member.away_until) = (away.then_some(AT), away.then_some(AT));
    member
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_stored_expires() {
    let mut server = start().await;
    let (store, node) = (server.store.clone(), "node".parse().unwrap());
    let everything = Change {
        members: [true, false]
            .map(|away| MemberChange::Put { was: None, now: Box::new(viewer(away)) })
            .to_vec(),
        kept: vec![KeptChange::Append("away".parse().unwrap(), "{}".into())],
        due: Some(AT),
        ..put()
    };
    store.commit(&demo(), Revision::default(), everything).await.unwrap();
    assert_eq!(store.claim_due(AT).await.unwrap(), [demo()]);
    let media =
        (MediaName::Part("main".parse().unwrap(), 1, 0), Bytes::from_static(b"x"), Duration::from_secs(9));
    let change =
        StreamChange { state: Some(Bytes::from_static(b"x")), put: vec![media], ..StreamChange::default() };
    store.commit_stream(&demo(), Revision::default(), change).await.unwrap();
    store.beat(&node, AT).await.unwrap();
    store.attach(&node, &demo()).await.unwrap();
    store.beat(&node, Timestamp::from_millis(1)).await.unwrap();
    assert_eq!(store.claim_lost(AT).await.unwrap().len(), 1);
    let munit = "m".parse().unwrap();
    let record = Some(Arc::new(sample_munit("m")));
    store.commit_munit(&munit, Revision::default(), record).await.unwrap();
    store.beat_munit(&munit, &beat()).await.unwrap();
    assert_eq!(store.claim_silent_munits(AT.after(MINUTE), AT.after(MINUTE)).await.unwrap().len(), 1);
    let event = Event { seq: 0, at: AT, name: "room.created".into(), data: "{}".into() };
    store.append(vec![event]).await.unwrap();
    store.refresh(&[demo()]).await.unwrap();

    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    for key in &keys {
        let ttl: i64 = server.ask(&["TTL", key]);
        assert!(ttl > 0, "{key} stays for ever");
        assert!(key.starts_with("mobz:{"), "{key}");
    }
    let counters: i64 = server.ask(&["TTL", "mobz:{demo}:stream"]);
    assert!((86_000..=86_400).contains(&counters), "a stream's counters are kept for a day: {counters} s");
    let of_the_room = keys.iter().filter(|key| key.starts_with("mobz:{demo}:")).count();
    let (others, shown) = (keys.len() - of_the_room, keys.join(" "));
    assert_eq!((of_the_room, others), (12, 16), "the test makes every kind of key: {shown}");

    let removed = store.load(&demo(), mobz_core::store::Asked::First(0)).await.unwrap().revision;
    let remove = Change { record: RecordChange::Remove, ..Change::default() };
    store.commit(&demo(), removed, remove).await.unwrap();
    let mut left: Vec<String> = server.ask(&["KEYS", "mobz:{demo}:*"]);
    left.sort();
    assert_eq!(left, ["mobz:{demo}:media:main:1.0", "mobz:{demo}:revision", "mobz:{demo}:stream"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_json_that_people_can_read() {
    let mut server = start().await;
    server.store.commit(&demo(), Revision::default(), put()).await.unwrap();
    let record: String = server.ask(&["HGET", "mobz:{demo}:room", "record"]);
    assert_eq!(serde_json::from_str::<mobz_core::room::Record>(&record).unwrap(), sample("demo"));
    assert!(record.contains(r#""mode":"p2m""#), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_entry_without_its_room_is_not_listed_and_dropped_once_it_is_old() {
    let mut server = start().await;
    server.store.commit(&demo(), Revision::default(), put()).await.unwrap();
    assert_eq!(server.rooms().await, [demo()]);
    let (index, since) = (server.index_key("rooms"), server.index_key("since"));

    let _: i64 = server.ask(&["DEL", "mobz:{demo}:room"]);
    assert!(server.rooms().await.is_empty());
    let kept: i64 = server.ask(&["ZCARD", &index]);
    assert_eq!(kept, 1, "its room may be about to be committed");

    let _: i64 = server.ask(&["HSET", &since, "demo", "1"]);
    assert!(server.rooms().await.is_empty());
    let kept: i64 = server.ask(&["ZCARD", &index]);
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_returns_a_room_to_an_index_that_was_lost() {
    let mut server = start().await;
    server.store.commit(&demo(), Revision::default(), put()).await.unwrap();
    for what in ["rooms", "since"] {
        let key = server.index_key(what);
        let _: i64 = server.ask(&["DEL", &key]);
    }
    assert!(server.rooms().await.is_empty());
    assert!(server.store.refresh(&[demo()]).await.unwrap().is_empty());
    assert_eq!(server.rooms().await, [demo()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_record_is_told_as_corrupt() {
    let mut server = start().await;
    server.store.commit(&demo(), Revision::default(), put()).await.unwrap();
    let _: i64 = server.ask(&["HSET", "mobz:{demo}:room", "record", "{\"room\":"]);
    let error = server.store.load(&demo(), mobz_core::store::Asked::First(0)).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read the store's answer to load room demo: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_munit_is_signalled_on_the_channel_that_the_protocol_names() {
    let server = start().await;
    let mut listener = server.connection;
    let mut listener = listener.as_pubsub();
    listener.subscribe("mobz:munit:m1").unwrap();
    assert!(server.store.signal_munit(&"m1".parse().unwrap(), Bytes::from_static(b"{}")).await.unwrap());
    assert_eq!(listener.get_message().unwrap().get_payload_bytes(), b"{}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_returns_a_munit_to_indexes_that_were_lost() {
    let mut server = start().await;
    let (store, munit) = (server.store.clone(), "m".parse().unwrap());
    let record = Some(Arc::new(sample_munit("m")));
    store.commit_munit(&munit, Revision::default(), record).await.unwrap();
    let indexes: Vec<String> = server.ask(&["KEYS", "mobz:{munits}:*"]);
    for index in indexes {
        let _: i64 = server.ask(&["DEL", &index]);
    }
    assert!(store.list_munits(None, 9).await.unwrap().munits.is_empty());
    assert!(store.candidates(9).await.unwrap().is_empty());

    store.beat_munit(&munit, &beat()).await.unwrap();
    assert_eq!(store.list_munits(None, 9).await.unwrap().munits, std::slice::from_ref(&munit));
    assert_eq!(store.candidates(9).await.unwrap().len(), 1);
    let later = AT.after(MINUTE);
    assert_eq!(store.claim_silent_munits(later, later).await.unwrap(), [munit]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_munit_that_has_expired_leaves_the_indexes_when_it_is_next_met() {
    let mut server = start().await;
    let store = server.store.clone();
    for munit in ["listed", "claimed"] {
        let record = Some(Arc::new(sample_munit(munit)));
        store.commit_munit(&munit.parse().unwrap(), Revision::default(), record).await.unwrap();
        let _: i64 = server.ask(&["DEL", &format!("mobz:{{munit:{munit}}}:munit")]);
    }
    let later = AT.after(MINUTE);
    assert!(store.claim_silent_munits(later, later).await.unwrap().is_empty());
    assert!(store.candidates(9).await.unwrap().is_empty());
    let record = Some(Arc::new(sample_munit("listed")));
    store.commit_munit(&"listed".parse().unwrap(), Revision::default(), record).await.unwrap();
    let _: i64 = server.ask(&["DEL", "mobz:{munit:listed}:munit"]);
    assert!(store.list_munits(None, 9).await.unwrap().munits.is_empty());
    let left: Vec<String> = server.ask(&["KEYS", "mobz:{munits}:*"]);
    assert!(left.is_empty(), "{left:?}");
}
