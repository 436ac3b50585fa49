//! Signals kept for away participants.

use std::sync::Arc;

use mobz_core::store::{Change, KEPT_BYTES_MAX, KEPT_MAX, Kept, KeptChange, MemberChange, Revision, Store};

use super::{Place, create, done, id, joins, participant, with_members};

async fn change_kept(store: &dyn Store, revision: Revision, kept: Vec<KeptChange>) {
    let change = Change { kept, ..Change::default() };
    done(store.commit(&id("demo"), revision, change).await.unwrap());
}

fn append(user: &str, signal: impl Into<Arc<str>>) -> KeptChange {
    KeptChange::Append(id(user), signal.into())
}

async fn take(store: &dyn Store, user: &str) -> Kept {
    store.take_kept(&id("demo"), &id(user)).await.unwrap()
}

pub async fn kept_signals_are_taken_once_and_in_order(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    change_kept(&*store, revision, vec![append("ann", r#"{"n":1,"ö":"\u0000"}"#), append("bob", "{}")]).await;
    change_kept(&*store, revision, vec![append("ann", "2"), append("ann", "3")]).await;
    let kept = take(&*store, "ann").await;
    assert_eq!(
        kept.signals.iter().map(|text| &**text).collect::<Vec<_>>(),
        [r#"{"n":1,"ö":"\u0000"}"#, "2", "3"]
    );
    assert!(!kept.missed);
    assert_eq!(take(&*store, "ann").await, Kept::default());
    assert_eq!(take(&*store, "bob").await.signals.len(), 1);
    assert_eq!(take(&*store, "nobody").await, Kept::default());
}

pub async fn past_the_most_signals_some_are_missed(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let signals = |range: std::ops::Range<usize>| range.map(|n| append("ann", n.to_string())).collect();
    change_kept(&*store, revision, signals(0..KEPT_MAX)).await;
    change_kept(&*store, revision, signals(KEPT_MAX..KEPT_MAX + 2)).await;
    let kept = take(&*store, "ann").await;
    assert!(kept.missed);
    assert_eq!(kept.signals.len(), KEPT_MAX);
    assert_eq!(kept.signals[KEPT_MAX - 1].parse(), Ok(KEPT_MAX - 1), "the earliest are kept");

    change_kept(&*store, revision, signals(0..KEPT_MAX)).await;
    let kept = take(&*store, "ann").await;
    assert_eq!((kept.signals.len(), kept.missed), (KEPT_MAX, false), "taking forgets that some were missed");
}

pub async fn past_the_most_bytes_some_are_missed(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let large: Arc<str> = "x".repeat(KEPT_BYTES_MAX / 2).into();
    change_kept(&*store, revision, vec![append("ann", large.clone()), append("ann", large.clone())]).await;
    assert!(!take(&*store, "ann").await.missed, "the limit itself is allowed");

    let (fits, over, small) =
        (append("ann", large.clone()), append("ann", large.to_string() + "xx"), append("ann", "x"));
    change_kept(&*store, revision, vec![fits, over, small]).await;
    let kept = take(&*store, "ann").await;
    assert_eq!((kept.signals.len(), kept.missed), (1, true), "nothing follows a gap");
}

pub async fn kept_signals_go_with_their_member_and_when_cleared(place: &dyn Place) {
    let store = place.connect().await;
    let revision = create(&*store, "demo").await;
    let change = with_members([joins(participant("ann", 5))]);
    done(store.commit(&id("demo"), revision, change).await.unwrap());
    change_kept(&*store, revision, vec![append("ann", "1"), append("bob", "1")]).await;

    let gone = MemberChange::Remove { was: participant("ann", 5).resume, user: id("ann") };
    done(store.commit(&id("demo"), revision, with_members([gone])).await.unwrap());
    assert_eq!(take(&*store, "ann").await, Kept::default());

    change_kept(&*store, revision, vec![KeptChange::Clear(id("bob")), append("bob", "2")]).await;
    let kept = take(&*store, "bob").await;
    assert_eq!(kept.signals.iter().map(|text| &**text).collect::<Vec<_>>(), ["2"]);
    change_kept(&*store, revision, vec![KeptChange::Clear(id("nobody"))]).await;
}
