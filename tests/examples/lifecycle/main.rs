//! The life cycle of munits under live calls, measured from the pictures that come to the viewers: issue 4.
//! Real Janus, real Redis, every daemon a process of its own. `tests/load/lifecycle` runs it where media can flow.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be measured is told by panicking")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]
#![allow(clippy::large_futures, reason = "each runs once")]

mod call;
mod cases;
mod figures;
mod person;
mod site;

use std::time::{Duration, Instant};

use clap::Parser;
use tokio::task::LocalSet;

use crate::cases::CASES;
use crate::figures::Table;
use crate::site::Site;

/// Measures what draining, moving, killing and losing munits does to live calls
#[derive(Parser)]
struct Args {
    /// How often each case is done, in a row
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// For how many seconds Redis is gone
    #[arg(long, default_value_t = 120)]
    outage: u64,
    /// How often Redis is taken away
    #[arg(long, default_value_t = 1)]
    outages: u32,
    /// Only these cases
    #[arg(value_name = "CASE", value_parser = CASES.map(|case| case.name))]
    only: Vec<String>,
}

#[tokio::main]
async fn main() {
    LocalSet::new().run_until(measure(Args::parse())).await;
}

async fn measure(args: Args) {
    let mut table = Table::default();
    for case in CASES {
        if !args.only.is_empty() && !args.only.iter().any(|name| name == case.name) {
            continue;
        }
        let rounds = if case.name == "redis" { args.outages } else { args.rounds };
        let outage = Duration::from_secs(args.outage);
        let began = Instant::now();
        // A task: what panics in it is told, and the next case goes on.
        let done = tokio::task::spawn_local(async move {
            let mut site = Site::start(case.munits, case.spawns).await;
            let mut figures = Vec::new();
            for round in 1..=rounds {
                let found = (case.round)(&mut site, format!("{}-{round}", case.name), outage).await;
                println!("{} {round}/{rounds}: {}", case.name, figures::line(&found));
                figures.push(found);
            }
            figures
        });
        match done.await {
            Ok(rounds) => table.add(case.name, rounds),
            Err(error) => table.failed(case.name, &error),
        }
        println!("{} took {:.0} s", case.name, began.elapsed().as_secs_f64());
    }
    table.print();
}
