//! The record of a room: compare and set.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use mobz_core::store::{Asked, Change, Committed, KeptChange, Loaded, MemberChange, RecordChange, Revision};

use super::{Place, at, create, done, id, joins, participant, put, record, with_members};

const NOBODY: Asked = Asked::Users(Vec::new());

fn is_nothing(loaded: &Loaded) -> bool {
    loaded.record.is_none()
        && loaded.revision == Revision::default()
        && loaded.audience.count == 0
        && loaded.audience.heirs.is_empty()
        && loaded.members.is_empty()
        && loaded.audience_nodes.is_empty()
}

pub async fn a_missing_room_loads_as_nothing(place: &dyn Place) {
    let store = place.connect().await;
    assert!(is_nothing(&store.load(&id("gone"), Asked::First(10)).await.unwrap()));
    assert_eq!(
        store.commit(&id("gone"), Revision(7), put("gone")).await.unwrap(),
        Committed::Conflict,
        "a room that is not there is at no revision but the first"
    );
}

pub async fn a_record_is_read_as_it_was_committed(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let revision = create(&*one, "demo").await;
    let loaded = other.load(&id("demo"), NOBODY).await.unwrap();
    assert_eq!(loaded.revision, revision);
    assert_eq!(*loaded.record.unwrap(), record("demo"));
    assert_eq!(loaded.audience.count, 0);

    let mut changed = record("demo");
    changed.version = u64::MAX;
    let change = Change { record: RecordChange::Put(Arc::new(changed.clone())), ..Change::default() };
    let next = done(other.commit(&id("demo"), revision, change).await.unwrap());
    assert_ne!(next, revision);
    let loaded = one.load(&id("demo"), NOBODY).await.unwrap();
    assert_eq!((loaded.revision, &*loaded.record.unwrap()), (next, &changed));
}

pub async fn a_commit_at_another_revision_changes_nothing(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let stale = [Revision::default(), Revision(revision.0 + 1), Revision(revision.0.wrapping_sub(1))];
    for revision in stale {
        let mut other = record("demo");
        other.version = 99;
        for record in [RecordChange::Put(Arc::new(other.clone())), RecordChange::Remove, RecordChange::Same] {
            let change = Change {
                record,
                members: vec![joins(participant("ann", 5))],
                kept: vec![KeptChange::Append(id("owner"), "{}".into())],
                due: Some(at(1)),
            };
            assert_eq!(store.commit(&id("demo"), revision, change).await.unwrap(), Committed::Conflict);
        }
    }
    let loaded = store.load(&id("demo"), Asked::First(10)).await.unwrap();
    assert_eq!((loaded.revision, &*loaded.record.unwrap()), (revision, &record("demo")));
    assert_eq!(loaded.audience.count, 0);
    assert!(store.take_kept(&id("demo"), &id("owner")).await.unwrap().signals.is_empty());
}

pub async fn a_commit_without_a_record_leaves_the_revision(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let change = with_members([joins(participant("ann", 5))]);
    assert_eq!(store.commit(&id("demo"), revision, change).await.unwrap(), Committed::Done(revision));
    let nothing = store.commit(&id("demo"), revision, Change::default()).await.unwrap();
    assert_eq!(nothing, Committed::Done(revision));
}

pub async fn one_of_many_concurrent_commits_wins(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    let mut revision = Revision::default();
    for _ in 0..5 {
        let commits = (0..40_usize).map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move { store.commit(&id("demo"), revision, put("demo")).await.unwrap() })
        });
        let outcomes = join_all(commits).await.into_iter().map(Result::unwrap);
        let won: Vec<Committed> = outcomes.filter(|outcome| *outcome != Committed::Conflict).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        revision = done(won[0]);
    }
}

pub async fn rooms_do_not_contend_with_each_other(place: &dyn Place) {
    let store = place.connect().await;
    let revisions = join_all((0..200).map(|number| {
        let store = store.clone();
        async move { create(&*store, &format!("room-{number}")).await }
    }))
    .await;
    for (number, revision) in revisions.into_iter().enumerate() {
        let loaded = store.load(&id(format!("room-{number}")), NOBODY).await.unwrap();
        assert_eq!(loaded.revision, revision);
        assert_eq!(loaded.record.unwrap().room, id(format!("room-{number}")));
    }
}

pub async fn a_removed_room_leaves_nothing_behind(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let change = Change {
        members: vec![joins(participant("ann", 5)), joins(participant("bob", 6))],
        kept: vec![KeptChange::Append(id("ann"), "{}".into()), KeptChange::Append(id("owner"), "{}".into())],
        ..Change::default()
    };
    done(store.commit(&id("demo"), revision, change).await.unwrap());
    let remove = Change { record: RecordChange::Remove, ..Change::default() };
    assert_eq!(
        store.commit(&id("demo"), revision, remove).await.unwrap(),
        Committed::Done(Revision::default())
    );
    assert!(is_nothing(&store.load(&id("demo"), Asked::First(10)).await.unwrap()));

    create(&*store, "demo").await;
    let everyone = Asked::Users(vec![id("ann"), id("bob")]);
    let loaded = store.load(&id("demo"), everyone).await.unwrap();
    assert_eq!((loaded.audience.count, loaded.members.len()), (0, 0), "the id is free for a fresh room");
    for user in ["ann", "owner"] {
        assert!(store.take_kept(&id("demo"), &id(user)).await.unwrap().signals.is_empty());
    }
}

pub async fn a_revision_never_comes_again(place: &dyn Place) {
    let store = place.connect().await;
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let first = create(&*store, "demo").await;
        let second = done(store.commit(&id("demo"), first, put("demo")).await.unwrap());
        assert!(seen.insert(first) && seen.insert(second) && first != Revision::default());
        let remove = Change { record: RecordChange::Remove, ..Change::default() };
        done(store.commit(&id("demo"), second, remove).await.unwrap());
        let stale = store.commit(&id("demo"), first, put("demo")).await.unwrap();
        assert_eq!(stale, Committed::Conflict);
    }
}

pub async fn members_need_a_room(place: &dyn Place) {
    let store = place.connect().await;
    let change = with_members([joins(participant("ann", 5))]);
    let outcome = store.commit(&id("demo"), Revision::default(), change).await.unwrap();
    assert_eq!(outcome, Committed::Conflict);
    let change = Change { kept: vec![KeptChange::Append(id("ann"), "{}".into())], ..Change::default() };
    let outcome = store.commit(&id("demo"), Revision::default(), change).await.unwrap();
    assert_eq!(outcome, Committed::Conflict);

    let change = Change { members: vec![joins(participant("ann", 5))], ..put("demo") };
    done(store.commit(&id("demo"), Revision::default(), change).await.unwrap());
    assert_eq!(store.load(&id("demo"), NOBODY).await.unwrap().audience.count, 1);

    let revision = store.load(&id("demo"), NOBODY).await.unwrap().revision;
    let remove = Change {
        record: RecordChange::Remove,
        members: vec![MemberChange::Remove { was: "whatever".into(), user: id("ann") }],
        ..Change::default()
    };
    done(store.commit(&id("demo"), revision, remove).await.unwrap());
    assert!(is_nothing(&store.load(&id("demo"), Asked::First(10)).await.unwrap()));
}
