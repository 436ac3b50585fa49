//! `mobzctl load signaling`.

mod client;
mod crowd;
mod floor;
mod meter;
mod plan;
mod report;
mod sample;

use std::time::Duration;

use mobz_core::id::RoomId;
use mobz_core::room::Mode;
use tokio::time::{Instant, sleep};

use crate::args::load::Signaling;
use crate::commands::interrupted;
use crate::endpoint::{Place, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::wire::Joining;

use super::limits::{allow_files, check_remote};
use super::measure::get;
use super::process::Process;
use super::series::{Series, rate};
use client::{JOIN_ID, Seat};
use crowd::{Crowd, Order};
use floor::Floor;
use plan::Plan;
use report::{Measured, Memory, Report, Saturated, Steady};
use sample::{Sample, sampler};

/// How long all clients rest before memory is read.
const REST: Duration = Duration::from_secs(3);
/// How long one server is measured before it is the other's turn: drift of the machine hits both.
const ROUND: Duration = Duration::from_secs(2);
/// How long pairs send before their relays count.
const WARM_UP: Duration = Duration::from_millis(300);

/// Loads a signaling server and reports.
pub(super) async fn run(args: Signaling, place: &Where, output: &Output) -> Result<Exit> {
    let plan = Plan::new(&args)?;
    let place = Place::find(place)?;
    let url = place.signal_url(args.signal_url.as_deref())?;
    check_remote(&url, args.yes_remote)?;
    allow_files(u64::from(args.connections) * if args.floor { 2 } else { 1 }, "--connections")?;
    let process = Process::find(args.pid, |stack| stack.signal == url.as_str())?;
    let floor = if args.floor { Some(Floor::start().await?) } else { None };
    let mut sides = vec![Side::new(url.to_string(), process, &plan, &args)];
    sides.extend(floor.as_ref().map(|floor| Side::new(floor.url.clone(), Some(floor.process), &plan, &args)));
    let series = Series::start(output, "connecting", sampler(sides[0].crowd.shared.clone()));
    let began = jiff::Timestamp::now();
    let mut test = Test { args: &args, plan: &plan, place: &place, sides, series };
    let interrupted = interrupted()?;
    let whole = tokio::select! {
        done = test.conduct() => {
            done?;
            true
        }
        () = interrupted => {
            output.note("interrupted: this is what was measured until now");
            false
        }
    };
    let Test { sides, series, .. } = test;
    series.doing("leaving");
    let mut measured = Vec::new();
    for side in sides {
        measured.push(side.finish(&plan, whole).await);
    }
    let samples = series.samples();
    drop(series);
    let report = Report::new(&args, &plan, began, measured, samples);
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

/// A server under load, and what was measured of it.
struct Side {
    crowd: Crowd,
    process: Option<Process>,
    measured: Measured,
}

/// One run of the command.
struct Test<'a> {
    args: &'a Signaling,
    plan: &'a Plan,
    place: &'a Place,
    sides: Vec<Side>,
    series: Series<Sample>,
}

impl Test<'_> {
    async fn conduct(&mut self) -> Result<()> {
        let run = format!("{:08x}", rand::random::<u32>());
        for side in &mut self.sides {
            self.series.doing("joining");
            let empty = side.process.and_then(Process::memory);
            let place = self.place;
            let mode = self.plan.mode;
            let join = |seat: &mut Seat| {
                seat.join = joining(&run, mode, seat)?.signal(place, JOIN_ID, None)?;
                Ok(())
            };
            let took = side.crowd.gather(self.plan.connections, self.args.rate, join).await?;
            side.measured.gathered(took, &side.crowd.shared.meter);
            self.series.doing("resting");
            sleep(REST).await;
            side.measured.memory = side.memory(empty);
        }
        let rounds = self.args.duration.as_millis().div_ceil(ROUND.as_millis()).max(1);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let length = self.args.duration / rounds;
        if self.args.messages_per_second > 0 {
            self.series.doing("steady");
            let every = Duration::from_secs(1) * self.plan.senders / self.args.messages_per_second;
            for round in 0..rounds {
                for index in self.turns(round) {
                    self.sides[index].steady(every, length).await;
                }
            }
        }
        if self.args.saturate || self.args.floor {
            self.series.doing("saturated");
            let order = Order::Saturate { pairs: self.args.pairs as usize, window: self.args.window };
            for round in 0..rounds {
                for index in self.turns(round) {
                    self.sides[index].saturate(order, length).await;
                }
            }
        }
        Ok(())
    }

    /// Whose turn it is in a round: each is first as often as the other.
    fn turns(&self, round: u32) -> Vec<usize> {
        let mut turns: Vec<usize> = (0..self.sides.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        turns
    }
}

impl Side {
    fn new(url: String, process: Option<Process>, plan: &Plan, args: &Signaling) -> Self {
        let crowd = Crowd::new(url.clone(), plan.mode, args.message_bytes as usize, plan.rooms);
        Self { crowd, process, measured: Measured { url, asked: plan.connections, ..Measured::default() } }
    }

    fn memory(&self, empty: Option<u64>) -> Option<Memory> {
        let idle_bytes = self.process?.memory()?;
        let empty_bytes = empty?;
        let connections = get(&self.crowd.shared.meter.connections).max(1);
        let per_connection_bytes = idle_bytes.saturating_sub(empty_bytes) / connections;
        Some(Memory { pid: self.process?.pid, empty_bytes, idle_bytes, per_connection_bytes })
    }

    async fn steady(&mut self, every: Duration, length: Duration) {
        let meter = &self.crowd.shared.meter;
        meter.relay.round();
        let (relays, begun) = (get(&meter.relays), Instant::now());
        self.crowd.order(Order::Steady { every });
        sleep(length).await;
        let relays_per_second = rate(get(&meter.relays) - relays, begun.elapsed().as_secs_f64());
        self.crowd.settle().await;
        self.measured.steady.push(Steady { relays_per_second, relay_ms: meter.relay.round() });
    }

    async fn saturate(&mut self, order: Order, length: Duration) {
        let meter = &self.crowd.shared.meter;
        let cpu = || self.process.and_then(Process::cpu);
        self.crowd.order(order);
        sleep(WARM_UP).await;
        let (relays, used, begun) = (get(&meter.relays), cpu(), Instant::now());
        sleep(length).await;
        let (relays, passed) = (get(&meter.relays) - relays, begun.elapsed().as_secs_f64());
        let used = used.zip(cpu()).map(|(before, after)| after.saturating_sub(before).as_secs_f64());
        self.crowd.settle().await;
        self.measured.saturated.push(Saturated {
            relays_per_second: rate(relays, passed),
            cpu_micros_per_relay: used.map(|used| used * 1e6 / relays.max(1) as f64),
        });
    }

    async fn finish(self, plan: &Plan, whole: bool) -> Measured {
        let Self { crowd, mut measured, .. } = self;
        let shared = crowd.shared.clone();
        crowd.settle().await;
        measured.finished(&shared.meter, plan, whole);
        crowd.disperse().await;
        measured.errors = shared.meter.errors.by_code();
        measured
    }
}

/// Who joins which room in this run.
fn joining(run: &str, mode: Mode, seat: &Seat) -> Result<Joining> {
    let failed = |why: String| Failure::failed("cannot name a room", why, "report this as a bug");
    let room: RoomId =
        format!("load-{run}-{}", seat.room).parse().map_err(|error| failed(format!("{error}")))?;
    let user = seat.user.parse().map_err(|error| failed(format!("{error}")))?;
    let publish = Some(mode == Mode::P2p || seat.chair == 0);
    Ok(Joining { room, mode, user: Some(user), name: None, publish })
}
