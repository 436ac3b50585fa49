//! The processes of the world: signaling nodes and regulators, started again after they end, as an
//! orchestrator does.

use std::sync::{Arc, Mutex};

use mobz_core::id::MunitId;
use mobz_core::munit::Capacity;
use mobz_core::settings::Settings;
use mobz_regulator::{Munit, serve};
use mobz_runtime::node::Node;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::chance::pause;
use crate::janus::{Door, Home, Janus};
use crate::life::Life;
use crate::link::Link;
use crate::log::{note, wrong};
use crate::redis::Redis;

/// A signaling node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) node: Arc<Node>,
    pub(crate) life: Arc<Life>,
    /// Ends it as SIGTERM does.
    pub(crate) stop: CancellationToken,
}

/// A place where a signaling node runs, one after another.
#[derive(Debug)]
pub(crate) struct Site {
    name: String,
    redis: Arc<Redis>,
    now: Mutex<Option<Server>>,
}

impl Site {
    pub(crate) fn open(name: String, redis: &Arc<Redis>) -> Arc<Self> {
        let site = Arc::new(Self { name, redis: redis.clone(), now: Mutex::default() });
        tokio::spawn(site.clone().keep());
        site
    }

    /// The node that takes connections here.
    pub(crate) fn server(&self) -> Option<Server> {
        let now = self.now.lock().unwrap();
        now.clone().filter(|server| !server.life.is_dead() && !server.stop.is_cancelled())
    }

    async fn keep(self: Arc<Self>) {
        for number in 1.. {
            let life = Life::begin(format!("{}.{number}", self.name));
            let store = Link::of(&self.redis, &life);
            let node = Node::new(life.name.parse().unwrap(), Settings::default(), store);
            let stop = CancellationToken::new();
            *self.now.lock().unwrap() =
                Some(Server { node: node.clone(), life: life.clone(), stop: stop.clone() });
            note!("{} starts", life.name);
            let run = tokio::spawn(node.run(stop));
            let ended = tokio::select! {
                biased;
                () = life.dead.cancelled() => None,
                ended = run => Some(ended),
            };
            note!("{} ends: {ended:?}", life.name);
            life.kill();
            pause(200, 5000).await;
        }
    }
}

/// A regulator process that runs.
#[derive(Clone, Debug)]
pub(crate) struct Regulator {
    pub(crate) life: Arc<Life>,
    /// Ends it as SIGTERM does.
    pub(crate) stop: CancellationToken,
    task: AbortHandle,
}

/// A machine with a Janus, whose regulator runs again whenever it has ended.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) munit: MunitId,
    pub(crate) capacity: Capacity,
    pub(crate) janus: Arc<Janus>,
    redis: Arc<Redis>,
    now: Mutex<Option<Regulator>>,
}

impl Machine {
    pub(crate) fn open(munit: MunitId, capacity: Capacity, home: Home, redis: &Arc<Redis>) -> Arc<Self> {
        let janus = Janus::new(munit.clone(), home, redis.mistake);
        let (redis, now) = (redis.clone(), Mutex::default());
        let machine = Arc::new(Self { munit, capacity, janus, redis, now });
        tokio::spawn(machine.clone().keep());
        machine
    }

    pub(crate) fn regulator(&self) -> Option<Regulator> {
        self.now.lock().unwrap().clone().filter(|now| !now.life.is_dead())
    }

    /// `kill -9` of the regulator, and of a Janus that is its child.
    pub(crate) fn kill_regulator(&self) {
        if let Some(regulator) = self.regulator() {
            note!("{} is killed", regulator.life.name);
            regulator.life.kill();
            regulator.task.abort();
            self.bereave();
        }
    }

    /// The regulator is gone.
    fn bereave(&self) {
        match self.janus.home {
            Home::Own => self.janus.kill(),
            Home::There | Home::Kept => self.janus.abandoned(),
        }
    }

    async fn keep(self: Arc<Self>) {
        for number in 1.. {
            let life = Life::begin(format!("{}.{number}", self.munit));
            let store = Link::of(&self.redis, &life);
            let munit = Munit {
                id: self.munit.clone(),
                region: "nowhere".to_owned(),
                address: "nowhere".to_owned(),
                capacity: self.capacity,
                janus: Arc::new(Door { janus: self.janus.clone(), life: life.clone() }),
            };
            let stop = CancellationToken::new();
            let (ready, _) = oneshot::channel();
            note!("{} starts", life.name);
            let task = tokio::spawn(serve(munit, store, None, ready, stop.clone()));
            let abort = task.abort_handle();
            *self.now.lock().unwrap() = Some(Regulator { life: life.clone(), stop, task: abort });
            match task.await {
                Ok(ended) => note!("{} ends: {ended:?}", life.name),
                Err(error) if error.is_cancelled() => {}
                Err(error) => wrong(format!("{} panicked: {error}", life.name)),
            }
            life.kill();
            self.bereave();
            pause(200, 8000).await;
        }
    }
}
