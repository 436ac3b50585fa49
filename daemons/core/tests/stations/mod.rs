//! m2m signals as the room decides them: what goes to which munit, and who is refused with which code.

use mobz_core::id::{MunitId, StationId};
use mobz_core::room::{Effect, Effects, Grants, Input, Mode, ParticipantType};
use mobz_core::signal::{
    Code, Description, IceCandidate, Moved, MunitSignal, Reasoned, RoomSignal, ServerSignal, SimulcastUpdate,
    StationOnly, UpdateVideo, Watch,
};

use crate::world::{Act, World, munit, user};

const ANN: usize = 0;
const BOB: usize = 1;
const CEM: usize = 2;

/// Ann publishes on m0; Bob and Cem are viewers.
fn call() -> World {
    let mut world = World::new(Mode::M2m);
    world.join(ANN, Some(true), Grants::USUAL).unwrap();
    world.join(BOB, Some(false), Grants::USUAL).unwrap();
    world.join(CEM, Some(false), Grants::USUAL).unwrap();
    publish(&mut world, ANN);
    world
}

/// Offers, and is placed.
fn publish(world: &mut World, who: usize) -> Effects {
    world.act(Act::Offer { who });
    world.act(Act::Place { takes: true }).remove(0)
}

fn send(world: &mut World, who: usize, signal: RoomSignal) -> Effects {
    let input = world.signal(who, signal);
    world.apply(input)
}

/// What munits are told on behalf of participants.
fn asked(effects: &Effects) -> Vec<(MunitId, MunitSignal, Option<String>)> {
    let asked = effects.list.iter().filter_map(|effect| match effect {
        Effect::Munit { munit, signal, from: Some(from) } => {
            Some((munit.clone(), signal.clone(), from.re.clone()))
        }
        _ => None,
    });
    asked.collect()
}

/// What munits are told that nobody waits for.
fn told(effects: &Effects) -> Vec<(MunitId, MunitSignal)> {
    let told = effects.list.iter().filter_map(|effect| match effect {
        Effect::Munit { munit, signal, from: None } => Some((munit.clone(), signal.clone())),
        _ => None,
    });
    told.collect()
}

fn refused(effects: &Effects) -> Option<Code> {
    effects.list.iter().find_map(|effect| match effect {
        Effect::Send { signal: ServerSignal::Error { code, .. }, .. } => Some(*code),
        _ => None,
    })
}

fn news(effects: &Effects) -> Vec<&ServerSignal> {
    let news = effects.list.iter().filter_map(|effect| match effect {
        Effect::Tell { signal, .. } => Some(signal),
        _ => None,
    });
    news.collect()
}

fn unassigned(effects: &Effects) -> Vec<StationId> {
    let gone = effects.list.iter().filter_map(|effect| match effect {
        Effect::Unassign(station) => Some(station.clone()),
        _ => None,
    });
    gone.collect()
}

fn watch(station: Option<&StationId>, whom: Option<usize>) -> RoomSignal {
    RoomSignal::Watch(Watch { station: station.cloned(), user: whom.map(user) })
}

fn candidate(station: Option<&StationId>) -> IceCandidate {
    let station = station.cloned();
    IceCandidate { candidate: None, sdp_mid: None, sdp_m_line_index: None, to: None, station }
}

fn answer(station: Option<&StationId>) -> RoomSignal {
    RoomSignal::Answer(Description { sdp: "v=0".into(), to: None, station: station.cloned() })
}

#[test]
fn a_first_offer_is_placed_then_published_and_everyone_hears_of_the_station() {
    let mut world = call();
    world.act(Act::PublishAccept { who: ANN, whom: BOB });

    let placing = world.act(Act::Offer { who: BOB }).remove(0);
    assert!(placing.change.is_empty(), "nothing is changed before a munit has it");
    assert_eq!(world.placing[0].room_has, [munit(0)], "so that a room's stations are spread");
    let placed = world.act(Act::Place { takes: true }).remove(0);

    let station = world.station(BOB).unwrap();
    let (assign, publish) = (told(&placed), asked(&placed));
    assert!(
        matches!(&assign[..], [(_, MunitSignal::Assign { station: assigned, .. })] if *assigned == station)
    );
    let [(at, MunitSignal::Publish { sdp, video: true, audio: true, .. }, re)] = &publish[..] else {
        panic!("{publish:?}")
    };
    assert_eq!((Some(at.clone()), sdp.as_str(), re.as_deref()), (station.munit(), "v=0", Some("2")));
    let [ServerSignal::PublishListChangeAck { publishers, added, removed, moved, version }] =
        news(&placed)[..]
    else {
        panic!("{placed:?}")
    };
    assert!(added.is_empty() && removed.is_empty() && moved.is_empty(), "the set is the same");
    assert_eq!(publishers[1].station.as_ref(), Some(&station));
    assert_eq!(Some(*version), world.version());
    assert_eq!(world.participant(&user(BOB)).unwrap().offer_until, None);
    assert_eq!(placed.events.iter().map(|event| event.name).collect::<Vec<_>>(), ["station.assigned"]);
}

