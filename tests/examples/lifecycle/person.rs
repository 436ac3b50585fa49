//! Somebody in a call who does what a good client does: publishes, watches everybody else, begins anew when
//! a munit is lost, moves along when it is told to. What is measured is what comes to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mobz_tests::{Client, Peer, Picture, Stack};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How often one says that one lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often it is looked whether the station that a publisher has moved to is shown.
const LOOK: Duration = Duration::from_millis(20);
/// When to try again what was refused without saying when.
const RETRY: Duration = Duration::from_millis(200);

/// Somebody in a call; gone when dropped.
pub(crate) struct Person {
    pub(crate) user: String,
    seen: Arc<Mutex<Seen>>,
    leaves: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    signals: Vec<(Instant, Value)>,
    watched: Vec<Watched>,
    /// The stations one has published on, the last one the present one.
    sends: Vec<(String, Peer)>,
}

/// A station that is, or was, watched.
struct Watched {
    user: String,
    station: String,
    peer: Peer,
}

/// What came of one publisher, as it is shown: each connection from its first key frame on, until the next has one.
pub(crate) struct Shown {
    pub(crate) pictures: Vec<Picture>,
    /// How many were missing between those of one connection.
    pub(crate) lost: u64,
    /// The stations they came from, in order.
    pub(crate) stations: Vec<String>,
}

impl Shown {
    /// The longest time without a picture that ended after `since`.
    pub(crate) fn gap_since(&self, since: Instant) -> Duration {
        let pairs = self.pictures.windows(2).filter(|pair| pair[1].at >= since);
        pairs.map(|pair| pair[1].at.duration_since(pair[0].at)).max().unwrap_or_default()
    }

    /// As [`Self::gap_since`], of those that ended before `until` too.
    pub(crate) fn gap_between(&self, since: Instant, until: Instant) -> Duration {
        let pairs = self.pictures.windows(2).filter(|pair| pair[1].at >= since && pair[1].at <= until);
        pairs.map(|pair| pair[1].at.duration_since(pair[0].at)).max().unwrap_or_default()
    }
}

impl Person {
    /// Joins; publishes, or watches only.
    pub(crate) async fn join(stack: &Stack, room: &str, user: &str, publishes: bool) -> Self {
        let mut client = stack.connect().await;
        let fields = json!({ "room": room, "mode": "m2m", "user": { "id": user }, "publish": publishes });
        let ack = client.join_with(fields).await;
        let seen = Arc::<Mutex<Seen>>::default();
        let (leaves, left) = mpsc::channel(1);
        let mut acting = Acting {
            client,
            user: user.to_owned(),
            publishes,
            seen: seen.clone(),
            offering: None,
            stations: BTreeMap::new(),
            again: Vec::new(),
        };
        let task = tokio::spawn(async move {
            if publishes {
                acting.offer().await;
            }
            acting.listed(&ack["publishers"], &json!([])).await;
            acting.run(left).await;
        });
        Self { user: user.to_owned(), seen, leaves, task }
    }

    /// Leaves the room.
    pub(crate) async fn leave(mut self) {
        // One whose connection ended has left.
        let _ended_already = self.leaves.send(()).await;
        let _ended = (&mut self.task).await;
    }

    /// The station it publishes on.
    pub(crate) fn station(&self) -> Option<String> {
        self.seen().sends.last().map(|(station, _)| station.clone())
    }

    /// When it was first told something like this after `since`.
    pub(crate) fn told(&self, since: Instant, is: impl Fn(&Value) -> bool) -> Option<Instant> {
        self.seen().signals.iter().find(|(at, signal)| *at >= since && is(signal)).map(|(at, _)| *at)
    }

    /// What it has seen of a publisher.
    pub(crate) fn shown(&self, of: &str) -> Shown {
        let seen = self.seen();
        let mut shown = Shown { pictures: Vec::new(), lost: 0, stations: Vec::new() };
        for watched in seen.watched.iter().filter(|watched| watched.user == of) {
            let pictures = watched.peer.pictures();
            let Some(first) = pictures.iter().position(|picture| picture.key) else { continue };
            let next = &pictures[first..];
            shown.pictures.retain(|picture| picture.at < next[0].at);
            shown.lost +=
                next.windows(2).map(|pair| pair[1].number.saturating_sub(pair[0].number + 1)).sum::<u64>();
            shown.pictures.extend(next);
            shown.stations.push(watched.station.clone());
        }
        shown
    }

