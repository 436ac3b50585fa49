//! Each thing that can be wrong, alone.

use std::sync::Arc;

use super::*;
use crate::id::{Address, ConnectionId};
use crate::munit::{Assigned, Beat, Capacity, Load, Record as Munit, Wanted};
use crate::room::{Audience, Grants, Input, Mode, Participant, ParticipantType, Previous, Record, Room};
use crate::settings::Settings;

const NOW: Timestamp = Timestamp::from_millis(10_000_000);

fn ago(duration: Duration) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - crate::time::millis(duration))
}

fn id<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn station(number: u64) -> StationId {
    StationId::on(&id("m1"), number)
}

fn participant(user: &str, participant_type: ParticipantType) -> Participant {
    Participant {
        user: id(user),
        name: None,
        participant_type,
        grants: Grants::USUAL,
        video: true,
        audio: true,
        address: Address { node: id("n1"), connection: ConnectionId(1) },
        away_since: None,
        away_until: None,
        offer_until: None,
        joined_at: ago(Duration::from_secs(600)),
        order: 1,
        resume: "secret".into(),
        station: None,
        previous: None,
    }
}

/// ann publishes on a station of m1, bob watches: all is well.
struct World {
    seen: Seen,
}

impl World {
    fn new() -> Self {
        let ann = Participant { station: Some(station(1)), ..participant("ann", ParticipantType::Publisher) };
        let participants = [ann, participant("bob", ParticipantType::Viewer)];
        let room = Record {
            room: id("demo"),
            mode: Mode::M2m,
            owner: id("ann"),
            owner_by_grant: false,
            version: 1,
            restored: false,
            created_at: ago(Duration::from_secs(600)),
            next_order: 2,
            participants: participants.map(|there| (there.user.clone(), Arc::new(there))).into(),
        };
        let munit = Munit {
            munit: id("m1"),
            region: "local".into(),
            address: "127.0.0.1".into(),
            version: "1".into(),
            capacity: Capacity { stations: 10, viewers: 10 },
            since: ago(Duration::from_secs(600)),
            instance: "a".into(),
            wanted: Wanted::Active,
            lost: false,
            stations: BTreeMap::new(),
        };
        let beat = Beat { instance: "a".into(), at: NOW, ready: true, load: Load::default() };
        let mut world = Self { seen: Seen::default() };
        let loaded = Loaded { record: Some(Arc::new(room)), ..Loaded::default() };
        world.seen.rooms.insert(id("demo"), loaded);
        let loaded =
            LoadedMunit { record: Some(Arc::new(munit)), beat: Some(beat), ..LoadedMunit::default() };
        world.seen.munits.insert(id("m1"), loaded);
        world.seen.held.insert(id("m1"), BTreeMap::new());
        world.assign(1, "ann", Duration::from_secs(60));
        world.hold(1);
        assert_eq!(world.found(), []);
        world
    }

    fn found(&self) -> Vec<Finding> {
        check(NOW, &self.seen)
    }

    fn room(&mut self) -> &mut Record {
        let loaded = self.seen.rooms.get_mut(&id::<RoomId>("demo")).unwrap();
        Arc::make_mut(loaded.record.as_mut().unwrap())
    }

    fn user(&mut self, user: &str) -> &mut Participant {
        Arc::make_mut(self.room().participants.get_mut(&id::<UserId>(user)).unwrap())
    }

    fn munit(&mut self) -> &mut Munit {
        let loaded = self.seen.munits.get_mut(&id::<MunitId>("m1")).unwrap();
        Arc::make_mut(loaded.record.as_mut().unwrap())
    }

    fn assign(&mut self, number: u64, user: &str, since: Duration) {
        let assigned = Assigned { user: id(user), room: id("demo"), at: ago(since) };
        self.munit().stations.insert(station(number), assigned);
    }

    fn held(&mut self) -> &mut BTreeMap<StationId, Holding> {
        self.seen.held.get_mut(&id::<MunitId>("m1")).unwrap()
    }

