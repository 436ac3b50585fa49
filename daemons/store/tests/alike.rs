//! Both stores are asked the same at random and must answer the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where something is wrong")]

use std::fmt::Write;
use std::sync::Arc;

use mobz_core::id::{RoomId, UserId};
use mobz_core::room::Participant;
use mobz_core::store::{
    Asked, Change, Committed, KeptChange, Loaded, MemberChange, RecordChange, Revision, Store,
};
use mobz_core::time::Timestamp;
use mobz_store::contract::sample;
use mobz_store::testing::Redis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const ROOMS: u8 = 3;
const USERS: u8 = 5;

/// One thing to ask of a store; small numbers name rooms, users and moments.
#[derive(Clone, Debug)]
enum Step {
    Commit {
        room: u8,
        record: u8,
        members: Vec<Member>,
        kept: Vec<(u8, Option<u16>)>,
        due: Option<u8>,
        stale: bool,
    },
    TakeKept {
        room: u8,
        user: u8,
    },
    Claim {
        now: u8,
    },
    Settle {
        room: u8,
        next: Option<u8>,
    },
    Refresh,
    List,
}

#[derive(Clone, Debug)]
struct Member {
    user: u8,
    gone: bool,
    stale: bool,
    order: u8,
    granted: bool,
    node: u8,
    away_until: Option<u8>,
}

fn member() -> impl Strategy<Value = Member> {
    let fields =
        (0..USERS, prop::bool::weighted(0.3), prop::bool::weighted(0.05), 0..4_u8, any::<bool>(), 0..3_u8);
    (fields, prop::option::of(0..20_u8)).prop_map(
        |((user, gone, stale, order, granted, node), away_until)| Member {
            user,
            gone,
            stale,
            order,
            granted,
            node,
            away_until,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let members = prop::collection::vec(member(), 0..4);
    let kept = prop::collection::vec((0..USERS, prop::option::weighted(0.8, 1..999_u16)), 0..3);
    let commit = (0..ROOMS, 0..10_u8, members, kept, prop::option::of(0..40_u8), prop::bool::weighted(0.05));
    prop_oneof![
        8 => commit.prop_map(|(room, record, members, kept, due, stale)| {
            Step::Commit { room, record, members, kept, due, stale }
        }),
        1 => (0..ROOMS, 0..USERS).prop_map(|(room, user)| Step::TakeKept { room, user }),
        2 => (0..40_u8).prop_map(|now| Step::Claim { now }),
        2 => (0..ROOMS, prop::option::of(0..40_u8)).prop_map(|(room, next)| Step::Settle { room, next }),
        1 => Just(Step::Refresh),
        1 => Just(Step::List),
    ]
}

fn room(number: u8) -> RoomId {
    format!("room-{number}").parse().unwrap()
}

fn user(number: u8) -> UserId {
    format!("user-{number}").parse().unwrap()
}

/// Seconds, so that claims run out within the range of moments.
fn at(moment: u8) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + 1000 * u64::from(moment))
}

/// A store with the secrets its members have, as far as commits that held say.
struct Side {
    store: Arc<dyn Store>,
    secrets: u64,
}

impl Side {
    /// Does one step; what came of it, without the numbers that differ from store to store.
    async fn take(&mut self, step: &Step) -> String {
        match step {
            Step::Commit { room: number, record, members, kept, due, stale } => {
                let loaded = self.store.load(&room(*number), Asked::First(100)).await.unwrap();
                let record = match record {
                    0 => RecordChange::Remove,
                    1..4 => RecordChange::Put(Arc::new(sample(room(*number).as_str()))),
                    _ if loaded.record.is_none() => {
                        RecordChange::Put(Arc::new(sample(room(*number).as_str())))
                    }
                    _ => RecordChange::Same,
                };
                let members = members.iter().map(|member| self.change(member, &loaded.members)).collect();
                let kept = kept.iter().map(|(who, signal)| match signal {
                    Some(signal) => KeptChange::Append(user(*who), signal.to_string().into()),
                    None => KeptChange::Clear(user(*who)),
                });
                let change = Change { record, members, kept: kept.collect(), due: due.map(at) };
                let revision = Revision(loaded.revision.0 + u64::from(*stale));
                let committed = self.store.commit(&room(*number), revision, change).await.unwrap();
                (committed == Committed::Conflict).to_string()
            }
            Step::TakeKept { room: number, user: who } => {
                format!("{:?}", self.store.take_kept(&room(*number), &user(*who)).await.unwrap())
            }
            Step::Claim { now } => {
                let mut rooms = self.store.claim_due(at(*now)).await.unwrap();
                rooms.sort();
                format!("{rooms:?}")
            }
            Step::Settle { room: number, next } => {
                self.store.settle_due(&room(*number), next.map(at)).await.unwrap();
                String::new()
            }
            Step::Refresh => {
                let rooms: Vec<RoomId> = (0..ROOMS).map(room).collect();
                format!("{:?}", self.store.refresh(&rooms).await.unwrap())
            }
            Step::List => {
                let mut rooms = self.store.list(None, 100).await.unwrap().rooms;
                rooms.sort();
                format!("{rooms:?}")
            }
        }
    }

    fn change(&mut self, member: &Member, there: &[Participant]) -> MemberChange {
        let found = there.iter().find(|found| found.user == user(member.user));
        let was = found.map(|found| found.resume.clone()).filter(|_| !member.stale);
        if member.gone {
            return MemberChange::Remove { was: was.unwrap_or_default(), user: user(member.user) };
        }
        self.secrets += 1;
        let mut now = Arc::unwrap_or_clone(sample("x").participants.into_values().next().unwrap());
        (now.user, now.order) = (user(member.user), u64::from(member.order));
        (now.grants.owner, now.resume) = (member.granted, format!("secret-{}", self.secrets));
        now.address.node = format!("node-{}", member.node).parse().unwrap();
        (now.away_since, now.away_until) = (member.away_until.map(at), member.away_until.map(at));
        MemberChange::Put { was, now: Box::new(now) }
    }

    /// All that can be read of the rooms, in an order of its own where the store has none.
    async fn rooms(&self) -> String {
        let mut all = String::new();
        for number in 0..ROOMS {
            let asked = [
                Asked::First(100),
                Asked::First(2),
                Asked::Due(at(10)),
                Asked::At("node-1".parse().unwrap()),
                Asked::Users(vec![user(1), user(4)]),
            ];
            for asked in asked {
                let mut loaded: Loaded = self.store.load(&room(number), asked).await.unwrap();
                loaded.audience_nodes.sort();
                let there = loaded.revision != Revision::default();
                assert_eq!(there, loaded.record.is_some());
                let Loaded { record, audience, members, audience_nodes, .. } = loaded;
                writeln!(all, "{record:?} {audience:?} {members:?} {audience_nodes:?}").unwrap();
            }
        }
        all
    }
}

#[test]
fn memory_and_redis_answer_alike() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let redis = Redis::start().unwrap();
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        runtime.block_on(async {
            let mut server = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
            redis::cmd("FLUSHALL").exec(&mut server).unwrap();
            let mut memory = Side { store: mobz_store::open(None).await.unwrap(), secrets: 0 };
            let mut real = Side { store: mobz_store::open(Some(&redis.url())).await.unwrap(), secrets: 0 };
            for step in &steps {
                prop_assert_eq!(memory.take(step).await, real.take(step).await, "{:?}", step);
                prop_assert_eq!(memory.rooms().await, real.rooms().await, "after {:?}", step);
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
