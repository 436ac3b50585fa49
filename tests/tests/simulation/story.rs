//! What happens: a random time of joins, drains, kills and faults; then everything is mended and left alone.

use std::sync::Arc;
use std::time::Duration;

use mobz_core::munit::{Input, Wanted};
use mobz_core::signal::MunitSignal;
use mobz_core::time::millis as as_millis;
use mobz_runtime::clock;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::chance::{between, happens, millis, pause, pick};
use crate::client::{Client, Order};
use crate::janus::Home;
use crate::log::{is_wrong, note};
use crate::process::Machine;
use crate::redis::{Faults, Redis};
use crate::world::World;

/// What kinds of trouble a seed has.
#[allow(clippy::struct_excessive_bools, reason = "each is a kind of its own, with or without the others")]
#[derive(Debug)]
struct Trouble {
    cuts: bool,
    outages: bool,
    kills: bool,
    janus: bool,
    drains: bool,
}

/// The random time.
pub(crate) async fn play(world: &Arc<World>) {
    let some = || happens(500);
    let trouble = Trouble { cuts: some(), outages: some(), kills: some(), janus: some(), drains: some() };
    let faults = Faults {
        late: between(1, 1 + 60 * u64::from(some())),
        unanswered: if some() { between(0, 20) } else { 0 },
        lost: if some() { between(0, 100) } else { 0 },
        twice: if some() { between(0, 50) } else { 0 },
        overtaken: if some() { between(0, 100) } else { 0 },
    };
    note!("{trouble:?} {faults:?}");
    world.redis.behave(faults);
    if trouble.janus {
        world.machines.values().for_each(|machine| machine.janus.hangs(between(0, 30)));
    }
    // Most mistakes show early: many short stories find more than few long ones in the same time.
    let most = if happens(100) { 90 } else { 20 };
    let until = Instant::now() + Duration::from_secs(between(5, most));
    let users = if world.is_crowded { 14 } else { between(2, 8) };
    while Instant::now() < until && !is_wrong() {
        pause(1, 1000).await;
        happen(world, &trouble, users).await;
    }
}

/// The end of all trouble. Draining munits drain on, or take stations again.
pub(crate) async fn mend(world: &Arc<World>) {
    note!("all is mended");
    world.redis.behave(Faults::NONE);
    world.redis.come_back();
    world.lives().iter().for_each(|life| world.redis.join(life));
    for machine in world.machines.values() {
        machine.janus.hangs(0);
        if machine.janus.home == Home::There && !machine.janus.is_there() {
            machine.janus.start();
        }
    }
    if happens(700) {
        for machine in world.machines.values() {
            change(world, machine, Input::Revive, MunitSignal::Revive).await;
        }
    }
}

/// Somebody comes to every room that is still there. Whoever was not told of the last change, as who made it
/// was killed or cut off before it told, sees by the version that something is missing.
pub(crate) fn witness(world: &Arc<World>) {
    for room in &world.rooms {
        let present = world.present();
        if present.iter().any(|client| client.room == *room) {
            note!("a witness comes to {room}");
            let client = Client::start(world, "witness", room.clone(), Some(false));
            world.clients.lock().unwrap().push(client);
        }
    }
}

async fn happen(world: &Arc<World>, trouble: &Trouble, users: u64) {
    let machines: Vec<_> = world.machines.values().cloned().collect();
    let machine = pick(&machines).unwrap();
    match between(0, 99) {
        0..=34 => arrive(world, users),
        35..=59 => ask_somebody(world),
        60..=69 if trouble.drains => operate(world, machine).await,
        70..=74 if trouble.cuts => cut(world),
        75..=78 if trouble.outages => outage(world),
        79..=85 if trouble.kills => kill(world, machine),
        86..=92 if trouble.janus => disturb(machine),
        _ => {}
    }
}

/// Somebody comes who is not there.
fn arrive(world: &Arc<World>, users: u64) {
    let room = pick(&world.rooms).unwrap().clone();
    let name = format!("u{}", between(1, users));
    let present = world.present();
    // One user may have a second connection, which takes the place of the first.
    let twice = happens(50);
    if twice || !present.iter().any(|client| client.user.as_str() == name && client.room == room) {
        let publish = if world.is_crowded {
            Some(true)
        } else {
            *pick(&[None, Some(true), Some(true), Some(false)]).unwrap()
        };
        note!("{name} comes to {room}, publish {publish:?}");
        let client = Client::start(world, &name, room, publish);
        world.clients.lock().unwrap().push(client);
    }
}