    fn hold(&mut self, number: u64) {
        let of = Some((id("demo"), id("ann")));
        self.held().insert(station(number), Holding { of, made: Some(true), ..Holding::default() });
    }
}

#[test]
fn a_station_that_no_room_names_is_an_orphan_after_a_while() {
    let mut world = World::new();
    world.assign(2, "bob", ORPHAN_AFTER);
    world.hold(2);
    assert_eq!(world.found(), []);
    world.assign(2, "bob", ORPHAN_AFTER + Duration::from_millis(1));
    let orphan = Finding::OrphanStation { munit: id("m1"), station: station(2), room: id("demo") };
    assert_eq!(world.found(), std::slice::from_ref(&orphan));
    assert_eq!(orphan.repair(), Some(Repair::Unassign { munit: id("m1"), station: station(2) }));

    world.seen.rooms.insert(id("demo"), Loaded::default());
    assert_eq!(world.found().len(), 2, "a room that is gone names none");
    world.seen.rooms.clear();
    assert_eq!(world.found(), [], "a room that was not read may name any");
}

#[test]
fn a_station_that_its_publisher_moves_away_from_is_no_orphan() {
    let mut world = World::new();
    world.assign(2, "ann", Duration::from_secs(600));
    world.hold(2);
    world.user("ann").previous = Some(Previous { station: station(2), until: NOW });
    assert_eq!(world.found(), []);
}

#[test]
fn a_station_of_another_munit_goes_from_the_record() {
    let mut world = World::new();
    let other = StationId::on(&id("m2"), 1);
    let assigned = Assigned { user: id("ann"), room: id("elsewhere"), at: NOW };
    world.munit().stations.insert(other.clone(), assigned);
    assert_eq!(world.found(), [Finding::ForeignStation { munit: id("m1"), station: other.clone() }]);
    assert_eq!(world.found()[0].repair(), Some(Repair::Unassign { munit: id("m1"), station: other }));
}

#[test]
fn a_station_that_is_of_another_user_on_record_is_lost() {
    let mut world = World::new();
    world.assign(1, "bob", Duration::from_secs(60));
    let (munit, room, user) = (id("m1"), id("demo"), id("ann"));
    assert_eq!(world.found(), [Finding::DisputedStation { munit, station: station(1), room, user }]);
    assert_eq!(world.found()[0].repair(), Some(Repair::Lose { room: id("demo"), station: station(1) }));
}

#[test]
fn a_station_that_its_munit_lacks_is_lost_to_its_room() {
    let mut world = World::new();
    world.munit().stations.clear();
    world.held().clear();
    let missing = || Finding::MissingStation {
        munit: id("m1"),
        station: station(1),
        room: id("demo"),
        user: id("ann"),
    };
    assert_eq!(world.found(), [missing()]);
    assert_eq!(missing().repair(), Some(Repair::Lose { room: id("demo"), station: station(1) }));
    world.munit().lost = true;
    assert_eq!(world.found(), [missing()], "and so is one of a munit that was given up");
    world.seen.munits.clear();
    assert_eq!(world.found(), [], "a munit that was not read may have any");
}

#[test]
fn a_station_on_a_munit_that_does_not_exist_is_lost_to_its_room() {
    let mut world = World::new();
    world.seen.munits.insert(id("m1"), LoadedMunit::default());
    let nowhere =
        |station: &str| Finding::NowhereStation { station: id(station), room: id("demo"), user: id("ann") };
    assert_eq!(world.found(), [nowhere(station(1).as_str())]);
    world.user("ann").station = Some(id("odd"));
    assert_eq!(world.found(), [nowhere("odd")], "one that names no munit is on none");
    assert_eq!(world.found()[0].repair(), Some(Repair::Lose { room: id("demo"), station: id("odd") }));
}

