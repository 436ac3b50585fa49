//! A client: a task that joins over one node after another, hears, and sends what its mind says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mobz_core::id::{Address, RoomId, UserId};
use mobz_core::room::{Grants, Input, Joining, Mode, resume_secret};
use mobz_core::signal::{ClientSignal, ServerSignal, parse};
use mobz_runtime::clock;
use mobz_runtime::hub::{Connection, Outbound};
use mobz_runtime::node::Ended;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::chance::{happens, pause};
use crate::log::{note, wrong};
use crate::mind::Mind;
use crate::process::Server;
use crate::world::World;

/// How long a Join is waited for.
const JOIN_MAX: Duration = Duration::from_secs(12);
/// How often a client looks at its media.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a client is to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Leave,
    /// The connection breaks, and its node notices at once.
    Drop,
    /// The connection breaks, and its node notices late.
    Vanish,
    Send(Value),
}

/// A client, as others see it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) user: UserId,
    pub(crate) room: RoomId,
    pub(crate) mind: Mutex<Mind>,
    /// The connection it has joined over.
    pub(crate) seat: Mutex<Option<Address>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// How a connection came to its end.
#[derive(Debug)]
enum End {
    Left,
    Kicked,
    Refused(String),
    Broken,
}

impl Client {
    /// Goes to its room, and stays until it is told otherwise.
    pub(crate) fn start(world: &Arc<World>, name: &str, room: RoomId, publish: Option<bool>) -> Arc<Self> {
        let (orders, taken) = mpsc::unbounded_channel();
        let mind = Mutex::new(Mind::new(name.to_owned(), publish));
        let user = name.parse().unwrap();
        let client = Arc::new(Self { user, room, mind, seat: Mutex::default(), orders });
        tokio::spawn(client.clone().live(world.clone(), taken));
        client
    }

    pub(crate) fn order(&self, order: Order) {
        // Who has gone takes none.
        drop(self.orders.send(order));
    }

    pub(crate) fn has_gone(&self) -> bool {
        self.orders.is_closed()
    }

