//! The audience of a p2m room, kept beside its record.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mobz_core::id::NodeId;
use mobz_core::room::{Heir, Participant};
use mobz_core::store::{AUDIENCE_BATCH_MAX, Asked, Change, Committed, MemberChange, Revision, Store};

use super::{Place, at, create, done, id, joins, participant, with_members};

async fn commit(store: &dyn Store, revision: Revision, members: Vec<MemberChange>) -> Committed {
    store.commit(&id("demo"), revision, with_members(members)).await.unwrap()
}

fn replaces(was: &Participant, now: Participant) -> MemberChange {
    MemberChange::Put { was: Some(was.resume.clone()), now: Box::new(now) }
}

fn leaves(member: &Participant) -> MemberChange {
    MemberChange::Remove { was: member.resume.clone(), user: member.user.clone() }
}

fn users(members: &[Participant]) -> Vec<&str> {
    members.iter().map(|member| member.user.as_str()).collect()
}

pub async fn a_member_is_put_and_removed_beside_the_record(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let ann = participant("ann@example.org:8", 5);
    done(commit(&*store, revision, vec![joins(ann.clone())]).await);
    let asked = Asked::Users(vec![id("nobody"), ann.user.clone()]);
    let loaded = store.load(&id("demo"), asked.clone()).await.unwrap();
    assert_eq!(loaded.members, std::slice::from_ref(&ann), "those of the users that are there");
    assert_eq!(loaded.audience.count, 1);

    let mut back = ann.clone();
    (back.resume, back.address.node) = ("another".into(), id("node-2"));
    done(commit(&*store, revision, vec![replaces(&ann, back.clone())]).await);
    let loaded = store.load(&id("demo"), asked.clone()).await.unwrap();
    assert_eq!((loaded.audience.count, loaded.members), (1, vec![back.clone()]));
    assert_eq!(loaded.audience_nodes, [id::<NodeId>("node-2")]);

    done(commit(&*store, revision, vec![leaves(&back)]).await);
    let loaded = store.load(&id("demo"), asked).await.unwrap();
    assert_eq!((loaded.audience.count, loaded.members.len(), loaded.audience_nodes.len()), (0, 0, 0));
    assert!(loaded.audience.heirs.is_empty() && loaded.record.is_some());
}

pub async fn a_member_changed_meanwhile_is_a_conflict(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let ann = participant("ann", 5);
    done(commit(&*store, revision, vec![joins(ann.clone())]).await);
    let mut stale = ann.clone();
    stale.resume = "older".into();

    let refused = [
        vec![joins(ann.clone())],
        vec![replaces(&stale, ann.clone())],
        vec![leaves(&stale)],
        vec![replaces(&participant("bob", 6), participant("bob", 6))],
        vec![leaves(&participant("bob", 6))],
        // One that fits does not go through beside one that does not.
        vec![joins(participant("cec", 7)), leaves(&stale)],
    ];
    for members in refused {
        assert_eq!(commit(&*store, revision, members.clone()).await, Committed::Conflict, "{members:?}");
    }
    let change = Change { members: vec![leaves(&stale)], due: Some(at(0)), ..super::put("demo") };
    assert_eq!(store.commit(&id("demo"), revision, change).await.unwrap(), Committed::Conflict);

    let loaded = store.load(&id("demo"), Asked::First(10)).await.unwrap();
    assert_eq!((loaded.members, loaded.revision), (vec![ann], revision));
    assert_eq!(loaded.audience.count, 1);
}

pub async fn one_member_may_change_twice_in_one_commit(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let ann = participant("ann", 5);
    let mut again = participant("ann", 9);
    (again.resume, again.address.node) = ("fresh".into(), id("node-2"));
    done(commit(&*store, revision, vec![joins(ann.clone())]).await);
    let (gone, come) = (leaves(&ann), joins(again.clone()));
    done(commit(&*store, revision, vec![gone, come]).await);
    let loaded = store.load(&id("demo"), Asked::First(10)).await.unwrap();
    assert_eq!((loaded.audience.count, loaded.members), (1, vec![again.clone()]));
    assert_eq!(loaded.audience_nodes, [id::<NodeId>("node-2")]);
    let twice = vec![leaves(&again), leaves(&again)];
    assert_eq!(commit(&*store, revision, twice).await, Committed::Conflict);
}

pub async fn the_longest_present_is_heir_unless_one_has_the_grant(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let heir = |user: &str, order, by_grant| Heir { user: id(user), by_grant, order };
    let heirs = async || store.load(&id("demo"), Asked::First(0)).await.unwrap().audience.heirs;

    done(
        commit(&*store, revision, vec![joins(participant("late", 30)), joins(participant("bea", 10))]).await,
    );
    done(commit(&*store, revision, vec![joins(participant("abe", 10))]).await);
    assert_eq!(heirs().await, [heir("abe", 10, false), heir("bea", 10, false)], "ties go by user id");

    let mut granted = [participant("gus", 1_700_000_000_040), participant("gil", 1_700_000_000_041)];
    for member in &mut granted {
        member.grants.owner = true;
    }
    done(commit(&*store, revision, vec![joins(granted[1].clone())]).await);
    assert_eq!(heirs().await, [heir("gil", 1_700_000_000_041, true), heir("abe", 10, false)]);
    done(commit(&*store, revision, vec![joins(granted[0].clone())]).await);
    assert_eq!(heirs().await, [heir("gus", 1_700_000_000_040, true), heir("gil", 1_700_000_000_041, true)]);

    let mut demoted = granted[0].clone();
    demoted.grants.owner = false;
    done(commit(&*store, revision, vec![replaces(&granted[0], demoted), leaves(&granted[1])]).await);
    done(
        commit(&*store, revision, vec![leaves(&participant("abe", 10)), leaves(&participant("bea", 10))])
            .await,
    );
    assert_eq!(heirs().await, [heir("late", 30, false), heir("gus", 1_700_000_000_040, false)]);
}

