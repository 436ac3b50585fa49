//! Rooms under random signals: whatever people send, in whatever order, the room keeps its word.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "all of this is a test")]

#[allow(unreachable_pub, clippy::needless_pass_by_value, reason = "a module of this test alone")]
mod world;

#[allow(clippy::panic, reason = "all of this is a test")]
mod stations;

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::StationId;
use mobz_core::room::{Effect, Effects, Grants, Mode, ParticipantType};
use mobz_core::signal::{Code, PublisherView, Reason, ServerSignal};
use proptest::prelude::*;
use world::{Act, World, user};

fn act() -> impl Strategy<Value = Act> {
    let who = 0..14usize;
    prop_oneof![
        6 => (who.clone(), proptest::option::of(any::<bool>()), 0..4u8)
            .prop_map(|(who, publish, grants)| Act::Join { who, publish, grants }),
        2 => who.clone().prop_map(|who| Act::Resume { who }),
        1 => who.clone().prop_map(|who| Act::ResumeWrongly { who }),
        2 => who.clone().prop_map(|who| Act::Leave { who }),
        2 => who.clone().prop_map(|who| Act::Lost { who }),
        1 => who.clone().prop_map(|who| Act::TimedOut { who }),
        1 => (who.clone(), who.clone()).prop_map(|(who, whom)| Act::Kick { who, whom }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, video)| Act::UpdateVideo { who, video }),
        2 => who.clone().prop_map(|who| Act::PublishRequest { who }),
        3 => (who.clone(), who.clone()).prop_map(|(who, whom)| Act::PublishAccept { who, whom }),
        1 => (who.clone(), who.clone()).prop_map(|(who, whom)| Act::PublishReject { who, whom }),
        2 => who.clone().prop_map(|who| Act::Offer { who }),
        1 => (0..40u64).prop_map(|seconds| Act::Wait { seconds }),
        1 => (0..3usize).prop_map(|node| Act::NodeLost { node }),
        1 => who.clone().prop_map(|whom| Act::Remove { whom }),
        4 => proptest::bool::weighted(0.9).prop_map(|takes| Act::Place { takes }),
        2 => who.clone().prop_map(|who| Act::Move { who }),
        1 => who.clone().prop_map(|who| Act::Retire { who }),
        1 => who.clone().prop_map(|who| Act::StationLost { who }),
        1 => (who.clone(), who).prop_map(|(who, whom)| Act::Watch { who, whom }),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::P2p), Just(Mode::P2m), Just(Mode::M2m)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn limits_hold_one_owner_is_there_and_versions_have_no_gaps(
        mode in mode(),
        acts in proptest::collection::vec(act(), 1..160),
    ) {
        let mut world = World::new(mode);
        let mut seen = Observer::default();
        for act in acts {
            let before = world.version();
            for effects in world.act(act.clone()) {
                seen.watch(&effects);
                limits_hold(&world)?;
                one_owner_is_there(&world)?;
                stations_are_accounted_for(&world)?;
            }
            prop_assert!(world.is_consistent(), "{act:?}");
            if let (Some(before), Some(after)) = (before, world.version()) {
                prop_assert!(after >= before, "{act:?}: {before} -> {after}");
            }
            seen.agrees_with(&world)?;
        }
    }
}

fn limits_hold(world: &World) -> Result<(), TestCaseError> {
    let publishers = world.count(ParticipantType::Publisher);
    let viewers = world.count(ParticipantType::Viewer);
    prop_assert!(publishers <= world.mode.publishers_max());
    prop_assert!(world.mode.viewers_max().is_none_or(|most| viewers <= most));
    Ok(())
}

fn one_owner_is_there(world: &World) -> Result<(), TestCaseError> {
    prop_assert_eq!(world.is_empty(), world.record().is_none());
    if let Some(record) = world.record() {
        prop_assert!(world.participant(&record.owner).is_some(), "the owner {} is not there", record.owner);
    }
    Ok(())
}

/// The room's stations are on record at their munits and nobody else's are; each has one publisher.
fn stations_are_accounted_for(world: &World) -> Result<(), TestCaseError> {
    let stations = world.stations();
    prop_assert_eq!(&stations, &world.assigned);
    let everyone = || world.record().into_iter().flat_map(|record| record.participants.values());
    let had = everyone().map(|there| there.stations().count()).sum::<usize>();
    prop_assert_eq!(had, stations.len(), "a station of two publishers");
    for there in everyone().filter(|there| there.stations().next().is_some()) {
        prop_assert_eq!(there.participant_type, ParticipantType::Publisher);
        prop_assert_eq!(world.mode, Mode::M2m);
        prop_assert!(there.station.is_some() && there.offer_until.is_none(), "{:?}", there);
    }
    Ok(())
}