fn ask_somebody(world: &Arc<World>) {
    let present = world.present();
    let Some(client) = pick(&present) else { return };
    let other = || pick(&present).map(|other| other.user.clone());
    let order = match between(0, 9) {
        0 | 1 => Order::Leave,
        2 => Order::Drop,
        3 => Order::Vanish,
        4 | 5 => Order::Send(json!({ "type": "UpdateVideo", "video": happens(500) })),
        6 => Order::Send(json!({ "type": "PublishRequest" })),
        7 => Order::Send(json!({ "type": "Kick", "user": other() })),
        8 => {
            let watched = client.mind.lock().unwrap().watched();
            let Some(station) = pick(&watched) else { return };
            Order::Send(json!({ "type": "Unwatch", "station": station }))
        }
        _ => Order::Send(json!({ "type": "Sync" })),
    };
    note!("{} is to {order:?}", client.user);
    client.order(order);
}

/// An operator drains, revives or stops a munit.
async fn operate(world: &Arc<World>, machine: &Arc<Machine>) {
    let within = happens(300).then(|| millis(1000, 20_000));
    let deadline = within.map(|within| clock::now().after(within));
    let migrate = happens(500);
    let (input, signal) = match between(0, 9) {
        0..=4 => {
            let millis = deadline.map(mobz_core::time::Timestamp::as_millis);
            (Input::Drain { deadline, migrate }, MunitSignal::Drain { deadline: millis, migrate })
        }
        5..=8 => (Input::Revive, MunitSignal::Revive),
        _ => {
            let grace = millis(0, 10_000);
            (Input::Stop { grace }, MunitSignal::Stop { grace: Some(as_millis(grace)) })
        }
    };
    change(world, machine, input, signal).await;
}

async fn change(world: &Arc<World>, machine: &Arc<Machine>, input: Input, signal: MunitSignal) {
    note!("operator: {} {input:?}", machine.munit);
    match world.operator.change_munit(&machine.munit, input).await {
        Ok(Ok(())) => world.operator.wake_munit(&machine.munit, signal).await,
        Ok(Err(refusal)) => note!("refused: {}", refusal.message),
        Err(error) => note!("failed: {error}"),
    }
}

fn cut(world: &Arc<World>) {
    let lives = world.lives();
    let Some(life) = pick(&lives).cloned() else { return };
    let redis: Arc<Redis> = world.redis.clone();
    redis.cut(&life);
    tokio::spawn(async move {
        pause(300, 20_000).await;
        redis.join(&life);
    });
}

fn outage(world: &Arc<World>) {
    let redis = world.redis.clone();
    if redis.is_away() {
        return;
    }
    if happens(300) {
        return redis.lose_all();
    }
    redis.go_away();
    tokio::spawn(async move {
        pause(100, 30_000).await;
        if happens(500) {
            redis.lose_all();
        }
        redis.come_back();
    });
}

fn kill(world: &Arc<World>, machine: &Arc<Machine>) {
    let servers: Vec<_> = world.sites.iter().filter_map(|site| site.server()).collect();
    match between(0, 9) {
        0..=2 => {
            if let Some(server) = pick(&servers) {
                note!("{} is killed", server.life.name);
                server.life.kill();
            }
        }
        3..=4 => {
            if let Some(server) = pick(&servers) {
                note!("{} is to end", server.life.name);
                server.stop.cancel();
            }
        }
        5..=7 => machine.kill_regulator(),
        8 => {
            if let Some(regulator) = machine.regulator() {
                note!("{} is to end", regulator.life.name);
                regulator.stop.cancel();
            }
        }
        _ => {
            machine.kill_regulator();
            kill_janus(machine);
        }
    }
}

fn disturb(machine: &Arc<Machine>) {
    if happens(300) {
        kill_janus(machine);
    } else {
        machine.janus.break_line(millis(50, 5000));
    }
}

fn kill_janus(machine: &Arc<Machine>) {
    let janus = machine.janus.clone();
    janus.kill();
    if janus.home == Home::There {
        tokio::spawn(async move {
            sleep(millis(300, 10_000)).await;
            if !janus.is_there() {
                janus.start();
            }
        });
    }
}

/// Whether a munit shall have no stations by now, wherever else there is place for them.
pub(crate) fn shall_be_empty(wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Active | Wanted::Draining { deadline: None, migrate: false } => false,
        Wanted::Draining { .. } | Wanted::Stopped { .. } => true,
    }
}
