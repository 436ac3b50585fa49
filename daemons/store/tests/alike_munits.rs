//! Both stores are told the same of munits at random and must answer the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where something is wrong")]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mobz_core::id::{MunitId, StationId};
use mobz_core::munit::{self, Beat, Capacity, Decided, Input, Load, Registration};
use mobz_core::store::{Committed, LoadedMunit, Revision, Store};
use mobz_core::time::Timestamp;
use mobz_store::testing::Redis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const MUNITS: u8 = 4;
const MOMENTS: u8 = 60;

/// One thing to tell a store, or to ask; small numbers name munits, stations, regulators and moments.
#[derive(Clone, Debug)]
enum Step {
    Apply { munit: u8, what: What, now: u8, stale: bool },
    Remove { munit: u8, stale: bool },
    Beat { munit: u8, instance: u8, at: u8, ready: bool, stations: u8, viewers: u8 },
    Claim { now: u8, before: u8 },
    Candidates { limit: u8 },
}

#[derive(Clone, Debug)]
enum What {
    Register(u8),
    Assign(u8),
    Unassign(u8),
    Drain,
    Revive,
    Stop,
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        4 => (0..2_u8).prop_map(What::Register),
        6 => (0..4_u8).prop_map(What::Assign),
        3 => (0..4_u8).prop_map(What::Unassign),
        1 => Just(What::Drain),
        1 => Just(What::Revive),
        1 => Just(What::Stop),
        2 => Just(What::Lost),
    ];
    let stale = || prop::bool::weighted(0.05);
    let beat = (0..MUNITS, 0..2_u8, 0..MOMENTS, prop::bool::weighted(0.8), 0..4_u8, 0..6_u8);
    prop_oneof![
        8 => (0..MUNITS, what, 0..MOMENTS, stale())
            .prop_map(|(munit, what, now, stale)| Step::Apply { munit, what, now, stale }),
        1 => (0..MUNITS, stale()).prop_map(|(munit, stale)| Step::Remove { munit, stale }),
        5 => beat.prop_map(|(munit, instance, at, ready, stations, viewers)| {
            Step::Beat { munit, instance, at, ready, stations, viewers }
        }),
        3 => (0..MOMENTS, 0..MOMENTS).prop_map(|(now, before)| Step::Claim { now, before }),
        2 => (0..6_u8).prop_map(|limit| Step::Candidates { limit }),
    ]
}

fn id(number: u8) -> MunitId {
    format!("m{number}").parse().unwrap()
}

/// Seconds, so that claims run out within the range of moments.
fn at(moment: u8) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + 1000 * u64::from(moment))
}

fn input(munit: u8, what: &What) -> Input {
    let station = |number: u8| StationId::on(&id(munit), number.into());
    match what {
        What::Register(instance) => Input::Register(Registration {
            munit: id(munit),
            region: "local".into(),
            address: "local".into(),
            version: "1".into(),
            // Each as free as no other when it is empty.
            capacity: Capacity { stations: 10 + 10 * usize::from(munit), viewers: 5 },
            instance: instance.to_string(),
        }),
        What::Assign(number) => Input::Assign {
            station: station(*number),
            user: "ann".parse().unwrap(),
            room: "demo".parse().unwrap(),
        },
        What::Unassign(number) => Input::Unassign(station(*number)),
        What::Drain => Input::Drain { deadline: None, migrate: false },
        What::Revive => Input::Revive,
        What::Stop => Input::Stop { grace: Duration::ZERO },
        What::Lost => Input::Lost,
    }
}

/// Does one step; what came of it, without the revisions, which differ from store to store.
async fn take(store: &dyn Store, step: &Step) -> String {
    let commit = async |munit: u8, loaded: LoadedMunit, record, stale: bool| {
        let revision = Revision(loaded.revision.0 + u64::from(stale));
        let committed = store.commit_munit(&id(munit), revision, record).await.unwrap();
        (committed == Committed::Conflict).to_string()
    };
    match step {
        Step::Apply { munit, what, now, stale } => {
            let loaded = store.load_munit(&id(*munit)).await.unwrap();
            let decided = munit::apply(&id(*munit), loaded.record.as_deref(), at(*now), input(*munit, what));
            match decided {
                Decided::Put(record) => commit(*munit, loaded, Some(record), *stale).await,
                Decided::Same | Decided::Refused(_) => String::new(),
            }
        }
        Step::Remove { munit, stale } => {
            let loaded = store.load_munit(&id(*munit)).await.unwrap();
            commit(*munit, loaded, None, *stale).await
        }
        Step::Beat { munit, instance, at: moment, ready, stations, viewers } => {
            let load = Load { stations: (*stations).into(), viewers: (*viewers).into() };
            let beat = Beat { instance: instance.to_string(), at: at(*moment), ready: *ready, load };
            let revision = store.beat_munit(&id(*munit), &beat).await.unwrap();
            let loaded = store.load_munit(&id(*munit)).await.unwrap();
            assert_eq!(revision, loaded.record.is_some().then_some(loaded.revision));
            revision.is_some().to_string()
        }
        Step::Claim { now, before } => {
            let mut munits = store.claim_silent_munits(at(*now), at(*before)).await.unwrap();
            munits.sort();
            format!("{munits:?}")
        }
        Step::Candidates { limit } => {
            let found = store.candidates((*limit).into()).await.unwrap();
            let free: Vec<usize> = found.iter().map(|candidate| candidate.free).collect();
            format!("{free:?}")
        }
    }
}

/// All that can be read of the munits, in an order of its own where the store has none.
async fn all(store: &dyn Store) -> String {
    let mut all = String::new();
    for number in 0..MUNITS {
        let LoadedMunit { revision, record, beat } = store.load_munit(&id(number)).await.unwrap();
        assert_eq!(record.is_some(), revision != Revision::default());
        writeln!(all, "{record:?} {beat:?}").unwrap();
    }
    let mut munits = store.list_munits(None, 100).await.unwrap().munits;
    munits.sort();
    let mut candidates = store.candidates(100).await.unwrap();
    candidates.sort_by(|one, other| one.munit.cmp(&other.munit));
    writeln!(all, "{munits:?} {candidates:?}").unwrap();
    all
}

#[test]
fn memory_and_redis_answer_alike_of_munits() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let redis = Redis::start().unwrap();
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..80), |steps| {
        runtime.block_on(async {
            let mut server = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
            redis::cmd("FLUSHALL").exec(&mut server).unwrap();
            let memory: Arc<dyn Store> = mobz_store::open(None).await.unwrap();
            let real: Arc<dyn Store> = mobz_store::open(Some(&redis.url())).await.unwrap();
            for step in &steps {
                prop_assert_eq!(take(&*memory, step).await, take(&*real, step).await, "{:?}", step);
                prop_assert_eq!(all(&*memory).await, all(&*real).await, "after {:?}", step);
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
