//! A regulator that begins with a Janus which has something already.

use std::time::Duration;

use mobz_core::id::StationId;
use mobz_core::munit::Assigned;

use super::{OFFER, OFFER_AGAIN, World, failed, has, room, station, streams, user};
use crate::opaque::{Opaque, Role};
use crate::plane::{Command, Effect, Handle, Input, Outcome, Seen, offer_session};

/// A handle as Janus tells it.
fn seen(handle: u64, role: Role, name: &str, up: bool) -> Seen {
    Seen {
        handle: Handle(handle),
        opaque: Opaque { role, room: room(), station: station(), user: user(name) },
        connected: true,
        up,
        session: offer_session(OFFER),
        streams: streams(true),
    }
}

#[test]
fn a_regulator_without_memory_takes_up_what_is_there() {
    let mut world = World::new();
    world.record(&[station()]);
    world.answer(&Command::Make(station()), Outcome::Done);
    let handles = vec![seen(2, Role::Watcher, "bob", true), seen(1, Role::Publisher, "ann", true)];
    let since = world.now;
    let unknown = StationId::on(&"m1".parse().unwrap(), 7);
    world.apply(Input::Seen { since, rooms: vec![station(), unknown.clone()], handles });
    world.answer(&Command::Destroy(unknown), Outcome::Done);
    assert_eq!((world.commands.len(), world.plane.load().viewers), (0, 1));
    world.publish(OFFER_AGAIN);
    let command = world.answers(failed(false));
    assert_eq!(command, Command::Renegotiate { handle: Handle(1), sdp: OFFER_AGAIN.into() });
    world.watch("cem");
    world.subscribed(3);
}

#[test]
fn what_is_asked_before_it_is_known_what_janus_has_waits_for_that() {
    let mut world = World::new();
    let assigned = Assigned { user: user("ann"), room: room(), at: world.now };
    let since = world.now.after(Duration::from_millis(1));
    world.apply(Input::TakeOver { since, stations: [(station(), assigned)].into() });
    world.answer(&Command::Make(station()), Outcome::Done);
    // One who was offered the station before, and one who was not.
    world.watch("bob");
    world.watch("cem");
    world.record(&[station()]);
    assert!(world.commands.is_empty() && world.told().is_empty(), "{:?}", world.commands);

    let handles = vec![seen(2, Role::Watcher, "bob", false), seen(1, Role::Publisher, "ann", true)];
    let since = world.now;
    world.apply(Input::Seen { since, rooms: vec![station()], handles });
    assert!(has(&world, |effect| *effect == Effect::Look), "what happened meanwhile was not heard");
    world.answer(&Command::Detach(Handle(2)), Outcome::Done);
    world.subscribed(3);
    world.subscribed(4);
    assert_eq!(world.told(), ["bob WatchAck 1", "cem WatchAck 2"]);
}

#[test]
fn a_publisher_that_came_up_unheard_is_offered_to_who_waits() {
    let mut world = World::assigned();
    world.publish(OFFER);
    world.published(1);
    world.watch("bob");
    world.told();
    let seen = seen(1, Role::Publisher, "ann", true);
    let since = world.now;
    world.apply(Input::Seen { since, rooms: vec![station()], handles: vec![seen] });
    world.subscribed(2);
    assert_eq!(world.told(), ["bob WatchAck 3"]);
}