/// One who hears all news of the room, and keeps its own picture of it.
#[derive(Default)]
struct Observer {
    version: u64,
    listed: BTreeSet<String>,
    publishers: BTreeMap<String, Option<StationId>>,
    owner: Option<String>,
    faults: Vec<String>,
}

impl Observer {
    fn watch(&mut self, effects: &Effects) {
        let told = effects.list.iter().filter_map(|effect| match effect {
            Effect::Tell { signal, .. } | Effect::TellAudience { signal, .. } => Some(signal.clone()),
            Effect::Enter { ack, .. } => Some(ServerSignal::JoinAck(ack.clone())),
            _ => None,
        });
        let mut news = BTreeSet::new();
        for signal in told {
            match signal {
                ServerSignal::JoinAck(ack) => {
                    news.insert(ack.version);
                    self.owner = Some(ack.owner.to_string());
                    let listed = ack.participants.iter().filter(|_| ack.mode != Mode::P2m);
                    if ack.mode != Mode::P2m {
                        self.listed = listed.map(|there| there.user.to_string()).collect();
                    }
                    self.publishers = known(&ack.publishers);
                }
                ServerSignal::ParticipantChange { joined, left, owner, version, .. } => {
                    news.insert(version);
                    self.owner = Some(owner.to_string());
                    for gone in left {
                        self.listed.remove(gone.user.as_str());
                    }
                    self.listed.extend(joined.iter().map(|there| there.user.to_string()));
                }
                ServerSignal::PublishListChangeAck { publishers, version, .. } => {
                    news.insert(version);
                    self.publishers = known(&publishers);
                }
                ServerSignal::UpdateVideo { version, .. } => {
                    news.insert(version);
                }
                _ => {}
            }
        }
        for version in news {
            let is_next = version == self.version + 1 || version == self.version || version == 1;
            if !is_next {
                self.faults.push(format!("version {version} after {}", self.version));
            }
            self.version = version;
        }
    }

    fn agrees_with(&self, world: &World) -> Result<(), TestCaseError> {
        prop_assert!(self.faults.is_empty(), "{:?}", self.faults);
        let Some(record) = world.record() else { return Ok(()) };
        prop_assert_eq!(self.version, record.version);
        prop_assert_eq!(self.owner.as_deref(), Some(record.owner.as_str()));
        let publishers = record.participants.values();
        let publishers = publishers.filter(|there| there.participant_type == ParticipantType::Publisher);
        let publishers: BTreeMap<String, Option<StationId>> =
            publishers.map(|there| (there.user.to_string(), there.station.clone())).collect();
        prop_assert_eq!(&self.publishers, &publishers);
        if world.mode != Mode::P2m {
            let listed: BTreeSet<String> = record.participants.keys().map(ToString::to_string).collect();
            prop_assert_eq!(&self.listed, &listed);
        }
        Ok(())
    }
}

fn known(publishers: &[PublisherView]) -> BTreeMap<String, Option<StationId>> {
    publishers.iter().map(|there| (there.user.to_string(), there.station.clone())).collect()
}

#[test]
fn a_group_admits_nine_publishers_and_two_hundred_viewers_and_refuses_the_rest() {
    let mut world = World::new(Mode::M2m);

    let publishers: Vec<_> = (0..12).map(|n| world.join(n, Some(true), Grants::USUAL)).collect();
    let viewers: Vec<_> = (100..320).map(|n| world.join(n, Some(false), Grants::USUAL)).collect();

    assert_eq!(publishers.iter().filter(|joined| joined.is_ok()).count(), 12);
    assert_eq!(world.count(ParticipantType::Publisher), 9);
    assert_eq!(world.count(ParticipantType::Viewer), 200);
    let refused: Vec<_> = viewers.iter().filter_map(|joined| joined.as_ref().err()).collect();
    assert_eq!(refused.len(), 220 - 197);
    assert!(refused.iter().all(|code| **code == Code::RoomFull));
}

