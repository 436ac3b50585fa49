//! Signaling, Redis and munits, each a process of its own, as in production.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

use mobz_tests::{Janus, Process, Redis, SOON, Signal, Stack, eventually, mobzctl};
use serde_json::Value;

/// The first UDP port of media, and how many each munit has.
const RTP_FIRST: u16 = 20_000;
const RTP_PORTS: u16 = 400;
/// How many munits have ports of their own; their places are taken again after that.
const PLACES: u16 = 50;

/// All of it; ended when dropped.
pub(crate) struct Site {
    pub(crate) redis: Redis,
    pub(crate) stack: Stack,
    pub(crate) munits: Vec<Munit>,
    /// Whether regulators start their Janus.
    spawns: bool,
    killed: Vec<Process>,
}

/// Janus and its regulator.
pub(crate) struct Munit {
    pub(crate) id: String,
    ports: RangeInclusive<u16>,
    /// `None` where the regulator has started one itself.
    janus: Option<Janus>,
    regulator: Process,
}

impl Site {
    pub(crate) async fn start(munits: usize, spawns: bool) -> Self {
        let redis = Redis::start().unwrap();
        let stack = Stack::signaling(&redis.url(), &[]).await;
        let mut site = Self { redis, stack, munits: Vec::new(), spawns, killed: Vec::new() };
        for _ in 0..munits {
            site.add().await;
        }
        site
    }

    /// One more munit, once it takes stations.
    pub(crate) async fn add(&mut self) {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("m{}", number + 1);
        let ports = ports(number % PLACES);
        let janus = if self.spawns { None } else { Some(Janus::start_on(ports.clone()).await) };
        let regulator = regulator(&id, janus.as_ref(), &ports, &self.redis);
        self.munits.push(Munit { id: id.clone(), ports, janus, regulator });
        self.is("active", &id).await;
    }

    /// Waits until a munit is in this state.
    pub(crate) async fn is(&self, state: &str, munit: &str) {
        let what = format!("munit {munit} is {state}");
        eventually(&what, async || (self.munit(munit).await["state"] == state).then_some(())).await;
    }

    /// A munit, as the control API tells it; null where there is none.
    pub(crate) async fn munit(&self, id: &str) -> Value {
        self.stack.api().try_get(&format!("/v1/munits/{id}")).await.unwrap_or_default()
    }

    /// Another munit than this.
    pub(crate) fn other(&self, id: &str) -> String {
        self.munits.iter().find(|munit| munit.id != id).unwrap().id.clone()
    }

    /// A munit takes stations again.
    pub(crate) async fn revive(&self, id: &str) {
        self.operate(&["revive", id]).await;
        self.is("active", id).await;
    }

    /// `mobzctl munit VERB ID… --yes …`, until it has exited; it must exit with 0.
    pub(crate) fn operate(&self, arguments: &[&str]) -> impl Future<Output = ()> + Send + use<> {
        let mut command = self.stack.mobzctl();
        command.arg("munit").args(arguments).arg("--yes");
        let what = arguments.join(" ");
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn place(&mut self, id: &str) -> &mut Munit {
        self.munits.iter_mut().find(|munit| munit.id == id).unwrap()
    }

    /// Kills the regulator, and starts it again as who supervises it does.
    pub(crate) fn kill_regulator(&mut self, id: &str) {
        let at = self.munits.iter().position(|munit| munit.id == id).unwrap();
        let munit = &mut self.munits[at];
        munit.regulator.signal(Signal::KILL);
        munit.regulator.wait(SOON);
        let next = regulator(&munit.id, munit.janus.as_ref(), &munit.ports, &self.redis);
        let killed = std::mem::replace(&mut munit.regulator, next);
        // What a killed one has started goes on; its guard would end it.
        self.killed.push(killed);
    }

    /// Kills Janus, and nothing else.
    pub(crate) async fn kill_janus(&mut self, id: &str) {
        self.place(id).janus.as_ref().unwrap().kill().await;
    }

    /// Kills Janus and its regulator: nobody is left to say anything.
    pub(crate) async fn kill_munit(&mut self, id: &str) {
        let munit = self.place(id);
        munit.regulator.signal(Signal::KILL);
        munit.janus.as_ref().unwrap().kill().await;
        munit.regulator.wait(SOON);
        self.munits.retain(|munit| munit.id != id);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Killed, they would leave their Janus to those who follow.
        for munit in self.munits.iter_mut().filter(|munit| munit.janus.is_none()) {
            munit.regulator.signal(Signal::TERM);
            munit.regulator.wait(SOON);
        }
    }
}

fn regulator(id: &str, janus: Option<&Janus>, ports: &RangeInclusive<u16>, redis: &Redis) -> Process {
    let mut command = mobzctl();
    command.args(["launch", "regulator", "--munit", id, "--redis", &redis.url()]);
    if let Some(janus) = janus {
        command.args(["--janus", &janus.url(), "--janus-admin", &janus.admin_url()]);
        command.arg("--janus-admin-secret-file").arg(janus.secret_file());
    } else {
        let ports = format!("{}-{}", ports.start(), ports.end());
        command.args(["--spawn-janus", "--rtp-ports", &ports]);
        command.env("XDG_RUNTIME_DIR", redis.directory());
    }
    Process::start(&mut command)
}

fn ports(place: u16) -> RangeInclusive<u16> {
    let first = RTP_FIRST + place * RTP_PORTS;
    first..=first + RTP_PORTS - 1
}

/// The munit a station is on: its id says so.
pub(crate) fn munit_of(station: &str) -> String {
    let station: mobz_core::id::StationId = station.parse().unwrap();
    station.munit().unwrap().to_string()
}
