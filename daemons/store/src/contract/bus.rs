//! Messages to one node alone.

use bytes::Bytes;
use mobz_core::id::NodeId;
use mobz_core::store::{BusEvent, Subscription};
use tokio::time::timeout;

use super::{PATIENCE, Place, SILENCE, eventually, id};

pub(super) async fn hear(subscription: &mut Box<dyn Subscription>) -> Bytes {
    let event = timeout(PATIENCE, subscription.next()).await.expect("nothing is heard");
    let Some(BusEvent::Message(message)) = event else { panic!("no message but {event:?}") };
    message
}

pub(super) async fn hears_nothing(subscription: &mut Box<dyn Subscription>) {
    let event = timeout(SILENCE, subscription.next()).await;
    assert!(event.is_err(), "heard {event:?}");
}

pub async fn a_message_reaches_its_node_alone(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let (mut a, mut b) = (one.listen(&id("a")).await.unwrap(), other.listen(&id("b")).await.unwrap());
    assert!(other.send(&id("a"), Bytes::from_static(b"to a")).await.unwrap());
    assert!(one.send(&id("b"), Bytes::from_static(b"to b")).await.unwrap());
    assert_eq!((hear(&mut a).await, hear(&mut b).await), ("to a".into(), "to b".into()));
    hears_nothing(&mut a).await;
    hears_nothing(&mut b).await;
}

pub async fn sending_says_whether_anyone_listens(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let a: NodeId = id("a");
    assert!(!other.send(&a, Bytes::from_static(b"x")).await.unwrap());
    let subscription = one.listen(&a).await.unwrap();
    assert!(other.send(&a, Bytes::from_static(b"x")).await.unwrap());
    drop(subscription);
    eventually("nobody listens any more", async || {
        (!other.send(&a, Bytes::from_static(b"x")).await.unwrap()).then_some(())
    })
    .await;
}

pub async fn messages_arrive_in_order_and_whole(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let mut subscription = one.listen(&id("a")).await.unwrap();
    for number in 0..500_u32 {
        other.send(&id("a"), Bytes::copy_from_slice(&number.to_be_bytes())).await.unwrap();
    }
    for number in 0..500_u32 {
        assert_eq!(hear(&mut subscription).await, number.to_be_bytes()[..]);
    }
    let every_byte: Bytes = (0..=255_u8).cycle().take(1 << 20).collect();
    other.send(&id("a"), every_byte.clone()).await.unwrap();
    other.send(&id("a"), Bytes::new()).await.unwrap();
    assert!(hear(&mut subscription).await == every_byte);
    assert!(hear(&mut subscription).await.is_empty());
}

pub async fn two_processes_may_listen_and_many_topics_be_heard(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let (mut here, mut there) = (one.listen(&id("a")).await.unwrap(), other.listen(&id("a")).await.unwrap());
    one.send(&id("a"), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!((hear(&mut here).await, hear(&mut there).await), ("x".into(), "x".into()));

    let mut many = Vec::new();
    for number in 0..100 {
        many.push(one.listen(&id(format!("many-{number}"))).await.unwrap());
    }
    for number in 0..100 {
        assert!(other.send(&id(format!("many-{number}")), Bytes::from(number.to_string())).await.unwrap());
    }
    for (number, subscription) in many.iter_mut().enumerate() {
        assert_eq!(hear(subscription).await, number.to_string());
    }
}

pub async fn a_dropped_subscription_hears_nothing_and_disturbs_nobody(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let (first, mut second) = (one.listen(&id("a")).await.unwrap(), one.listen(&id("a")).await.unwrap());
    drop(first);
    for _ in 0..50 {
        // Listening again at once must not meet the end of the one before.
        drop(one.listen(&id("b")).await.unwrap());
        let mut again = one.listen(&id("b")).await.unwrap();
        assert!(other.send(&id("b"), Bytes::from_static(b"y")).await.unwrap());
        assert_eq!(hear(&mut again).await, "y");
    }
    other.send(&id("a"), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(hear(&mut second).await, "x");
}
