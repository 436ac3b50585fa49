//! Checking records against each other and against what munits hold, in memory and on a real Redis.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mobz_core::fsck::{Finding, ORPHAN_AFTER, OVERDUE_AFTER, SILENT_AFTER};
use mobz_core::id::{Address, ConnectionId, MunitId, RoomId, StationId};
use mobz_core::munit::{Assigned, Capacity, Record as Munit, Wanted};
use mobz_core::room::{Grants, Mode, Participant, ParticipantType, Record as Room};
use mobz_core::settings::Settings;
use mobz_core::store::{Asked, Change, RecordChange, Revision, Store, Subscription};
use mobz_core::time::Timestamp;
use mobz_runtime::clock;
use mobz_runtime::control::{Control, Found, Outcome};
use mobz_runtime::node::Node;
use mobz_runtime::testing::ScriptedMunit;
use mobz_store::testing::Redis;

mobz_runtime::on_both_stores! {
    what_agrees_is_well_however_much_of_it_there_is
    everything_that_is_wrong_is_found_and_mended
    what_nobody_can_mend_is_left
    a_munit_that_does_not_answer_is_told_of
}

/// A store that no node runs on: what is wrong in it stays so.
struct World {
    store: Arc<dyn Store>,
    control: Control,
    /// All participants are on it.
    _node: Box<dyn Subscription>,
    _redis: Option<Redis>,
}

impl World {
    async fn in_memory() -> Self {
        Self::on(mobz_store::open(None).await.unwrap(), None).await
    }

    async fn on_redis() -> Self {
        let redis = Redis::start().unwrap();
        let store = mobz_store::open(Some(&redis.url())).await.unwrap();
        Self::on(store, Some(redis)).await
    }

    async fn on(store: Arc<dyn Store>, redis: Option<Redis>) -> Self {
        let node = store.listen(&"n1".parse().unwrap()).await.unwrap();
        let control = Control::new(Node::new(clock::node_id(), Settings::default(), store.clone()));
        Self { store, control, _node: node, _redis: redis }
    }

    /// Puts a room into the store, with these participants.
    async fn room(&self, room: &str, change: impl FnOnce(&mut Room)) {
        let id: RoomId = room.parse().unwrap();
        let ann = participant("ann", ParticipantType::Publisher);
        let mut record = Room {
            room: id.clone(),
            mode: Mode::M2m,
            owner: "ann".parse().unwrap(),
            owner_by_grant: false,
            version: 1,
            restored: false,
            created_at: ago(Duration::from_secs(600)),
            next_order: 10,
            participants: [(ann.user.clone(), Arc::new(ann))].into(),
        };
        change(&mut record);
        let change = Change { record: RecordChange::Put(Arc::new(record)), ..Change::default() };
        self.store.commit(&id, Revision::default(), change).await.unwrap();
    }

    /// Changes a munit's record behind its back.
    async fn munit(&self, munit: &ScriptedMunit, change: impl FnOnce(&mut Munit)) {
        let loaded = self.store.load_munit(munit.id()).await.unwrap();
        let mut record = Arc::unwrap_or_clone(loaded.record.unwrap());
        change(&mut record);
        self.store.commit_munit(munit.id(), loaded.revision, Some(Arc::new(record))).await.unwrap();
    }

    async fn record(&self, room: &str) -> Option<Arc<Room>> {
        self.store.load(&room.parse().unwrap(), Asked::Users(Vec::new())).await.unwrap().record
    }

    /// All pages.
    async fn fsck(&self, repair: bool) -> Vec<Found> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.control.fsck(repair, cursor.as_deref()).await.unwrap();
            found.extend(page.findings);
            cursor = page.cursor;
            if cursor.is_none() {
                return found;
            }
        }
    }

    async fn told(&self) -> BTreeSet<String> {
        let (events, _) = self.store.after(Some(0), 1000, Duration::ZERO).await.unwrap();
        events.into_iter().map(|event| event.name).collect()
    }
}

fn ago(duration: Duration) -> Timestamp {
    Timestamp::from_millis(clock::now().as_millis() - u64::try_from(duration.as_millis()).unwrap())
}