#[test]
fn another_offer_goes_to_the_station_that_is_there() {
    let mut world = call();
    let station = world.station(ANN).unwrap();

    let again = world.act(Act::Offer { who: ANN }).remove(0);

    assert!(again.change.is_empty() && world.placing.is_empty());
    let asked = asked(&again);
    assert!(matches!(&asked[..], [(_, MunitSignal::Publish { station: its, .. }, _)] if *its == station));
}

#[test]
fn two_first_offers_at_once_make_one_station() {
    let mut world = World::new(Mode::M2m);
    world.join(ANN, Some(true), Grants::USUAL).unwrap();
    world.act(Act::Offer { who: ANN });
    world.act(Act::Offer { who: ANN });

    world.act(Act::Place { takes: true });
    let first = world.station(ANN).unwrap();
    let second = world.act(Act::Place { takes: true }).remove(0);

    assert_eq!(world.station(ANN), Some(first.clone()));
    assert_eq!(unassigned(&second).len(), 1);
    let asked = asked(&second);
    assert!(matches!(&asked[..], [(_, MunitSignal::Publish { station, .. }, _)] if *station == first));
}

#[test]
fn who_is_gone_or_no_publisher_any_more_when_it_is_placed_keeps_no_station() {
    let mut world = call();
    world.act(Act::PublishAccept { who: ANN, whom: BOB });
    world.act(Act::Offer { who: BOB });
    world.act(Act::Wait { seconds: 31 });
    let late = world.act(Act::Place { takes: true }).remove(0);
    assert_eq!((unassigned(&late).len(), refused(&late)), (1, Some(Code::NotPublisher)));

    world.act(Act::PublishAccept { who: ANN, whom: CEM });
    world.act(Act::Offer { who: CEM });
    world.join(CEM, Some(true), Grants::USUAL).unwrap();
    let replaced = world.act(Act::Place { takes: true }).remove(0);
    assert_eq!((unassigned(&replaced).len(), refused(&replaced)), (1, Some(Code::NotJoined)));
    assert_eq!(world.station(CEM), None, "a participation that joined again offers for itself");
}

#[test]
fn a_viewer_offers_and_mutes_nothing() {
    let mut world = call();
    let offer = world.act(Act::Offer { who: BOB }).remove(0);
    assert_eq!(refused(&offer), Some(Code::NotPublisher));
    let mute = world.act(Act::UpdateVideo { who: BOB, video: false }).remove(0);
    assert_eq!(refused(&mute), Some(Code::NotPublisher));
}

#[test]
fn what_a_viewer_asks_of_a_station_goes_to_its_munit() {
    let mut world = call();
    let station = world.station(ANN).unwrap();
    let layer = SimulcastUpdate { station: station.clone(), substream: 1, temporal: Some(2) };
    let (its, inline, replaces) = (station.clone(), false, None);
    let expected = [
        (watch(Some(&station), None), MunitSignal::Watch { station: its.clone(), inline, replaces: None }),
        (watch(None, Some(ANN)), MunitSignal::Watch { station: its.clone(), inline, replaces }),
        (answer(Some(&station)), MunitSignal::Answer { station: its.clone(), sdp: "v=0".into() }),
        (
            RoomSignal::IceCandidate(candidate(Some(&station))),
            MunitSignal::Candidate { station: its.clone(), candidate: candidate(None) },
        ),
        (
            RoomSignal::SimulcastUpdate(layer),
            MunitSignal::Layer { station: its.clone(), substream: 1, temporal: Some(2) },
        ),
        (
            RoomSignal::Unwatch(StationOnly { station: station.clone() }),
            MunitSignal::Unwatch { station: its },
        ),
    ];
    for (signal, expected) in expected {
        let effects = send(&mut world, BOB, signal);
        assert!(effects.change.is_empty());
        assert_eq!(asked(&effects), [(munit(0), expected, Some("2".to_owned()))]);
    }
}

#[test]
fn a_publishers_candidate_needs_no_station_named() {
    let mut world = call();
    let effects = send(&mut world, ANN, RoomSignal::IceCandidate(candidate(None)));
    let station = world.station(ANN).unwrap();
    let expected = MunitSignal::Candidate { station, candidate: candidate(None) };
    assert_eq!(asked(&effects), [(munit(0), expected, Some("2".to_owned()))]);
    let nobodys = send(&mut world, BOB, RoomSignal::IceCandidate(candidate(None)));
    assert_eq!(refused(&nobodys), Some(Code::NoSuchStation));
}

