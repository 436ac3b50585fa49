//! Who is alive, and which rooms they serve.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mobz_core::id::{NodeId, RoomId};
use mobz_core::store::DUE_CLAIM;
use mobz_core::time::millis;

use super::{Place, at, id};

pub async fn a_lost_node_is_claimed_by_one_and_stays_until_forgotten(place: &dyn Place) {
    let stores = [place.connect().await, place.connect().await];
    stores[0].beat(&id("n.1"), at(100)).await.unwrap();
    stores[0].beat(&id("n.2"), at(9_000_000)).await.unwrap();
    assert!(stores[1].claim_lost(at(100)).await.unwrap().is_empty(), "it lives until then");
    let claims = (0..10_usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { store.claim_lost(at(101)).await.unwrap() })
    });
    let claimed: Vec<NodeId> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claimed, [id::<NodeId>("n.1")]);

    let claim = millis(DUE_CLAIM);
    assert!(stores[0].claim_lost(at(101 + claim - 1)).await.unwrap().is_empty());
    let again = stores[0].claim_lost(at(101 + claim)).await.unwrap();
    assert_eq!(again, [id::<NodeId>("n.1")], "its claimer did not finish");
    stores[0].forget(&id("n.1")).await.unwrap();
    stores[0].forget(&id("n.1")).await.unwrap();
    assert!(stores[0].claim_lost(at(101 + 10 * claim)).await.unwrap().is_empty());
}

pub async fn a_node_that_beats_again_is_not_lost(place: &dyn Place) {
    let store = place.connect().await;
    store.beat(&id("n"), at(100)).await.unwrap();
    assert_eq!(store.claim_lost(at(200)).await.unwrap(), [id::<NodeId>("n")]);
    store.beat(&id("n"), at(300)).await.unwrap();
    assert!(store.claim_lost(at(300)).await.unwrap().is_empty());
    assert_eq!(store.claim_lost(at(301)).await.unwrap(), [id::<NodeId>("n")], "the claim went with the beat");
}

pub async fn the_rooms_of_a_node_are_kept_until_detached_or_forgotten(place: &dyn Place) {
    let store = place.connect().await;
    let node = id::<NodeId>("n");
    let rooms = async || {
        let rooms = store.rooms_of(&node, 100).await.unwrap();
        let count = rooms.len();
        let rooms: BTreeSet<RoomId> = rooms.into_iter().collect();
        assert_eq!(rooms.len(), count, "each once");
        rooms.into_iter().map(|room| room.to_string()).collect::<Vec<_>>().join(" ")
    };
    for room in ["a", "b", "c", "a"] {
        store.attach(&node, &id(room)).await.unwrap();
    }
    store.attach(&id("n.2"), &id("d")).await.unwrap();
    assert_eq!(rooms().await, "a b c");
    assert_eq!(store.rooms_of(&node, 2).await.unwrap().len(), 2);
    store.detach(&node, &id("b")).await.unwrap();
    store.detach(&node, &id("never")).await.unwrap();
    assert_eq!(rooms().await, "a c");
    store.beat(&node, at(100)).await.unwrap();
    store.forget(&node).await.unwrap();
    assert_eq!(rooms().await, "");
    assert_eq!(store.rooms_of(&id("n.2"), 100).await.unwrap(), [id::<RoomId>("d")]);
}
