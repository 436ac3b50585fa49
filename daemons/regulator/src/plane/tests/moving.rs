//! Stations that move from munit to munit.

use mobz_core::id::StationId;
use mobz_core::signal::MunitSignal;

use super::{World, has, station, user};
use crate::plane::migrate::OVERLAP;
use crate::plane::{Effect, Event};

#[test]
fn a_moved_publishers_viewers_are_handed_over_before_the_station_goes() {
    let mut world = World::watched();
    let to = StationId::on(&"m2".parse().unwrap(), 1);
    world.ask(None, MunitSignal::HandOver { station: station(), to: to.clone() });
    let watch = MunitSignal::Watch { station: to, inline: false, replaces: Some(station()) };
    assert!(has(&world, |effect| matches!(effect, Effect::Signal { munit, signal, from }
        if munit.as_str() == "m2" && *signal == watch && from.user == user("bob"))));
    let retires = |effect: &Effect| matches!(effect, Effect::Retire { .. });
    assert!(!has(&world, retires));
    world.ask(Some("bob"), MunitSignal::Unwatch { station: station() });
    assert!(has(&world, retires));
}

#[test]
fn a_viewer_lets_the_old_station_go_once_the_new_ones_media_flow() {
    let mut world = World::live();
    let old = StationId::on(&"m2".parse().unwrap(), 1);
    let replaces = Some(old.clone());
    world.ask(Some("bob"), MunitSignal::Watch { station: station(), inline: false, replaces });
    world.subscribed(2);
    assert_eq!(world.told(), ["bob WatchAck 3"]);
    world.event(2, Event::Up);
    let unwatch = MunitSignal::Unwatch { station: old };
    let lets_go = |effect: &Effect| matches!(effect, Effect::Signal { munit, signal, .. } if munit.as_str() == "m2" && *signal == unwatch);
    world.passes(OVERLAP / 2);
    assert!(!has(&world, lets_go), "until the first key frame has come, there is only the old one to show");
    world.passes(OVERLAP);
    assert!(has(&world, lets_go));
}