#[test]
fn a_station_that_two_have_is_lost_to_both() {
    let mut world = World::new();
    world.user("bob").station = Some(station(1));
    let shared = Finding::SharedStation { station: station(1), room: id("demo"), user: id("bob") };
    assert_eq!(world.found(), [shared]);
    assert_eq!(world.found()[0].repair(), Some(Repair::Lose { room: id("demo"), station: station(1) }));
}

#[test]
fn a_munit_that_does_not_hold_what_its_record_says_is_woken() {
    let mut world = World::new();
    let unheld = [Finding::UnheldStation { munit: id("m1"), station: station(1) }];
    world.held().get_mut(&station(1)).unwrap().made = Some(false);
    assert_eq!(world.found(), unheld, "its Janus has lost the room");
    world.held().clear();
    assert_eq!(world.found(), unheld);
    assert_eq!(unheld[0].repair(), Some(Repair::Wake(id("m1"))));
    world.assign(1, "ann", UNHELD_AFTER);
    assert_eq!(world.found(), [], "it is being made");
    world.assign(1, "ann", Duration::from_secs(60));
    world.seen.held.clear();
    assert_eq!(world.found(), [], "one that was not asked may hold any");
}

#[test]
fn a_munit_that_holds_what_its_record_does_not_say_is_woken() {
    let mut world = World::new();
    world.held().insert(station(2), Holding { made: Some(true), ..Holding::default() });
    world.hold(3);
    let unrecorded = |number| Finding::UnrecordedStation { munit: id("m1"), station: station(number) };
    assert_eq!(world.found(), [unrecorded(2), unrecorded(3)]);
    assert_eq!(world.found()[0].repair(), Some(Repair::Wake(id("m1"))));
}

#[test]
fn a_munit_that_is_silent_and_not_marked_lost_is_given_up() {
    let mut world = World::new();
    let silent = |world: &mut World, for_how_long| {
        let loaded = world.seen.munits.get_mut(&id::<MunitId>("m1")).unwrap();
        loaded.beat.as_mut().unwrap().at = ago(for_how_long);
    };
    silent(&mut world, SILENT_AFTER);
    world.held().clear();
    assert_eq!(world.found(), [], "nodes see to it");
    silent(&mut world, SILENT_AFTER + Duration::from_millis(1));
    assert_eq!(world.found(), [Finding::SilentMunit { munit: id("m1") }]);
    assert_eq!(world.found()[0].repair(), Some(Repair::GiveUp(id("m1"))));
    world.munit().lost = true;
    assert_eq!(world.found(), [Finding::LostMunit { munit: id("m1") }]);
    assert_eq!(world.found()[0].repair(), Some(Repair::GiveUp(id("m1"))));
}

#[test]
fn a_munit_beyond_its_capacity_is_told_of_and_left() {
    let mut world = World::new();
    world.munit().capacity.stations = 0;
    assert_eq!(world.found(), [Finding::OverfullMunit { munit: id("m1") }]);
    assert_eq!(world.found()[0].repair(), None);
    assert!(world.found()[0].advice().is_some());
}

#[test]
fn a_room_beyond_its_limits_is_told_of_and_left() {
    let mut world = World::new();
    for number in 0..crate::room::M2M_VIEWERS_MAX {
        let viewer = participant(&format!("viewer{number}"), ParticipantType::Viewer);
        world.room().participants.insert(viewer.user.clone(), Arc::new(viewer));
    }
    assert_eq!(world.found(), [Finding::OverfullRoom { room: id("demo") }]);
    assert_eq!(world.found()[0].repair(), None);
    let mut world = World::new();
    world.user("bob").participant_type = ParticipantType::Publisher;
    world.room().mode = Mode::P2m;
    assert_eq!(world.found(), [Finding::OverfullRoom { room: id("demo") }]);
}