#[test]
fn media_signals_are_refused_by_the_code_that_says_why() {
    let mut world = call();
    let blind = Grants { watch: false, ..Grants::USUAL };
    world.join(3, Some(false), blind).unwrap();
    world.join(4, Some(true), Grants::USUAL).unwrap();
    let station = world.station(ANN).unwrap();
    let elsewhere = StationId::on(&munit(0), 77);
    let layer =
        |station: &StationId| SimulcastUpdate { station: station.clone(), substream: 0, temporal: None };
    let cases = [
        (BOB, watch(Some(&elsewhere), None), Code::NoSuchStation),
        (BOB, watch(None, Some(4)), Code::NoSuchStation),
        (BOB, watch(None, Some(CEM)), Code::NoSuchStation),
        (BOB, watch(None, Some(99)), Code::NoSuchUser),
        (BOB, watch(Some(&station), Some(CEM)), Code::NoSuchStation),
        (3, watch(Some(&station), None), Code::Forbidden),
        (ANN, watch(Some(&station), None), Code::Forbidden),
        (BOB, answer(None), Code::BadSignal),
        (BOB, answer(Some(&elsewhere)), Code::NoSuchStation),
        (BOB, RoomSignal::IceCandidate(candidate(Some(&elsewhere))), Code::NoSuchStation),
        (BOB, RoomSignal::Unwatch(StationOnly { station: elsewhere.clone() }), Code::NoSuchStation),
        (BOB, RoomSignal::SimulcastUpdate(layer(&elsewhere)), Code::NoSuchStation),
    ];
    for (who, signal, code) in cases {
        let effects = send(&mut world, who, signal.clone());
        assert_eq!(refused(&effects), Some(code), "{signal:?}");
        assert!(asked(&effects).is_empty() && effects.change.is_empty());
    }
    for mode in [Mode::P2p, Mode::P2m] {
        let mut other = World::new(mode);
        other.join(ANN, None, Grants::USUAL).unwrap();
        let only = StationOnly { station: elsewhere.clone() };
        let layer = layer(&elsewhere);
        for signal in
            [watch(Some(&elsewhere), None), RoomSignal::Unwatch(only), RoomSignal::SimulcastUpdate(layer)]
        {
            assert_eq!(refused(&send(&mut other, ANN, signal)), Some(Code::ModeMismatch));
        }
    }
}

#[test]
fn flags_mute_the_station_as_they_tell_the_room() {
    let mut world = call();
    let update = UpdateVideo { video: Some(false), audio: None };
    let effects = send(&mut world, ANN, RoomSignal::UpdateVideo(update));
    let station = world.station(ANN).unwrap();
    assert_eq!(told(&effects), [(munit(0), MunitSignal::Mute { station, video: false, audio: true })]);
    let [ServerSignal::UpdateVideo { video: false, audio: true, .. }] = news(&effects)[..] else {
        panic!("{effects:?}")
    };
}

#[test]
fn who_joins_is_brought_the_offers_of_others_and_who_resumes_is_not() {
    let mut world = call();
    let station = world.station(ANN).unwrap();
    let brought = |effects: &Effects| {
        effects.list.iter().find_map(|effect| match effect {
            Effect::Enter { watch, .. } => Some(watch.clone()),
            _ => None,
        })
    };
    let joins = world.act(Act::Join { who: 5, publish: None, grants: 0 }).remove(0);
    assert_eq!(brought(&joins), Some(vec![station]));
    let resumes = world.act(Act::Resume { who: 5 }).remove(0);
    assert_eq!(brought(&resumes), Some(Vec::new()));
    let again = world.act(Act::Join { who: ANN, publish: None, grants: 0 }).remove(0);
    assert_eq!(brought(&again), Some(Vec::new()), "not one's own");
}

#[test]
fn whoever_goes_takes_its_station_along_and_is_forgotten_where_it_watched() {
    let gone = [
        Act::Leave { who: BOB },
        Act::TimedOut { who: BOB },
        Act::Kick { who: ANN, whom: BOB },
        Act::Remove { whom: BOB },
        Act::Join { who: BOB, publish: Some(false), grants: 0 },
    ];
    for act in gone {
        let mut world = call();
        world.act(Act::PublishAccept { who: ANN, whom: BOB });
        publish(&mut world, BOB);
        let station = world.station(BOB).unwrap();
        let effects = world.act(act.clone()).remove(0);
        assert_eq!(unassigned(&effects), [station], "{act:?}");
        let forget = MunitSignal::Forget { room: "demo".parse().unwrap(), user: user(BOB) };
        assert_eq!(told(&effects), [(munit(0), forget)], "{act:?}");
    }
    let mut world = call();
    world.act(Act::Lost { who: BOB });
    let effects = world.act(Act::Wait { seconds: 16 }).remove(0);
    assert!(matches!(&told(&effects)[..], [(_, MunitSignal::Forget { .. })]), "{effects:?}");
}

