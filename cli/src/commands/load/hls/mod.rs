//! `mobzctl load hls`.

mod clock;
mod find;
mod meter;
mod playback;
mod publish;
mod report;
mod sample;
mod tail;
mod viewer;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::{WHAT, allow_files, check_remote};
use super::measure::get;
use super::process::Process;
use super::series::Series;
use crate::args::load::Hls;
use crate::commands::hls::tail as follow;
use crate::commands::interrupted;
use crate::endpoint::Where;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

use clock::{Clock, Source};
use find::Found;
use meter::Meter;
use publish::{Publisher, read_clock};
use report::{Client, Counts, Report, Server};
use sample::{Sample, sampler};
use tail::{Readings, path_of};
use viewer::Shared;

/// How long a stream that this test publishes may take to be there.
const STREAM_MAX: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after the last viewer came all must play; it is measured then in any case.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// How long viewers play before it is measured: their first parts came in a burst.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long all viewers may take to leave before they are dropped.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Loads a stream and reports.
pub(super) async fn run(args: Hls, place: &Where, output: &Output) -> Result<Exit> {
    if args.publish.is_some() && args.source.contains("://") {
        let why = format!("{} is a URL, and this tool publishes to rooms", args.source);
        return Err(Failure::usage(WHAT, why, "name the room, or leave --publish out and use --clock"));
    }
    allow_files(u64::from(args.viewers) * if args.http2 || args.saturate { 1 } else { 2 }, "--viewers")?;
    let mut publisher =
        args.publish.as_deref().map(|file| Publisher::start(&args, file, place)).transpose()?;
    let done = conduct(&args, place, publisher.as_mut(), output).await;
    if let Some(publisher) = publisher {
        publisher.end().await;
    }
    let report = done?;
    output.document(&report, |output| report.table(output))?;
    if !report.errors.is_empty() {
        return Err(Failure::failed(
            "the load test met errors",
            report.errors_line(),
            "see the server's log; `errors` in --output json counts them by code",
        ));
    }
    Ok(Exit::Done)
}

async fn conduct(
    args: &Hls,
    place: &Where,
    mut publisher: Option<&mut Publisher>,
    output: &Output,
) -> Result<Report> {
    let (url, found) = find(args, place, publisher.as_deref_mut()).await?;
    let process = Process::find(args.pid, |stack| is_of(&url, &stack.origin))?;
    let is_told = publisher.is_some() || args.clock.is_some();
    let clock = Arc::new(Clock::new(if is_told { Source::Publisher } else { Source::Capture }));
    if let Some(publisher) = publisher {
        publisher.tell(clock.clone());
    } else if let Some(path) = &args.clock {
        read_clock(path, clock.clone()).await?;
    }
    let shared = Arc::new(Shared {
        server: found.server,
        multivariant: found.multivariant,
        media: path_of(&found.url),
        readings: Readings::new(found.url),
        takes_hints: args.hints,
        clock,
        meter: Meter::default(),
        stop: CancellationToken::new(),
    });
    let peak = Arc::new(AtomicU64::new(0));
    let report = Report::new(args, url.to_string(), shared.clock.source, &shared.meter);
    let series = Series::start(output, "coming", sampler(shared.clone(), process, peak.clone()));
    let mut test = Test { args, shared, process, peak, series, report, viewers: JoinSet::new() };
    let interrupted = interrupted()?;
    tokio::select! {
        () = test.conduct() => {}
        () = interrupted => output.note("interrupted: this is what was measured until now"),
    }
    Ok(test.finish().await)
}

