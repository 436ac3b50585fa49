//! One small world: nodes, munits, clients, and the store and network between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mobz_core::id::{MunitId, RoomId};
use mobz_core::munit::Capacity;
use mobz_core::settings::Settings;
use mobz_runtime::node::Node;

use crate::chance::{between, happens, pick};
use crate::client::Client;
use crate::janus::{Home, Peer};
use crate::life::Life;
use crate::link::Link;
use crate::mind::Media;
use crate::mistake::Mistake;
use crate::process::{Machine, Server, Site};
use crate::redis::Redis;

/// All there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) redis: Arc<Redis>,
    pub(crate) sites: Vec<Arc<Site>>,
    pub(crate) machines: BTreeMap<MunitId, Arc<Machine>>,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) clients: Mutex<Vec<Arc<Client>>>,
    /// What an operator's tool decides with.
    pub(crate) operator: Arc<Node>,
    /// Whether one room is to be filled beyond its limits.
    pub(crate) is_crowded: bool,
}

impl World {
    /// A world of a size that chance decides.
    pub(crate) fn begin(mistake: Option<Mistake>) -> Arc<Self> {
        let redis = Redis::new(mistake);
        let is_crowded = happens(80) || mistake == Some(Mistake::HidesPublishers);
        let site = |number: u64| Site::open(format!("n{number}"), &redis);
        let sites = (1..=between(1, 3)).map(site).collect();
        let machine = |number: u64| {
            let munit: MunitId = format!("m{number}").parse().unwrap();
            let stations = usize::try_from(between(1, if is_crowded { 9 } else { 5 })).unwrap();
            let capacity = Capacity { stations, viewers: 200 };
            (
                munit.clone(),
                Machine::open(munit, capacity, *pick(&[Home::There, Home::Own, Home::Kept]).unwrap(), &redis),
            )
        };
        let machines = (1..=between(1, 4)).map(machine).collect();
        let rooms = if is_crowded { 1 } else { between(1, 3) };
        let rooms = (1..=rooms).map(|number| format!("room{number}").parse().unwrap()).collect();
        let operator = Life::begin("operator".to_owned());
        let operator =
            Node::new("operator".parse().unwrap(), Settings::default(), Link::of(&redis, &operator));
        Arc::new(Self { redis, sites, machines, rooms, clients: Mutex::default(), operator, is_crowded })
    }

    /// A node that takes connections.
    pub(crate) fn some_server(&self) -> Option<Server> {
        let servers: Vec<Server> = self.sites.iter().filter_map(|site| site.server()).collect();
        pick(&servers).cloned()
    }

    /// The processes that run.
    pub(crate) fn lives(&self) -> Vec<Arc<Life>> {
        let nodes = self.sites.iter().filter_map(|site| Some(site.server()?.life));
        let regulators = self.machines.values().filter_map(|machine| Some(machine.regulator()?.life));
        nodes.chain(regulators).collect()
    }

    /// The clients that have not gone.
    pub(crate) fn present(&self) -> Vec<Arc<Client>> {
        let mut clients = self.clients.lock().unwrap();
        clients.retain(|client| !client.has_gone());
        clients.clone()
    }
}

impl Media for World {
    fn is_up(&self, peer: &Peer) -> bool {
        self.machines.get(&peer.munit).is_some_and(|machine| machine.janus.is_up(peer))
    }

    fn connects(&self, peer: &Peer) {
        if let Some(machine) = self.machines.get(&peer.munit) {
            machine.janus.connects(peer);
        }
    }

    fn closes(&self, peer: &Peer) {
        if let Some(machine) = self.machines.get(&peer.munit) {
            machine.janus.closes(peer);
        }
    }
}