pub async fn the_due_members_come_earliest_first(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let due = |user: &str, until: Option<u64>| {
        let mut member = participant(user, 5);
        (member.away_since, member.away_until) = (until.map(|_| at(0)), until.map(at));
        member
    };
    let members = [due("c", Some(300)), due("a", Some(200)), due("b", Some(100)), due("d", None)];
    done(commit(&*store, revision, members.iter().cloned().map(joins).collect()).await);

    let loaded = store.load(&id("demo"), Asked::Due(at(200))).await.unwrap();
    assert_eq!(users(&loaded.members), ["b", "a"]);
    assert_eq!(loaded.audience.due, Some(at(100)));
    let loaded = store.load(&id("demo"), Asked::Due(at(99))).await.unwrap();
    assert!(loaded.members.is_empty());

    done(commit(&*store, revision, vec![replaces(&members[2], due("b", None)), leaves(&members[1])]).await);
    let loaded = store.load(&id("demo"), Asked::Due(at(1000))).await.unwrap();
    assert_eq!((users(&loaded.members), loaded.audience.due), (vec!["c"], Some(at(300))));
    done(commit(&*store, revision, vec![leaves(&members[0])]).await);
    assert_eq!(store.load(&id("demo"), Asked::First(0)).await.unwrap().audience.due, None);
}

pub async fn members_are_found_by_their_node_unless_they_are_away(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let on = |user: &str, node: &str, away: bool| {
        let mut member = participant(user, 5);
        member.address.node = id(node);
        (member.away_since, member.away_until) = (away.then(|| at(0)), away.then(|| at(9)));
        member
    };
    let at_node = async |node: &str| {
        let loaded = store.load(&id("demo"), Asked::At(id(node))).await.unwrap();
        let nodes: BTreeSet<String> = loaded.audience_nodes.iter().map(ToString::to_string).collect();
        let mut found: Vec<String> = users(&loaded.members).into_iter().map(str::to_owned).collect();
        found.sort();
        (found.join(" "), nodes.into_iter().collect::<Vec<_>>().join(" "))
    };
    // One node's id begins with the other's.
    let members = [on("a", "n", false), on("b", "n.1", false), on("c", "n", true), on("d", "n", false)];
    done(commit(&*store, revision, members.iter().cloned().map(joins).collect()).await);
    assert_eq!(at_node("n").await, ("a d".to_owned(), "n n.1".to_owned()));
    assert_eq!(at_node("n.1").await.0, "b");
    assert_eq!(at_node("n.2").await.0, "");

    let (gone, lost) = (leaves(&members[0]), replaces(&members[3], on("d", "n", true)));
    done(commit(&*store, revision, vec![gone, lost]).await);
    assert_eq!(at_node("n").await, (String::new(), "n.1".to_owned()));
    let (back, moved) =
        (replaces(&members[2], on("c", "n", false)), replaces(&members[1], on("b", "n.2", false)));
    done(commit(&*store, revision, vec![back, moved]).await);
    assert_eq!(at_node("n").await, ("c".to_owned(), "n n.2".to_owned()));
    let loaded = store.load(&id("demo"), Asked::First(10)).await.unwrap();
    assert_eq!(loaded.audience.count, 3, "away ones are counted");
}

pub async fn an_audience_of_thousands_is_counted_and_read_in_batches(place: &dyn Place) {
    const VIEWERS: u64 = 5000;
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    for batch in 0..VIEWERS / 500 {
        let members = (batch * 500..(batch + 1) * 500).map(|number| {
            let mut member = participant(&format!("viewer-{number}"), number + 1);
            (member.offer_until, member.address.node) =
                (Some(at(number)), id(format!("node-{}", number % 3)));
            joins(member)
        });
        done(commit(&*store, revision, members.collect()).await);
    }
    let loaded = store.load(&id("demo"), Asked::First(3)).await.unwrap();
    assert_eq!(loaded.audience.count, VIEWERS);
    assert_eq!(loaded.audience.heirs[0].user, id("viewer-0"));
    assert_eq!(users(&loaded.members), ["viewer-0", "viewer-1", "viewer-2"]);
    assert_eq!(loaded.audience_nodes.len(), 3);
    for asked in [Asked::Due(at(VIEWERS)), Asked::At(id("node-1"))] {
        let loaded = store.load(&id("demo"), asked).await.unwrap();
        assert_eq!(loaded.members.len(), AUDIENCE_BATCH_MAX);
    }
    let everyone = store.load(&id("demo"), Asked::First(usize::MAX / 2)).await.unwrap().members;
    assert_eq!(everyone.len() as u64, VIEWERS);
    for batch in everyone.chunks(500) {
        done(commit(&*store, revision, batch.iter().map(leaves).collect()).await);
    }
    let loaded = store.load(&id("demo"), Asked::First(1)).await.unwrap();
    assert_eq!((loaded.audience.count, loaded.members.len(), loaded.audience_nodes.len()), (0, 0, 0));
}

pub async fn concurrent_joins_of_an_audience_do_not_conflict(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    let revision = create(&*stores[0], "demo").await;
    let outcomes = join_all((0..300_usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move {
            commit(&*store, revision, vec![joins(participant(&format!("v{number}"), 5))]).await
        })
    }))
    .await;
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == Committed::Done(revision)));
    assert_eq!(stores[1].load(&id("demo"), Asked::First(0)).await.unwrap().audience.count, 300);
}