fn participant(user: &str, participant_type: ParticipantType) -> Participant {
    Participant {
        user: user.parse().unwrap(),
        name: None,
        participant_type,
        grants: Grants::USUAL,
        video: true,
        audio: true,
        address: Address { node: "n1".parse().unwrap(), connection: ConnectionId(1) },
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

fn with_station(station: &StationId) -> impl FnOnce(&mut Room) {
    let station = station.clone();
    move |room| ann(room).station = Some(station)
}

fn ann(room: &mut Room) -> &mut Participant {
    Arc::make_mut(room.participants.values_mut().next().unwrap())
}

fn assigned(room: &str, since: Duration) -> Assigned {
    Assigned { user: "ann".parse().unwrap(), room: room.parse().unwrap(), at: ago(since) }
}

fn findings(found: &[Found]) -> BTreeSet<Finding> {
    found.iter().map(|found| found.finding.clone()).collect()
}

async fn what_agrees_is_well_however_much_of_it_there_is(world: World) {
    let mut munits = Vec::new();
    for number in 0..10 {
        munits.push(ScriptedMunit::start(&world.store, &format!("m{number}"), 100).await);
    }
    for number in 0..300_u64 {
        let munit = &munits[usize::try_from(number % 10).unwrap()];
        let (station, room) = (StationId::on(munit.id(), number), format!("room{number}"));
        world.room(&room, with_station(&station)).await;
        world
            .munit(munit, |record| drop(record.stations.insert(station, assigned(&room, ORPHAN_AFTER * 2))))
            .await;
    }
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.control.fsck(false, cursor.as_deref()).await.unwrap();
        cursor.clone_from(&page.cursor);
        pages.push(page);
        if cursor.is_none() {
            break;
        }
    }
    let sum = |of: fn(&mobz_runtime::control::FsckPage) -> usize| pages.iter().map(of).sum::<usize>();
    assert_eq!((sum(|page| page.munits), sum(|page| page.stations), sum(|page| page.rooms)), (10, 300, 300));
    assert!(pages.len() > 3, "it comes in pages, not at once");
    assert!(pages.iter().all(|page| page.findings.is_empty()), "{pages:?}");
}

async fn everything_that_is_wrong_is_found_and_mended(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 100).await;
    let m1 = || munit.id().clone();
    let station = |number| StationId::on(munit.id(), number);
    let foreign = StationId::on(&"m7".parse().unwrap(), 7);
    world.room("live", with_station(&station(1))).await;
    world.room("missing", with_station(&station(2))).await;
    world.room("nowhere", with_station(&StationId::on(&"m9".parse().unwrap(), 1))).await;
    world
        .room("shared", |room| {
            ann(room).station = Some(station(3));
            let bob = participant("bob", ParticipantType::Publisher);
            let bob = Participant { station: Some(station(3)), ..bob };
            room.participants.insert(bob.user.clone(), Arc::new(bob));
        })
        .await;
    world.room("disputed", with_station(&station(4))).await;
    world.room("ownerless", |room| room.owner = "cem".parse().unwrap()).await;
    world.room("empty", |room| room.participants.clear()).await;
    world
        .room("overdue", |room| {
            let bob = Participant {
                away_since: Some(ago(OVERDUE_AFTER * 3)),
                away_until: Some(ago(OVERDUE_AFTER * 2)),
                ..participant("bob", ParticipantType::Viewer)
            };
            room.participants.insert(bob.user.clone(), Arc::new(bob));
        })
        .await;
    world.room("stranded", |room| ann(room).address.node = "n2".parse().unwrap()).await;
    world.room("silent", with_station(&StationId::on(&"m2".parse().unwrap(), 1))).await;
    world
        .munit(&munit, |record| {
            let mut put = |station, room| record.stations.insert(station, assigned(room, ORPHAN_AFTER * 2));
            put(station(1), "live");
            put(station(3), "shared");
            put(station(5), "live");
            put(station(6), "gone");
            put(foreign.clone(), "live");
            let of_bob = Assigned { user: "bob".parse().unwrap(), ..assigned("disputed", Duration::ZERO) };
            record.stations.insert(station(4), of_bob);
        })
        .await;
    munit.strays(station(8));
    silent(&world, "m2").await;

    let found = world.fsck(false).await;

    let room = |room: &str| room.parse::<RoomId>().unwrap();
    let ann = || "ann".parse().unwrap();
    let expected = [
        Finding::OrphanStation { munit: m1(), station: station(5), room: room("live") },
        Finding::OrphanStation { munit: m1(), station: station(6), room: room("gone") },
        Finding::OrphanStation { munit: m1(), station: foreign.clone(), room: room("live") },
        Finding::ForeignStation { munit: m1(), station: foreign },
        Finding::DisputedStation { munit: m1(), station: station(4), room: room("disputed"), user: ann() },
        Finding::MissingStation { munit: m1(), station: station(2), room: room("missing"), user: ann() },
        Finding::NowhereStation {
            station: StationId::on(&"m9".parse().unwrap(), 1),
            room: room("nowhere"),
            user: ann(),
        },
        Finding::SharedStation { station: station(3), room: room("shared"), user: "bob".parse().unwrap() },
        Finding::UnrecordedStation { munit: m1(), station: station(8) },
        Finding::SilentMunit { munit: "m2".parse().unwrap() },
        Finding::OwnerlessRoom { room: room("ownerless") },
        Finding::EmptyRoom { room: room("empty") },
        Finding::OverdueRoom { room: room("overdue") },
        Finding::StrandedRoom { room: room("stranded"), node: "n2".parse().unwrap() },
    ];
    assert_eq!(findings(&found), BTreeSet::from(expected));
    assert!(found.iter().all(|found| found.outcome == Outcome::Found), "{found:?}");
    assert!(world.told().await.is_empty(), "a check changes nothing");

    let mended = world.fsck(true).await;
    let left: Vec<_> = mended.iter().filter(|found| found.outcome != Outcome::Mended).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(world.fsck(false).await, []);

    let has_station = async |room: &str| {
        let record = world.record(room).await.unwrap();
        record.participants.values().any(|there| there.station.is_some())
    };
    assert!(has_station("live").await, "what was well stays as it was");
    for gone in ["missing", "nowhere", "shared", "disputed", "silent"] {
        assert!(!has_station(gone).await, "{gone}");
    }
    assert_eq!(world.record("ownerless").await.unwrap().owner.as_str(), "ann");
    assert_eq!(world.record("empty").await, None);
    assert!(world.record("stranded").await.unwrap().participants.values().all(|there| there.is_away()));
    assert_eq!(munit.stations().await, [station(1)]);
    let told = world.told().await;
    for name in ["station.lost", "munit.lost", "owner.changed", "participant.left", "participant.away"] {
        assert!(told.contains(name), "{name} is not among {told:?}");
    }
}

