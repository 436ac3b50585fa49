//! What the plane says that it holds.

use mobz_core::id::StationId;
use mobz_core::signal::{Detail, Holding, MunitSignal, REPORT_MAX, Report};

use super::{World, room, station, user};
use crate::plane::{Effect, Examining, Handle};

/// Asks for all, and takes what follows.
fn reported(world: &mut World, detail: Detail) -> Vec<Effect> {
    world.effects.clear();
    world.ask(None, MunitSignal::Report { stations: Vec::new(), after: None, detail });
    std::mem::take(&mut world.effects)
}

fn known(effects: &[Effect]) -> Report {
    let [Effect::Ack { ack, .. }] = effects else { panic!("no acknowledgement alone: {effects:?}") };
    *ack.ok.clone().unwrap().report.unwrap()
}

fn examining(effects: Vec<Effect>) -> Examining {
    let [Effect::Examine(examining)] = <[Effect; 1]>::try_from(effects).unwrap() else { panic!("no report") };
    *examining
}

fn number(number: u64) -> StationId {
    StationId::on(&"m1".parse().unwrap(), number)
}

#[test]
fn what_is_held_is_told_with_who_watches_and_janus_is_not_asked() {
    let mut world = World::watched();
    let report = known(&reported(&mut world, Detail::Known));
    let of = Some((room(), user("ann")));
    let holding = Holding { of, viewers: 1, ..Holding::default() };
    assert_eq!(report, Report { stations: [(station(), holding)].into(), more: false });
    assert!(world.commands.is_empty());
}

#[test]
fn what_janus_is_asked_names_the_handles_of_publisher_and_watchers() {
    let mut world = World::watched();
    let examining = examining(reported(&mut world, Detail::Viewers));
    let known = &examining.known[&station()];
    assert_eq!((known.publisher, known.watchers[0].handle), (Some(Handle(1)), Handle(2)));
    assert_eq!(known.watchers[0].user, user("bob"));
    assert_eq!((examining.reply_to.as_str(), examining.detail), ("r", Detail::Viewers));
}

#[test]
fn rooms_of_janus_that_nobody_knows_are_held_and_missing_ones_are_not_made() {
    let mut world = World::watched();
    let (held, more) = examining(reported(&mut world, Detail::Rooms)).beside([number(7)]);
    assert!(!more);
    assert_eq!(held[&station()].holding.made, Some(false));
    let stray = Holding { made: Some(true), ..Holding::default() };
    assert_eq!(held[&number(7)].holding, stray);
}

#[test]
fn a_long_report_comes_in_pages() {
    let mut world = World::new();
    let all: Vec<StationId> = (0..=REPORT_MAX as u64).map(number).collect();
    world.record(&all);
    let report = known(&reported(&mut world, Detail::Known));
    assert_eq!((report.stations.len(), report.more), (REPORT_MAX, true));
    let after = report.stations.keys().next_back().cloned();
    world.effects.clear();
    world.ask(None, MunitSignal::Report { stations: Vec::new(), after, detail: Detail::Known });
    let rest = known(&world.effects);
    assert_eq!((rest.stations.len(), rest.more), (1, false));
    let (held, more) = examining(reported(&mut world, Detail::Rooms)).beside(all);
    assert_eq!((held.len(), more), (REPORT_MAX, true));
}

#[test]
fn only_what_is_asked_for_is_told() {
    let mut world = World::watched();
    world.effects.clear();
    let asked = MunitSignal::Report { stations: vec![number(9)], after: None, detail: Detail::Known };
    world.ask(None, asked);
    assert_eq!(known(&world.effects), Report::default());
}

#[test]
fn to_reconcile_is_to_look_at_the_record_and_at_janus() {
    let mut world = World::live();
    world.effects.clear();
    world.ask(None, MunitSignal::Reconcile);
    assert!(world.effects.contains(&Effect::ReadRecord) && world.effects.contains(&Effect::Look));
}