    async fn live(self: Arc<Self>, world: Arc<World>, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let Some(server) = world.some_server() else {
                pause(200, 400).await;
                continue;
            };
            let end = self.stay(&world, &server, &mut orders).await;
            *self.seat.lock().unwrap() = None;
            note!("{} is off {}: {end:?}", self.user, server.life.name);
            match end {
                End::Left => break,
                End::Kicked => {
                    self.mind.lock().unwrap().forget(&*world);
                    if happens(500) {
                        break;
                    }
                    pause(500, 5000).await;
                }
                End::Refused(code) if code == "resume_failed" => self.mind.lock().unwrap().forget(&*world),
                End::Refused(code) if code == "room_full" => break,
                End::Refused(_) => pause(500, 2000).await,
                End::Broken => pause(1, 2000).await,
            }
        }
        self.mind.lock().unwrap().forget(&*world);
    }

    async fn stay(
        self: &Arc<Self>,
        world: &Arc<World>,
        server: &Server,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> End {
        let connection = server.node.hub().connect();
        let (queue, waiting) = mpsc::unbounded_channel();
        let sending = tokio::spawn(self.clone().send_all(server.clone(), connection.clone(), waiting));
        drop(queue.send(json!({ "type": "Join", "id": "join" })));
        let since = Instant::now();
        let mut look = since + LOOK_EVERY;
        let mut vanishes = false;
        let end = loop {
            let joined = self.seat.lock().unwrap().is_some();
            if !joined && since.elapsed() > JOIN_MAX {
                break End::Broken;
            }
            tokio::select! {
                biased;
                () = server.life.dead.cancelled() => {
                    pause(1, 1000).await;
                    break End::Broken;
                }
                batch = connection.next() => {
                    for outbound in &batch.texts {
                        let signal = serde_json::from_slice(&outbound.text).unwrap();
                        if let Some(end) = self.hear(world, server, &connection, &signal) {
                            return self.off(server, connection, sending, end, false);
                        }
                    }
                    if batch.close.is_some() {
                        break End::Broken;
                    }
                }
                order = orders.recv() => match order {
                    Some(Order::Send(signal)) => drop(self.mind.lock().unwrap().ask(signal)),
                    Some(Order::Leave) => break End::Left,
                    Some(Order::Vanish) => {
                        vanishes = true;
                        break End::Broken;
                    }
                    Some(Order::Drop) | None => break End::Broken,
                },
                () = sleep_until(look) => {
                    look = Instant::now() + LOOK_EVERY;
                    if joined {
                        self.mind.lock().unwrap().act(&**world);
                    }
                }
            }
            let mut mind = self.mind.lock().unwrap();
            if mind.is_out {
                // It comes back with what it remembers, or afresh.
                mind.is_out = false;
                break End::Broken;
            }
            for signal in mind.take() {
                drop(queue.send(signal));
            }
        };
        self.off(server, connection, sending, end, vanishes)
    }

    /// Hears one signal; the end of the connection, if it is that.
    fn hear(&self, world: &World, server: &Server, connection: &Connection, signal: &Value) -> Option<End> {
        note!("{} hears {signal}", self.user);
        if signal["type"] == "Kick" {
            return Some(End::Kicked);
        }
        if signal["re"] == "join" {
            if signal["type"] == "Error" {
                return Some(End::Refused(signal["code"].as_str().unwrap().to_owned()));
            }
            *self.seat.lock().unwrap() = Some(server.node.address(connection.id()));
        }
        self.mind.lock().unwrap().hear(signal, world);
        None
    }

    fn off(
        &self,
        server: &Server,
        connection: Arc<Connection>,
        sending: tokio::task::JoinHandle<()>,
        end: End,
        vanishes: bool,
    ) -> End {
        drop(self.mind.lock().unwrap().take());
        if server.life.is_dead() {
            sending.abort();
            return end;
        }
        let (node, life, user) = (server.node.clone(), server.life.clone(), self.user.clone());
        let ended = if matches!(end, End::Left) { Ended::Cleanly } else { Ended::Lost };
        tokio::spawn(async move {
            if vanishes {
                pause(5000, 29000).await;
            }
            // What was sent before the end is done before it.
            drop(sending.await);
            life.lives().await;
            note!("{} notices that {user} is gone", life.name);
            node.disconnect(&connection, ended).await;
        });
        end
    }

    /// Hands its signals to the node, one after another, as the node's connection does.
    async fn send_all(
        self: Arc<Self>,
        server: Server,
        connection: Arc<Connection>,
        mut waiting: mpsc::UnboundedReceiver<Value>,
    ) {
        let address = server.node.address(connection.id());
        while let Some(signal) = waiting.recv().await {
            pause(0, 20).await;
            note!("{} sends {signal}", self.user);
            let re = signal["id"].as_str().map(str::to_owned);
            let input = if signal["type"] == "Join" {
                Input::Join(Box::new(self.joining(address.clone())))
            } else if let ClientSignal::Room(signal) = parse(&signal.to_string()).unwrap().signal {
                Input::Signal { user: self.user.clone(), address: address.clone(), signal, re: re.clone() }
            } else {
                wrong(format!("{} sends {signal}", self.user));
                continue;
            };
            if let Err(error) = server.node.submit(&self.room, input).await {
                let refusal: ServerSignal = error.refusal().into();
                connection.push(Outbound::news(refusal.to_json(re.as_deref())));
            }
        }
    }

    fn joining(&self, address: Address) -> Joining {
        let mind = self.mind.lock().unwrap();
        Joining {
            address,
            user: self.user.clone(),
            name: None,
            grants: Grants::USUAL,
            mode: Some(Mode::M2m),
            publish: mind.publish,
            resume: mind.resume.clone(),
            secret: resume_secret(&self.user, clock::random()),
            re: Some("join".to_owned()),
        }
    }
}
