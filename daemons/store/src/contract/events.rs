//! The log of state changes.

use std::time::{Duration, Instant};

use mobz_core::store::{EVENTS_MAX, Event, Store};

use super::{PATIENCE, Place, SILENCE, at};

const NOW: Duration = Duration::ZERO;

fn event(number: usize) -> Event {
    let data = format!(r#"{{"n":{number},"ö":"\u0000"}}"#).into();
    Event { seq: 77, at: at(number as u64), name: format!("room.event-{number}"), data }
}

async fn append(store: &dyn Store, numbers: std::ops::Range<usize>) {
    store.append(numbers.map(event).collect()).await.unwrap();
}

pub async fn events_are_numbered_in_order(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    append(&*one, 1..3).await;
    append(&*other, 3..4).await;
    append(&*other, 4..4).await;
    let (events, end) = one.after(Some(0), 10, NOW).await.unwrap();
    let expected: Vec<Event> = (1..4).map(|number| Event { seq: number as u64, ..event(number) }).collect();
    assert_eq!((events, end), (expected, 3));
}

pub async fn events_are_replayed_from_where_one_left(place: &dyn Place) {
    let store = place.connect().await;
    append(&*store, 1..21).await;
    let mut next = 5;
    let mut heard = Vec::new();
    while next < 20 {
        let (events, end) = store.after(Some(next), 4, NOW).await.unwrap();
        assert!((1..=4).contains(&events.len()));
        heard.extend(events.iter().map(|event| event.seq));
        next = end;
    }
    assert_eq!(heard, (6..=20).collect::<Vec<_>>());
    assert_eq!(store.after(Some(20), 4, NOW).await.unwrap(), (Vec::new(), 20));
}

pub async fn the_end_is_where_new_events_begin(place: &dyn Place) {
    let store = place.connect().await;
    let (events, start) = store.after(None, 10, NOW).await.unwrap();
    assert_eq!((events.len(), start), (0, 0));
    append(&*store, 1..4).await;
    let (events, end) = store.after(None, 10, NOW).await.unwrap();
    assert_eq!((events.len(), end), (0, 3));
    append(&*store, 4..5).await;
    let (events, end) = store.after(Some(end), 10, NOW).await.unwrap();
    assert_eq!((events.len(), end), (1, 4));
}

pub async fn waiting_for_events_ends_with_the_first_or_in_time(place: &dyn Place) {
    let (one, other) = (place.connect().await, place.connect().await);
    let waited = Instant::now();
    assert_eq!(one.after(None, 10, SILENCE).await.unwrap(), (Vec::new(), 0));
    assert!(waited.elapsed() >= SILENCE);

    for from in [None, Some(1)] {
        let waiting = {
            let one = one.clone();
            tokio::spawn(async move { one.after(from, 10, PATIENCE).await.unwrap() })
        };
        tokio::time::sleep(SILENCE).await;
        assert!(!waiting.is_finished(), "{:?}", waiting.await);
        append(&*other, 1..2).await;
        let (events, _) = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
        assert_eq!(events.len(), 1);
    }
    assert_eq!(one.after(Some(0), 10, PATIENCE).await.unwrap().0.len(), 2, "what is there needs no waiting");
}

pub async fn the_log_keeps_the_newest(place: &dyn Place) {
    let store = place.connect().await;
    let all = EVENTS_MAX + 50;
    for from in (0..all).step_by(500) {
        append(&*store, from..all.min(from + 500)).await;
    }
    let (events, _) = store.after(Some(0), 1, NOW).await.unwrap();
    assert_eq!(events[0].seq, 51, "exactly {EVENTS_MAX} are kept");
    let (events, end) = store.after(Some(all as u64 - 1), 10, NOW).await.unwrap();
    assert_eq!((events.len(), end), (1, all as u64));
}

pub async fn a_number_of_another_log_gets_all_that_is_kept(place: &dyn Place) {
    let store = place.connect().await;
    append(&*store, 1..4).await;
    let (events, end) = store.after(Some(5000), 10, NOW).await.unwrap();
    assert_eq!((events.len(), end), (3, 3));
}
