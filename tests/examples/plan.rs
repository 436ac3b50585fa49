//! How long `mobzctl plan` takes where nothing changes: issue 5. Against the stand-in for AWS, which answers at once or
//! after as long as AWS takes on the way. `tests/load/plan` builds and runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be measured is told by panicking")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use mobz_tests::Aws;

/// Measures `mobzctl plan` of an environment in which nothing changes
#[derive(Parser)]
struct Args {
    /// How often
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

/// How long each answer of AWS takes, and what the longest plan may take.
const CASES: [(Duration, &str); 2] = [(Duration::ZERO, "2 s"), (Duration::from_millis(100), "")];

fn main() {
    let args = Args::parse();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mobz.yaml"), "environment: demo\nturn:\n  count: 2\n").unwrap();
    let aws = Aws::start();
    for image in ["janus-media-server", "regulator", "signaling", "origin", "coturn"] {
        aws.has_image(&format!("demo/{image}"), env!("CARGO_PKG_VERSION"));
    }
    run(&aws, folder.path(), &["deploy", "--yes"]);
    println!("{:<34} {:>9} {:>9} {:>9}  wanted", "", "p50", "max", "requests");
    line("mobzctl --version", &times(args.rounds, || run(&aws, folder.path(), &["--version"])), "0", "");
    for (answer, wanted) in CASES {
        aws.answers_after(answer);
        let before = aws.requests();
        let took = times(args.rounds, || run(&aws, folder.path(), &["plan"]));
        let requests = ((aws.requests() - before) / args.rounds).to_string();
        line(&format!("plan, AWS answers after {} ms", answer.as_millis()), &took, &requests, wanted);
    }
}

fn run(aws: &Aws, folder: &Path, arguments: &[&str]) {
    let output = aws.mobzctl(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(arguments != ["plan"] || told.contains("nothing to change"), "{told}");
}

/// How long each of so many rounds took, the shortest first.
fn times(rounds: usize, mut round: impl FnMut()) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..rounds.max(1))
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn line(what: &str, times: &[Duration], requests: &str, wanted: &str) {
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    let (p50, max) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<34} {:>9} {:>9} {requests:>9}  {wanted}", ms(p50), ms(max));
}