#[test]
fn a_closed_room_leaves_no_station() {
    let mut world = call();
    let station = world.station(ANN).unwrap();
    let effects = world.apply(Input::Close);
    assert_eq!(unassigned(&effects), [station]);
    assert!(world.assigned.is_empty());
}

#[test]
fn a_lost_station_is_told_to_everyone_and_its_publisher_is_placed_again() {
    let mut world = call();
    let station = world.station(ANN).unwrap();
    let effects = world.apply(Input::StationLost { station: station.clone(), retry: true });
    let [
        ServerSignal::StationLost { retry: true, .. },
        ServerSignal::PublishListChangeAck { publishers, .. },
    ] = news(&effects)[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(publishers[0].station, None);
    assert_eq!(unassigned(&effects), *std::slice::from_ref(&station));
    let again = world.apply(Input::StationLost { station: station.clone(), retry: true });
    assert!(again.list.is_empty() && again.change.is_empty(), "once is enough");

    publish(&mut world, ANN);
    assert!(world.station(ANN).is_some_and(|now| now != station));
}

#[test]
fn a_moved_publisher_has_both_stations_until_the_old_one_has_done_its_work() {
    let mut world = call();
    let from = world.station(ANN).unwrap();
    world.act(Act::Move { who: ANN });
    assert_eq!(world.placing[0].apart_from, [munit(0)]);
    let moved = world.act(Act::Place { takes: true }).remove(0);
    let to = world.station(ANN).unwrap();
    assert_ne!(from.munit(), to.munit());
    let [ServerSignal::PublishListChangeAck { moved: told, .. }] = news(&moved)[..] else {
        panic!("{moved:?}")
    };
    assert_eq!(*told, [Moved { user: user(ANN), from: from.clone(), to: to.clone() }]);

    let answered = send(&mut world, BOB, answer(Some(&from)));
    assert_eq!(asked(&answered).len(), 1, "watchers of the old one go on");
    let offered = world.act(Act::Offer { who: ANN }).remove(0);
    let offered = asked(&offered);
    assert!(matches!(&offered[..], [(_, MunitSignal::Publish { station, .. }, _)] if *station == to));
    let muted = world.act(Act::UpdateVideo { who: ANN, video: false }).remove(0);
    assert_eq!(told_mutes(&muted), [to.clone(), from.clone()]);

    let version = world.version();
    let retired = world.act(Act::Retire { who: ANN }).remove(0);
    assert_eq!((unassigned(&retired), news(&retired).len()), (vec![from], 0));
    assert_eq!((world.station(ANN), world.version()), (Some(to), version));
}

fn told_mutes(effects: &Effects) -> Vec<StationId> {
    let mutes = told(effects).into_iter().filter_map(|(_, signal)| match signal {
        MunitSignal::Mute { station, .. } => Some(station),
        _ => None,
    });
    mutes.collect()
}

#[test]
fn a_move_that_leads_nowhere_ends_by_itself_and_the_publisher_offers_again() {
    let mut world = call();
    let from = world.station(ANN).unwrap();
    world.act(Act::Move { who: ANN });
    world.act(Act::Place { takes: true });
    let over = world.act(Act::Wait { seconds: 31 }).remove(0);
    assert_eq!(unassigned(&over), [from]);
    assert!(matches!(news(&over)[..], [ServerSignal::StationLost { retry: true, .. }]), "{over:?}");
    assert!(world.station(ANN).is_some());
}

#[test]
fn a_station_that_is_not_there_or_moves_already_is_not_moved() {
    let mut world = call();
    let nowhere = StationId::on(&munit(0), 99);
    let refused = world.apply(Input::Move { station: nowhere, to: None });
    assert_eq!(refused.refused.map(|refusal| refusal.code), Some(Code::NoSuchStation));
    world.act(Act::Move { who: ANN });
    world.act(Act::Place { takes: true });
    world.act(Act::Move { who: ANN });
    assert!(world.placing.is_empty());
}

#[test]
fn an_accepted_viewer_publishes_without_the_grant() {
    let mut world = call();
    let watcher = Grants { watch: true, ..Grants::NONE };
    world.join(7, Some(false), watcher).unwrap();
    let accept = Reasoned { user: user(7), reason: None };
    send(&mut world, ANN, RoomSignal::PublishAccept(accept));
    publish(&mut world, 7);
    assert_eq!(world.participant(&user(7)).unwrap().participant_type, ParticipantType::Publisher);
    assert!(world.station(7).is_some());
}
