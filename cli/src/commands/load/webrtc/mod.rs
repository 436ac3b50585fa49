//! `mobzctl load webrtc`.

mod address;
mod client;
mod feed;
mod floor;
mod link;
mod media;
mod meter;
mod plan;
mod report;
mod sample;
mod sdp;
mod servers;
mod source;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mobz_core::id::RoomId;
use mobz_core::room::Mode;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::{allow_files, check_remote};
use super::process::Process;
use super::series::Series;
use crate::args::load::Webrtc;
use crate::commands::interrupted;
use crate::endpoint::{Place, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::wire::Joining;

use client::{JOIN_ID, Seat, Shared};
use floor::Floor;
use media::Media;
use meter::{Meter, Number};
use plan::Plan;
use report::{Client, Counts, Report};
use sample::{Sample, sampler};
use servers::Servers;
use source::Rates;

/// How long after the last of them came all must publish, and all feeds flow; it goes on in any case.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long all feeds flow before it is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long all clients may take to leave before they are dropped.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// Loads group calls and reports.
pub(super) async fn run(args: Webrtc, place: &Where, output: &Output) -> Result<Exit> {
    let plan = Plan::new(&args)?;
    let place = Place::find(place)?;
    let url = place.signal_url(args.signal_url.as_deref())?;
    check_remote(&url, args.yes_remote)?;
    let links = plan.feeds() + plan.publishers;
    allow_files((plan.publishers + plan.viewers + Media::sockets(links)) as u64, "--viewers")?;
    let servers = Arc::new(Servers::find(&args.pid, url.as_str())?);
    let meter = Arc::<Meter>::default();
    let stop = CancellationToken::new();
    let address = address::find(args.media_address, &url)?;
    let media = Media::open(address, links, rates(&args), &meter, &stop).await?;
    let report = Report::new(&args, url.to_string(), plan);
    let series = Series::start(output, "coming", sampler(meter.clone(), servers.clone()));
    let shared = Arc::new(Shared { url, media, meter, trickle: args.trickle, stop });
    let run = format!("{:08x}", rand::random::<u32>());
    let clients = JoinSet::new();
    let mut test = Test { args: &args, plan, place: &place, run, shared, servers, series, report, clients };
    let interrupted = interrupted()?;
    let conducted = tokio::select! {
        done = test.conduct() => done,
        () = interrupted => {
            output.note("interrupted: this is what was measured until now");
            Ok(())
        }
    };
    let report = test.finish().await;
    conducted?;
    output.document(&report, |output| report.table(output))?;
    if report.has_errors() {
        return Err(Failure::failed(
            "the load test met errors",
            report.errors_line(),
            "see the server's log; `errors` in --output json counts them by code",
        ));
    }
    Ok(Exit::Done)
}

fn rates(args: &Webrtc) -> Rates {
    let sound_every = (args.audio_ms > 0).then(|| Duration::from_millis(args.audio_ms.into()));
    Rates { bits: u64::from(args.kbits) * 1000, fps: args.fps, sound_every }
}

/// One run of the command.
struct Test<'a> {
    args: &'a Webrtc,
    plan: Plan,
    place: &'a Place,
    /// Its rooms' names have it in them.
    run: String,
    shared: Arc<Shared>,
    servers: Arc<Servers>,
    series: Series<Sample>,
    report: Report,
    clients: JoinSet<()>,
}

impl Test<'_> {
    async fn conduct(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let (publishers, viewers) = (self.plan.publishers, self.plan.viewers);
        if self.args.viewers_first {
            self.gather("viewers come", viewers, false).await?;
            until(&shared.meter.joined, viewers).await;
            self.gather("publishers come", publishers, true).await?;
        } else {
            self.gather("publishers come", publishers, true).await?;
            until(&shared.meter.publishing, publishers).await;
            self.gather("viewers come", viewers, false).await?;
        }
        self.series.doing("settling");
        until(&shared.meter.publishing, publishers).await;
        until(&shared.meter.flowing, self.plan.feeds()).await;
        sleep(WARM_UP).await;
        self.series.doing("steady");
        self.measure().await;
        if self.args.floor {
            self.series.doing("floor");
            let seat = self.seat(0, false, "floor")?;
            let mut floor = Floor::begin(&shared.url, &seat, self.args.janus.as_deref()).await?;
            floor.measure(self.args.duration).await?;
            self.report.compared(floor.finish().await);
        }
        Ok(())
    }

    /// Lets so many clients come, evenly.
    async fn gather(&mut self, doing: &'static str, count: usize, publishes: bool) -> Result<()> {
        self.series.doing(doing);
        let began = tokio::time::Instant::now();
        for number in 0..count {
            sleep_until(began + self.args.ramp.mul_f64(number as f64 / count as f64)).await;
            let user = format!("{}{number}", if publishes { "p" } else { "v" });
            let seat = self.seat(self.plan.room_of(number), publishes, &user)?;
            self.clients.spawn(client::run(seat, self.shared.clone()));
        }
        Ok(())
    }

    fn seat(&self, room: usize, publishes: bool, user: &str) -> Result<Seat> {
        let failed = |why: String| Failure::failed("cannot name a room", why, "report this as a bug");
        let room: RoomId =
            format!("load-{}-{room}", self.run).parse().map_err(|error| failed(format!("{error}")))?;
        let id = user.parse().map_err(|error| failed(format!("{error}")))?;
        let joining = Joining { room, mode: Mode::M2m, user: Some(id), name: None, publish: Some(publishes) };
        let join = joining.signal(self.place, JOIN_ID, None)?;
        Ok(Seat { user: user.to_owned(), publishes, join })
    }

    async fn measure(&mut self) {
        let own = Process { pid: std::process::id() };
        let meter = &self.shared.meter;
        self.report.begin(meter);
        let (begun, counts) = (Instant::now(), Counts::of(meter));
        let (servers, client) = (self.servers.cpu(), own.cpu().unwrap_or_default());
        sleep(self.args.duration).await;
        let seconds = begun.elapsed().as_secs_f64();
        let used = own.cpu().unwrap_or_default().saturating_sub(client);
        let client = Client {
            cpu_cores: used.as_secs_f64() / seconds,
            memory_bytes: own.memory().unwrap_or_default(),
        };
        self.report.measured(meter, counts, seconds, self.servers.used(&servers, seconds), client);
    }

    async fn finish(mut self) -> Report {
        self.series.doing("leaving");
        self.shared.stop.cancel();
        let all = async { while self.clients.join_next().await.is_some() {} };
        // Those that are left are dropped with the set.
        if timeout(LEAVE_MAX, all).await.is_err() {
            self.shared.meter.errors.count("leave: no end");
        }
        self.report.finished(&self.shared.meter, self.series.samples());
        self.report
    }
}

/// Waits until it is so many, [`SETTLE_MAX`] at most: then what is missing is found out by what follows.
async fn until(number: &Number, count: usize) {
    let enough = async {
        while number.get() < count as u64 {
            sleep(LOOK_EVERY).await;
        }
    };
    drop(timeout(SETTLE_MAX, enough).await);
}
