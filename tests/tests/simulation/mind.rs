//! What a client knows and wants: it behaves as PROTOCOL.md says one should.

use std::collections::BTreeMap;
use std::time::Duration;

use mobz_core::id::StationId;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::chance::{happens, millis};
use crate::janus::Peer;

/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// How long a connection without media is kept.
const DARK_MAX: Duration = Duration::from_secs(8);
/// How long the offer of a station that took the place of a watched one is waited for.
const REPLACED_MAX: Duration = Duration::from_secs(15);

/// What can be seen of media from outside.
pub(crate) trait Media {
    fn is_up(&self, peer: &Peer) -> bool;
    fn connects(&self, peer: &Peer);
    fn closes(&self, peer: &Peer);
}

/// A peer connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) peer: Peer,
    /// Since when nothing flows.
    dark: Option<Instant>,
}

/// How it stands with a station that is watched.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    /// It took the place of one that is watched: its offer comes unasked.
    Awaited(Instant),
    /// Asked for, under this `id`.
    Asked(String, Instant),
    On(Link),
    /// Asked for again then.
    Later(Instant),
}

/// What one client knows.
#[derive(Debug)]
pub(crate) struct Mind {
    pub(crate) user: String,
    /// What its Join asks for.
    pub(crate) publish: Option<bool>,
    pub(crate) resume: Option<String>,
    pub(crate) version: u64,
    pub(crate) participants: BTreeMap<String, String>,
    pub(crate) publishers: BTreeMap<String, Option<String>>,
    pub(crate) owner: String,
    /// Its own station and connection.
    pub(crate) sends: Option<(String, Link)>,
    pub(crate) watches: BTreeMap<String, Watch>,
    offering: Option<(String, Instant)>,
    offer_at: Instant,
    syncing: Option<(String, Instant)>,
    /// The connection is no longer in the room.
    pub(crate) is_out: bool,
    offers: u64,
    asked: u64,
    out: Vec<Value>,
}

impl Mind {
    pub(crate) fn new(user: String, publish: Option<bool>) -> Self {
        Self {
            user,
            publish,
            resume: None,
            version: 0,
            participants: BTreeMap::new(),
            publishers: BTreeMap::new(),
            owner: String::new(),
            sends: None,
            watches: BTreeMap::new(),
            offering: None,
            offer_at: Instant::now(),
            syncing: None,
            is_out: false,
            offers: 0,
            asked: 0,
            out: Vec::new(),
        }
    }

    /// Nothing is left of an earlier participation.
    pub(crate) fn forget(&mut self, media: &impl Media) {
        for link in
            self.sends.iter().map(|(_, link)| link).chain(self.watches.values().filter_map(Watch::link))
        {
            media.closes(&link.peer);
        }
        let (offers, asked) = (self.offers, self.asked);
        *self = Self { offers, asked, ..Self::new(self.user.clone(), self.publish) };
    }