    /// When the first picture of a publisher came from another station than these.
    pub(crate) fn first_from_another(&self, of: &str, than: &str) -> Option<Instant> {
        let seen = self.seen();
        let other = seen.watched.iter().filter(|watched| watched.user == of && watched.station != than);
        other
            .filter_map(|watched| {
                watched.peer.pictures().iter().find(|picture| picture.key).map(|picture| picture.at)
            })
            .min()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to be done anew.
enum Again {
    Offer,
    Watch(String),
    /// Let a station go, if the one that replaces it is shown by now.
    Unwatch {
        station: String,
        by: String,
    },
}

struct Acting {
    client: Client,
    user: String,
    publishes: bool,
    seen: Arc<Mutex<Seen>>,
    offering: Option<Peer>,
    /// The publishers' stations that are watched, or were asked for.
    stations: BTreeMap<String, String>,
    again: Vec<(Instant, Again)>,
}

impl Acting {
    async fn run(&mut self, mut left: mpsc::Receiver<()>) {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            let due = self.again.iter().map(|(at, _)| *at).min();
            let due = due.unwrap_or_else(|| Instant::now() + HEARTBEAT);
            tokio::select! {
                signal = self.client.next() => match signal {
                    Some(signal) => self.told(signal).await,
                    None => return,
                },
                _ = heartbeat.tick() => self.client.send(json!({ "type": "Heartbeat" })).await,
                () = tokio::time::sleep_until(due.into()) => self.again().await,
                left = left.recv() => {
                    if left.is_some() {
                        self.client.done(json!({ "type": "Leave" })).await;
                    }
                    return;
                }
            }
        }
    }

    async fn told(&mut self, signal: Value) {
        if signal["type"] != "HeartbeatAck" {
            self.seen.lock().unwrap().signals.push((Instant::now(), signal.clone()));
        }
        match signal["type"].as_str().unwrap_or_default() {
            "Answer" => self.published(&signal),
            "WatchAck" => {
                self.answer(&signal).await;
                let by = text(&signal["station"]);
                if let Some(station) = signal["replaces"].as_str().filter(|replaced| *replaced != by) {
                    self.again
                        .push((Instant::now() + LOOK, Again::Unwatch { station: station.to_owned(), by }));
                }
            }
            "PublishListChangeAck" | "RoomState" => {
                self.listed(&signal["publishers"], &signal["moved"]).await;
            }
            "StationLost" => {
                let (station, user) = (text(&signal["station"]), text(&signal["user"]));
                if self.stations.get(&user) == Some(&station) {
                    self.stations.remove(&user);
                }
                let is_mine = self.publishes && user == self.user;
                let present = self.seen.lock().unwrap().sends.last().map(|(station, _)| station.clone());
                if is_mine && present == Some(station) {
                    self.offer().await;
                }
            }
            "Error" => self.refused(&signal),
            _ => {}
        }
    }

    fn refused(&mut self, signal: &Value) {
        let again = match signal["re"].as_str().unwrap_or_default().split_once(':') {
            Some(("offer", _)) => Again::Offer,
            Some(("watch", station)) => Again::Watch(station.to_owned()),
            Some(_) | None => return,
        };
        let after = signal["retryAfter"].as_u64().map_or(RETRY, Duration::from_millis);
        self.again.push((Instant::now() + after, again));
    }

    async fn again(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.again).into_iter().partition(|(at, _)| *at <= now);
        self.again = later;
        for (_, again) in due as Vec<(Instant, Again)> {
            match again {
                Again::Offer => self.offer().await,
                // Another may have taken its place meanwhile.
                Again::Watch(station) if self.stations.values().any(|watched| *watched == station) => {
                    self.watch(&station).await;
                }
                Again::Watch(_) => {}
                Again::Unwatch { station, by } if self.shows(&by) => {
                    self.client.send(json!({ "type": "Unwatch", "station": station })).await;
                }
                // Until then there is only the old one to show.
                unwatch @ Again::Unwatch { .. } => self.again.push((Instant::now() + LOOK, unwatch)),
            }
        }
    }

    fn shows(&self, station: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.watched.iter().rev().any(|watched| watched.station == station && watched.peer.shows())
    }

    async fn offer(&mut self) {
        let (peer, sdp) = Peer::publisher().await;
        self.offering = Some(peer);
        self.client.send(json!({ "type": "Offer", "sdp": sdp, "id": "offer:" })).await;
    }

    fn published(&mut self, answer: &Value) {
        if let Some(peer) = self.offering.take() {
            peer.accept(&text(&answer["sdp"]));
            self.seen.lock().unwrap().sends.push((text(&answer["station"]), peer));
        }
    }

    async fn watch(&mut self, station: &str) {
        let id = format!("watch:{station}");
        self.client.send(json!({ "type": "Watch", "station": station, "id": id })).await;
    }

    /// The publishers, as they are now: who is not watched yet is; one that moved is offered unasked.
    async fn listed(&mut self, publishers: &Value, moved: &Value) {
        for publisher in publishers.as_array().into_iter().flatten() {
            let (user, station) = (text(&publisher["user"]), text(&publisher["station"]));
            let has_moved =
                moved.as_array().into_iter().flatten().any(|it| it["user"] == user && it["to"] == station);
            if user == self.user {
                if has_moved {
                    self.offer().await;
                }
                continue;
            }
            if station.is_empty() || self.stations.get(&user) == Some(&station) {
                continue;
            }
            self.stations.insert(user.clone(), station.clone());
            if publisher["sdp"].is_string() {
                self.answer(publisher).await;
            } else if !has_moved {
                self.watch(&station).await;
            }
        }
    }

    async fn answer(&mut self, offered: &Value) {
        let (user, station) = (text(&offered["user"]), text(&offered["station"]));
        let (peer, sdp) = Peer::viewer(&text(&offered["sdp"])).await;
        self.client.send(json!({ "type": "Answer", "station": station, "sdp": sdp })).await;
        self.stations.insert(user.clone(), station.clone());
        self.seen.lock().unwrap().watched.push(Watched { user, station, peer });
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