/// The stream's URL and what is there; waited for where this test publishes it.
async fn find(args: &Hls, place: &Where, mut publisher: Option<&mut Publisher>) -> Result<(Url, Found)> {
    let room = follow::room("load", &args.source, place).await?;
    let deadline = Instant::now() + STREAM_MAX;
    loop {
        let found = async {
            let url = follow::find("load", &args.source, room.as_ref()).await?;
            check_remote(&url, args.yes_remote)?;
            let found = Found::at(&url, args).await?;
            Ok::<_, Failure>((url, found))
        };
        let failure = match found.await {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        let Some(publisher) = &mut publisher else { return Err(failure) };
        if publisher.has_ended() || Instant::now() > deadline {
            return Err(failure);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn is_of(url: &Url, origin: &str) -> bool {
    origin.parse::<Url>().is_ok_and(|origin| origin.origin() == url.origin())
}

/// One run of the command.
struct Test<'a> {
    args: &'a Hls,
    shared: Arc<Shared>,
    process: Option<Process>,
    /// The most memory the server had.
    peak: Arc<AtomicU64>,
    series: Series<Sample>,
    report: Report,
    viewers: JoinSet<()>,
}

/// What had been used and counted when it began to be measured.
struct Begun {
    at: Instant,
    counts: Counts,
    server: Option<Duration>,
    client: Option<Duration>,
}

impl Test<'_> {
    async fn conduct(&mut self) {
        let memory_before = self.process.and_then(Process::memory);
        self.gather().await;
        self.series.doing("settling");
        let deadline = Instant::now() + SETTLE_MAX;
        while get(&self.shared.meter.playing) < u64::from(self.args.viewers) && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
        sleep(WARM_UP).await;
        self.series.doing(if self.args.saturate { "saturated" } else { "steady" });
        let begun = self.begin();
        sleep(self.args.duration).await;
        self.measure(&begun, memory_before);
    }

    /// Lets the viewers come, evenly.
    async fn gather(&mut self) {
        let began = Instant::now();
        for number in 0..self.args.viewers {
            sleep_until(began + self.args.ramp * number / self.args.viewers).await;
            let shared = self.shared.clone();
            if self.args.saturate {
                self.viewers.spawn(viewer::fetch_all(shared, number as usize));
            } else {
                self.viewers.spawn(viewer::watch(shared));
            }
        }
    }

    fn begin(&mut self) -> Begun {
        let meter = &self.shared.meter;
        self.report.playing = get(&meter.playing);
        // What was timed until now is thrown away.
        self.report.timed(meter, &self.shared.clock);
        Begun {
            at: Instant::now(),
            counts: Counts::of(meter),
            server: self.process.and_then(Process::cpu),
            client: own().cpu(),
        }
    }

    fn measure(&mut self, begun: &Begun, memory_before: Option<u64>) {
        let seconds = begun.at.elapsed().as_secs_f64();
        let used = |before: Option<Duration>, after: Option<Duration>| {
            before.zip(after).map(|(before, after)| after.saturating_sub(before).as_secs_f64())
        };
        let server = used(begun.server, self.process.and_then(Process::cpu));
        let client = used(begun.client, own().cpu()).unwrap_or_default();
        self.report.seconds = seconds;
        self.report.counts = Counts::of(&self.shared.meter).since(begun.counts);
        self.report.timed(&self.shared.meter, &self.shared.clock);
        self.report.client =
            Client { cpu_cores: client / seconds, memory_bytes: own().memory().unwrap_or_default() };
        if let (Some(Process { pid }), Some(memory_before_bytes), Some(server)) =
            (self.process, memory_before, server)
        {
            self.report.server = Some(Server {
                pid,
                memory_before_bytes,
                memory_peak_bytes: get(&self.peak).max(memory_before_bytes),
                cpu_cores: server / seconds,
                cpu_micros_per_viewer_second: server * 1e6 / seconds / f64::from(self.args.viewers),
                cpu_micros_per_part: server * 1e6 / self.report.counts.parts().max(1) as f64,
            });
        }
    }

    async fn finish(mut self) -> Report {
        self.series.doing("leaving");
        self.shared.stop.cancel();
        let all = async { while self.viewers.join_next().await.is_some() {} };
        // Those that are left are dropped with the set.
        let _ = timeout(LEAVE_MAX, all).await;
        self.report.errors = self.shared.meter.errors.by_code();
        self.report.series = self.series.samples();
        self.report
    }
}

/// This process.
fn own() -> Process {
    Process { pid: std::process::id() }
}