#[test]
fn an_accepted_publisher_without_an_offer_is_a_viewer_again_and_its_place_was_kept() {
    let mut world = World::new(Mode::M2m);
    world.join(0, Some(true), Grants::USUAL).unwrap();
    world.join(1, Some(false), Grants::USUAL).unwrap();
    for n in 100..299 {
        world.join(n, Some(false), Grants::USUAL).unwrap();
    }

    world.act(Act::PublishAccept { who: 0, whom: 1 });
    let refused = world.join(500, Some(false), Grants::USUAL);
    world.act(Act::Wait { seconds: 30 });

    assert_eq!(refused, Err(Code::RoomFull));
    assert_eq!(world.participant(&user(1)).unwrap().participant_type, ParticipantType::Viewer);
    assert_eq!(world.count(ParticipantType::Viewer), 200);
}

#[test]
fn the_owner_is_followed_by_the_longest_present_with_the_grant_then_publisher_then_viewer() {
    let granted = Grants { owner: true, ..Grants::USUAL };
    let mut world = World::new(Mode::M2m);
    world.join(0, Some(true), Grants::USUAL).unwrap();
    world.join(1, Some(false), Grants::USUAL).unwrap();
    world.join(2, Some(true), Grants::USUAL).unwrap();
    assert_eq!(world.record().unwrap().owner, user(0));

    world.join(3, Some(false), granted).unwrap();
    assert_eq!(world.record().unwrap().owner, user(3), "the first with the grant takes over");
    world.join(4, Some(false), granted).unwrap();
    assert_eq!(world.record().unwrap().owner, user(3), "later ones displace nobody");

    for (leaves, follows) in [(3, 4), (4, 0), (0, 2), (2, 1)] {
        world.act(Act::Leave { who: leaves });
        assert_eq!(world.record().unwrap().owner, user(follows));
    }
}

#[test]
fn the_audience_inherits_a_room_its_publisher_left() {
    let mut world = World::new(Mode::P2m);
    for n in 0..5 {
        world.join(n, None, Grants::USUAL).unwrap();
    }

    world.act(Act::Leave { who: 0 });
    assert_eq!(world.record().unwrap().owner, user(1));
    world.act(Act::Leave { who: 1 });
    assert_eq!(world.record().unwrap().owner, user(2));
    (2..5).for_each(|who| drop(world.act(Act::Leave { who })));

    assert!(world.record().is_none());
}

#[test]
fn an_audience_that_is_lost_all_at_once_is_gone_after_the_grace() {
    let mut world = World::new(Mode::P2m);
    for n in 0..40 {
        world.join(n, Some(false), Grants::USUAL).unwrap();
    }

    (0..3).for_each(|node| drop(world.act(Act::NodeLost { node })));
    assert_eq!(world.count(ParticipantType::Viewer), 40);
    world.act(Act::Wait { seconds: 16 });

    assert!(world.record().is_none());
}

#[test]
fn joining_again_replaces_the_old_connection_and_keeps_the_ownership() {
    let mut world = World::new(Mode::M2m);
    world.join(0, Some(true), Grants::USUAL).unwrap();
    world.join(1, Some(true), Grants::USUAL).unwrap();
    let version = world.version().unwrap();

    let effects = world.act(Act::Join { who: 0, publish: Some(true), grants: 0 }).remove(0);

    assert_eq!(world.version(), Some(version + 1));
    assert_eq!(world.record().unwrap().owner, user(0));
    let told = effects.list.iter().find_map(|effect| match effect {
        Effect::Tell { signal: ServerSignal::ParticipantChange { joined, left, .. }, .. } => {
            Some((joined, left))
        }
        _ => None,
    });
    let (joined, left) = told.expect("the others hear of it");
    assert_eq!((joined.len(), left.len(), left[0].reason), (1, 1, Reason::Replaced));
}

#[test]
fn what_is_relayed_to_an_away_peer_is_kept_and_to_nobody_is_refused() {
    let mut world = World::new(Mode::P2p);
    world.join(0, None, Grants::USUAL).unwrap();
    let nobody = world.act(Act::Offer { who: 0 }).remove(0);
    world.join(1, None, Grants::USUAL).unwrap();
    world.act(Act::Lost { who: 1 });

    let kept = world.act(Act::Offer { who: 0 }).remove(0);

    let refused = |effect: &Effect| {
        matches!(effect, Effect::Send { signal: ServerSignal::Error { code: Code::NoSuchUser, .. }, .. })
    };
    assert!(nobody.list.iter().any(refused));
    assert!(!kept.list.iter().any(|effect| matches!(effect, Effect::Relay(_))));
    assert_eq!(world.kept(1), 2, "what was queued when it was lost, then the offer");
}
