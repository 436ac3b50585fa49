//! What a plane makes of what it did not hear.

use super::*;

fn seen(up: bool) -> Seen {
    Seen {
        handle: Handle(1),
        opaque: Opaque { role: Role::Publisher, room: room(), station: station(), user: user("ann") },
        connected: true,
        up,
        session: offer_session(OFFER),
        streams: streams(false),
    }
}

#[test]
fn media_that_began_unheard_are_offered_once_they_are_seen() {
    let mut world = World::assigned();
    world.publish(OFFER);
    world.published(1);
    world.watch("bob");
    assert!(world.commands.is_empty(), "nothing flows yet");

    let look = |world: &mut World, up| {
        let since = world.now;
        world.apply(Input::Seen { since, rooms: vec![station()], handles: vec![seen(up)] });
    };
    look(&mut world, false);
    assert!(world.commands.is_empty());
    look(&mut world, true);
    world.subscribed(2);
    look(&mut world, true);
    assert!(world.commands.iter().all(|(_, command)| !matches!(command, Command::Subscribe { .. })));
}

#[test]
fn an_offer_for_a_station_that_no_record_has_is_told_to_its_room() {
    let mut world = World::new();
    world.publish(OFFER);
    world.record(&[]);
    assert!(has(&world, |effect| *effect == Effect::Lost { station: station(), room: room() }));
    assert_eq!(world.told(), ["ann Error no_such_station 1"]);
}

#[test]
fn what_was_published_unheard_is_found_although_the_next_offer_is_on_its_way() {
    let mut world = World::assigned();
    world.publish(OFFER);
    world.answers(failed(true));
    world.publish(OFFER_OF_ANOTHER);
    let look = |world: &mut World| {
        world.effects.clear();
        let since = world.now;
        world.apply(Input::Seen { since, rooms: vec![station()], handles: vec![seen(false)] });
    };
    look(&mut world);
    world.answers(failed(false));
    assert!(has(&world, |effect| *effect == Effect::Look), "the handle is nobody's yet");
    look(&mut world);
    world.publish(OFFER_OF_ANOTHER);
    world.answer(&Command::Detach(Handle(1)), Outcome::Done);
    world.published(2);
}