/// Puts a munit into the store that nobody has heard of for a while, with a station of room `silent`.
async fn silent(world: &World, id: &str) {
    let id: MunitId = id.parse().unwrap();
    let record = Munit {
        munit: id.clone(),
        region: "local".into(),
        address: "127.0.0.1".into(),
        version: "1".into(),
        capacity: Capacity { stations: 10, viewers: 10 },
        since: ago(SILENT_AFTER * 2),
        instance: "gone".into(),
        wanted: Wanted::Active,
        lost: false,
        stations: [(StationId::on(&id, 1), assigned("silent", SILENT_AFTER * 2))].into(),
    };
    world.store.commit_munit(&id, Revision::default(), Some(Arc::new(record))).await.unwrap();
}

async fn what_nobody_can_mend_is_left(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 1).await;
    let station = |number| StationId::on(munit.id(), number);
    world.room("a", with_station(&station(1))).await;
    world.room("b", with_station(&station(2))).await;
    world
        .munit(&munit, |record| {
            record.stations.insert(station(1), assigned("a", Duration::ZERO));
            record.stations.insert(station(2), assigned("b", Duration::ZERO));
        })
        .await;
    let found = world.fsck(true).await;
    assert_eq!(findings(&found), [Finding::OverfullMunit { munit: munit.id().clone() }].into());
    assert_eq!(found[0].outcome, Outcome::Left);
    assert!(found[0].advice.as_ref().is_some_and(|advice| advice.contains("drain")), "{found:?}");
}

async fn a_munit_that_does_not_answer_is_told_of(world: World) {
    let munit = ScriptedMunit::start(&world.store, "m1", 1).await;
    munit.hang(true);
    let found = world.fsck(true).await;
    assert_eq!(findings(&found), [Finding::MuteMunit { munit: munit.id().clone() }].into());
    munit.hang(false);
    assert_eq!(world.fsck(true).await, []);
}