    pub(crate) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.out)
    }

    /// Sends a signal under an `id`, which it returns.
    pub(crate) fn ask(&mut self, mut signal: Value) -> String {
        self.asked += 1;
        let id = format!("{}", self.asked);
        signal["id"] = id.clone().into();
        self.out.push(signal);
        id
    }

    pub(crate) fn hear(&mut self, signal: &Value, media: &impl Media) {
        let text = |key: &str| signal[key].as_str().unwrap_or_default().to_owned();
        match text("type").as_str() {
            "JoinAck" => self.joined(signal, media),
            "RoomState" => {
                self.syncing = None;
                self.state(signal);
            }
            "ParticipantChange" if self.follows(signal) => {
                // Who has joined again has left before.
                for left in list(&signal["left"]) {
                    self.participants.remove(&user(left));
                }
                for joined in list(&signal["joined"]) {
                    self.participants.insert(user(joined), kind(joined));
                }
                self.owner = text("owner");
            }
            "PublishListChangeAck" if self.follows(signal) => {
                self.publishers = publishers(&signal["publishers"]);
                for (name, kind) in &mut self.participants {
                    let publishes = self.publishers.contains_key(name);
                    if publishes { "publisher" } else { "viewer" }.clone_into(kind);
                }
                for moved in list(&signal["moved"]) {
                    let (from, to) = (moved["from"].as_str().unwrap(), moved["to"].as_str().unwrap());
                    if user(moved) != self.user && self.watches.contains_key(from) {
                        let until = Instant::now() + REPLACED_MAX;
                        self.watches.entry(to.to_owned()).or_insert(Watch::Awaited(until));
                    }
                }
            }
            "UpdateVideo" => drop(self.follows(signal)),
            "Answer" => self.answered(signal, media),
            "WatchAck" => self.offered(&text("station"), &text("sdp"), signal["replaces"].as_str(), media),
            "StationLost" => self.lost(&text("station"), media),
            "PublishRequest" => {
                let kind = if happens(800) { "PublishAccept" } else { "PublishReject" };
                self.ask(json!({ "type": kind, "user": text("user") }));
            }
            "Error" => self.refused(signal),
            _ => {}
        }
        self.act(media);
    }

    /// Does what is to be done by now.
    pub(crate) fn act(&mut self, media: &impl Media) {
        let now = Instant::now();
        if self.syncing.as_ref().is_some_and(|(_, since)| now - *since > ANSWER_MAX) {
            self.sync();
        }
        self.publish(now, media);
        self.watch(now, media);
    }

    /// Whether news of a version are taken; where some are missing the whole state is asked for.
    fn follows(&mut self, signal: &Value) -> bool {
        let version = signal["version"].as_u64().unwrap();
        if version > self.version + 1 && self.syncing.is_none() {
            self.sync();
        }
        let follows = version == self.version || version == self.version + 1;
        if follows {
            self.version = version;
        }
        follows
    }

    fn sync(&mut self) {
        let id = self.ask(json!({ "type": "Sync" }));
        self.syncing = Some((id, Instant::now()));
    }

    fn joined(&mut self, ack: &Value, media: &impl Media) {
        self.resume = ack["resume"].as_str().map(str::to_owned);
        (self.syncing, self.offering, self.is_out) = (None, None, false);
        self.watches.retain(|_, watch| matches!(watch, Watch::On(_) | Watch::Awaited(_)));
        self.state(ack);
        for publisher in list(&ack["publishers"]) {
            if let (Some(station), Some(sdp)) = (publisher["station"].as_str(), publisher["sdp"].as_str()) {
                self.offered(station, sdp, None, media);
            }
        }
    }

    fn state(&mut self, state: &Value) {
        self.version = state["version"].as_u64().unwrap();
        state["owner"].as_str().unwrap().clone_into(&mut self.owner);
        self.participants = list(&state["participants"]).map(|there| (user(there), kind(there))).collect();
        self.publishers = publishers(&state["publishers"]);
    }

    fn answered(&mut self, answer: &Value, media: &impl Media) {
        let is_it = |(id, _): &(String, Instant)| answer["re"] == id.as_str();
        if !self.offering.as_ref().is_some_and(is_it) {
            return;
        }
        self.offering = None;
        let link = Link::new(answer["sdp"].as_str().unwrap());
        media.connects(&link.peer);
        let station = answer["station"].as_str().unwrap().to_owned();
        if self.publishers.get(&self.user) != Some(&Some(station.clone())) {
            // It was placed, or placed elsewhere, and the news of it went missing.
            self.sync();
        }
        if let Some((_, before)) = self.sends.replace((station, link)) {
            media.closes(&before.peer);
        }
    }

    fn offered(&mut self, station: &str, sdp: &str, replaces: Option<&str>, media: &impl Media) {
        self.ask(json!({ "type": "Answer", "station": station, "sdp": "answer" }));
        let before = self.watches.insert(station.to_owned(), Watch::On(Link::new(sdp)));
        let gone = replaces.filter(|old| *old != station).and_then(|old| self.watches.remove(old));
        for link in before.iter().chain(&gone).filter_map(Watch::link) {
            media.closes(&link.peer);
        }
    }

    fn lost(&mut self, station: &str, media: &impl Media) {
        if let Some((_, link)) = self.sends.take_if(|(its, _)| its == station) {
            media.closes(&link.peer);
            self.offer_at = Instant::now() + millis(0, 500);
        }
        if let Some(Watch::On(link)) = self.watches.remove(station) {
            media.closes(&link.peer);
        }
    }

    fn refused(&mut self, error: &Value) {
        let now = Instant::now();
        let again = Duration::from_millis(error["retryAfter"].as_u64().unwrap_or(1000)) + millis(0, 500);
        if error["code"] == "not_joined" {
            self.is_out = true;
        }
        let Some(re) = error["re"].as_str() else { return };
        if self.offering.take_if(|(id, _)| id == re).is_some() {
            self.offer_at = now + again;
            if error["code"] == "not_publisher" {
                self.sync();
            }
        }
        if self.syncing.take_if(|(id, _)| id == re).is_some() {
            self.syncing = Some((String::new(), now + again - ANSWER_MAX));
        }
        let asked = |watch: &Watch| matches!(watch, Watch::Asked(id, _) if id == re);
        if let Some(watch) = self.watches.values_mut().find(|watch| asked(watch)) {
            *watch = Watch::Later(now + again);
        }
    }

    /// Sends its media on the station it should have.
    fn publish(&mut self, now: Instant, media: &impl Media) {
        let Some(listed) = self.publishers.get(&self.user).cloned() else {
            if let Some((_, link)) = self.sends.take() {
                media.closes(&link.peer);
            }
            return;
        };
        if self.offering.as_ref().is_some_and(|(_, since)| now - *since > ANSWER_MAX) {
            self.offering = None;
        }
        let is_right = match &mut self.sends {
            Some((station, link)) => {
                listed.as_ref().is_some_and(|listed| listed == station) && !link.is_dead(now, media)
            }
            None => false,
        };
        if !is_right && self.offering.is_none() && now >= self.offer_at && self.syncing.is_none() {
            self.offers += 1;
            let sdp = format!("v=0\r\no={} {} 1 IN IP4 0.0.0.0\r\n", self.user, self.offers);
            let id = self.ask(json!({ "type": "Offer", "sdp": sdp }));
            self.offering = Some((id, now));
        }
    }

    /// Watches all who publish.
    fn watch(&mut self, now: Instant, media: &impl Media) {
        let others = self.publishers.iter().filter(|(name, _)| **name != self.user);
        let stations: Vec<String> = others.filter_map(|(_, station)| station.clone()).collect();
        self.watches.retain(|station, watch| {
            // One that was moved away from is watched until the other has taken its place.
            let keeps = match watch {
                Watch::On(link) => stations.contains(station) || !link.is_dead(now, media),
                Watch::Awaited(_) | Watch::Asked(..) | Watch::Later(_) => stations.contains(station),
            };
            if !keeps && let Watch::On(link) = watch {
                media.closes(&link.peer);
            }
            keeps
        });
        for station in stations {
            let asks = match self.watches.get_mut(&station) {
                None => true,
                Some(Watch::Awaited(until) | Watch::Later(until)) => now >= *until,
                Some(Watch::Asked(_, since)) => now - *since > ANSWER_MAX,
                Some(Watch::On(link)) => link.is_dead(now, media),
            };
            if asks {
                let id = self.ask(json!({ "type": "Watch", "station": station }));
                if let Some(Watch::On(link)) = self.watches.insert(station, Watch::Asked(id, now)) {
                    media.closes(&link.peer);
                }
            }
        }
    }

    /// A watched station, if there is one.
    pub(crate) fn watched(&self) -> Vec<StationId> {
        self.watches.iter().filter_map(|(station, watch)| watch.link().and(station.parse().ok())).collect()
    }
}

impl Watch {
    pub(crate) fn link(&self) -> Option<&Link> {
        match self {
            Self::On(link) => Some(link),
            Self::Awaited(_) | Self::Asked(..) | Self::Later(_) => None,
        }
    }
}

impl Link {
    fn new(sdp: &str) -> Self {
        Self { peer: Peer::read(sdp), dark: Some(Instant::now()) }
    }

    /// Whether nothing has flowed for too long.
    fn is_dead(&mut self, now: Instant, media: &impl Media) -> bool {
        if media.is_up(&self.peer) {
            self.dark = None;
            return false;
        }
        now - *self.dark.get_or_insert(now) > DARK_MAX
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn user(value: &Value) -> String {
    value["user"].as_str().unwrap_or_default().to_owned()
}

fn kind(value: &Value) -> String {
    value["participantType"].as_str().unwrap_or_default().to_owned()
}

fn publishers(value: &Value) -> BTreeMap<String, Option<String>> {
    list(value).map(|there| (user(there), there["station"].as_str().map(str::to_owned))).collect()
}
