//! How many placements a second one process decides with 5,000 munits, beside what the bare index costs.
//!
//! `cargo run --release -p mobz-store --example placement`; exit code 1 where it is fewer than
//! [`DECISIONS_MIN`] a second.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement tells its figures, or has failed"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{self, Capacity, Decided, Record, Wanted};
use mobz_core::placement::{CANDIDATES_MAX, choose};
use mobz_core::store::{Committed, Munits, Revision};
use mobz_core::time::Timestamp;
use mobz_store::MemoryStore;

const MUNITS: usize = 5_000;
/// How many stations each munit takes.
const STATIONS: usize = 100;
/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(2);
const DECISIONS_MIN: f64 = 100_000.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let store = MemoryStore::new();
    let mut index = BTreeSet::new();
    for number in 0..MUNITS {
        let record = record(number);
        index.insert((Reverse(record.capacity.stations), record.munit.clone()));
        let munit = record.munit.clone();
        store.commit_munit(&munit, Revision::default(), Some(Arc::new(record))).await.unwrap();
    }
    let has: Vec<MunitId> = index.iter().take(8).map(|(_, munit)| munit.clone()).collect();
    let mut dice = Dice(1);

    let floor = per_second(|| {
        let freest: Vec<_> = index.iter().take(CANDIDATES_MAX).cloned().collect();
        black_box(freest);
    });
    let (started, mut decided) = (Instant::now(), 0_u32);
    while started.elapsed() < SPAN {
        let candidates = store.candidates(CANDIDATES_MAX).await.unwrap();
        black_box(choose(&candidates, &has, &[], dice.roll())).unwrap();
        decided += 1;
    }
    let decisions = f64::from(decided) / started.elapsed().as_secs_f64();

    // With its commit: the station on the munit's record, the index in its new order.
    let (started, mut placed) = (Instant::now(), 0_u32);
    while started.elapsed() < SPAN && (placed as usize) < MUNITS * STATIONS {
        let candidates = store.candidates(CANDIDATES_MAX).await.unwrap();
        let munit = choose(&candidates, &has, &[], dice.roll()).unwrap();
        place(&store, munit, dice.roll()).await;
        placed += 1;
    }
    let placements = f64::from(placed) / started.elapsed().as_secs_f64();
    println!("with {MUNITS} munits, a second:");
    println!("  bare reads of the {CANDIDATES_MAX} freest from a BTreeSet  {floor:>10.0}");
    println!(
        "  decisions (candidates of the store, choice)    {decisions:>10.0}   {:.2} of the floor",
        decisions / floor
    );
    println!("  placements (decision, rules, commit)           {placements:>10.0}");
    if decisions < DECISIONS_MIN { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn per_second(mut one: impl FnMut()) -> f64 {
    let (started, mut times) = (Instant::now(), 0_u32);
    while started.elapsed() < SPAN {
        one();
        times += 1;
    }
    f64::from(times) / started.elapsed().as_secs_f64()
}

async fn place(store: &MemoryStore, munit: &MunitId, chance: u64) {
    let loaded = store.load_munit(munit).await.unwrap();
    let (user, room): (UserId, RoomId) = ("ann".parse().unwrap(), "demo".parse().unwrap());
    let assign = munit::Input::Assign { station: StationId::on(munit, chance), user, room };
    let now = Timestamp::from_millis(1_700_000_000_000);
    let Decided::Put(record) = munit::apply(munit, loaded.record.as_deref(), now, assign) else {
        unreachable!("the freest munit takes a station")
    };
    let committed = store.commit_munit(munit, loaded.revision, Some(record)).await.unwrap();
    assert!(matches!(committed, Committed::Done(_)));
}

fn record(number: usize) -> Record {
    Record {
        munit: format!("munit-{number:05}").parse().unwrap(),
        region: "local".into(),
        address: "127.0.0.1".into(),
        version: "1".into(),
        capacity: Capacity { stations: STATIONS + number % 7, viewers: 1000 },
        since: Timestamp::from_millis(1_700_000_000_000),
        instance: "a".into(),
        wanted: Wanted::Active,
        lost: false,
        stations: BTreeMap::new(),
    }
}

/// Xorshift (Marsaglia 2003), so that every run decides the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