#[test]
fn a_room_without_its_owner_is_given_one_by_a_look() {
    let mut world = World::new();
    world.room().owner = id("cem");
    assert_eq!(world.found(), [Finding::OwnerlessRoom { room: id("demo") }]);
    assert_eq!(looked_at(&mut world).unwrap().owner, id("ann"));
    assert_eq!(world.found(), []);
    world.room().mode = Mode::P2m;
    world.room().owner = id("cem");
    assert_eq!(world.found(), [], "it may be one of the audience");
}

#[test]
fn a_room_with_nobody_in_it_goes_by_a_look() {
    let mut world = World::new();
    world.munit().stations.clear();
    world.held().clear();
    world.room().participants.clear();
    assert_eq!(world.found(), [Finding::EmptyRoom { room: id("demo") }]);
    assert_eq!(looked_at(&mut world), None);
    let loaded = Loaded { audience: Audience { count: 1, ..Audience::default() }, ..Loaded::default() };
    let mut world = World::new();
    let record = world.seen.rooms[&id::<RoomId>("demo")].record.clone();
    world.seen.rooms.insert(id("demo"), Loaded { record, ..loaded });
    world.munit().stations.clear();
    world.held().clear();
    world.room().participants.clear();
    world.room().mode = Mode::P2m;
    assert_eq!(world.found(), [], "its audience is there");
}

#[test]
fn what_is_long_due_in_a_room_is_done_by_a_look() {
    let mut world = World::new();
    world.user("bob").away_since = Some(ago(Duration::from_secs(60)));
    world.user("bob").away_until = Some(ago(OVERDUE_AFTER));
    assert_eq!(world.found(), [], "somebody is about to");
    world.user("bob").away_until = Some(ago(OVERDUE_AFTER + Duration::from_millis(1)));
    assert_eq!(world.found(), [Finding::OverdueRoom { room: id("demo") }]);
    assert!(!looked_at(&mut world).unwrap().participants.contains_key(&id::<UserId>("bob")));
    assert_eq!(world.found(), []);
}

#[test]
fn participants_on_a_node_that_is_gone_are_away() {
    let mut world = World::new();
    world.seen.gone.insert(id("n2"));
    assert_eq!(world.found(), []);
    world.user("bob").address.node = id("n2");
    let stranded = Finding::StrandedRoom { room: id("demo"), node: id("n2") };
    assert_eq!(world.found(), std::slice::from_ref(&stranded));
    assert_eq!(stranded.repair(), Some(Repair::Away { room: id("demo"), node: id("n2") }));
    world.user("bob").away_since = Some(NOW);
    assert_eq!(world.found(), [], "it is away already");
    let loaded = world.seen.rooms.get_mut(&id::<RoomId>("demo")).unwrap();
    loaded.audience_nodes = vec![id("n2")];
    assert_eq!(world.found(), [stranded], "and so are those of an audience");
}

#[test]
fn a_finding_says_what_is_wrong_to_people_and_to_programs() {
    let finding = Finding::OrphanStation { munit: id("m1"), station: station(2), room: id("demo") };
    let text = r#"{"kind":"orphan_station","munit":"m1","station":"m1-000000000002","room":"demo"}"#;
    assert_eq!(serde_json::to_string(&finding).unwrap(), text);
    let words = "munit m1 has station m1-000000000002 on record, and nobody in room demo has it";
    assert_eq!(finding.to_string(), words);
}

/// Looks at the room as [`Repair::Look`] does.
fn looked_at(world: &mut World) -> Option<Arc<Record>> {
    let found = world.found();
    assert!(found.iter().any(|found| found.repair() == Some(Repair::Look(id("demo")))), "{found:?}");
    let settings = Settings::default();
    let loaded = world.seen.rooms[&id::<RoomId>("demo")].clone();
    let mut room = Room::new(&settings, id("demo"), loaded);
    room.apply(NOW, Input::Due);
    let record = room.record().cloned();
    world.seen.rooms.insert(id("demo"), Loaded { record: record.clone(), ..Loaded::default() });
    record
}
