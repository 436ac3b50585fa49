//! One client's signaling: it joins; publishes, or watches everybody who does; and leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::media::{Begun, LinkId, Media, Offered};
use super::meter::Meter;
use super::sdp;
use crate::wire::{Ending, Heard, Socket};

/// How long the answer to a Join may take.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often a heartbeat is sent to a server that names no interval.
const BEAT: Duration = Duration::from_secs(10);
/// The `id` of a client's Join.
pub(super) const JOIN_ID: &str = "join";
/// The `id` of its Offers.
const OFFER_ID: &str = "offer";

/// What all clients of a test share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) url: Url,
    pub(super) media: Media,
    pub(super) meter: Arc<Meter>,
    /// Whether candidates are told one by one, not in the description.
    pub(super) trickle: bool,
    /// Everybody leaves.
    pub(super) stop: CancellationToken,
}

/// Who joins.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) user: String,
    pub(super) publishes: bool,
    /// The Join, as text.
    pub(super) join: String,
}

/// A client that has joined.
#[derive(Debug)]
struct Client {
    user: String,
    publishes: bool,
    shared: Arc<Shared>,
    socket: Socket,
    begun: Arc<Begun>,
    /// What it sends: over which connection, since when its Offer is under way.
    sends: Option<(LinkId, Instant)>,
    /// The connection before that, where the station moved.
    sent: Option<LinkId>,
    /// What it watches, by station; `None` until there is an offer.
    watches: BTreeMap<String, Option<LinkId>>,
    /// When each was asked for.
    asked: BTreeMap<String, Instant>,
}

/// Joins, does its part until told to stop, and leaves. What goes wrong is counted.
pub(super) async fn run(seat: Seat, shared: Arc<Shared>) {
    let meter = shared.meter.clone();
    let stop = shared.stop.clone();
    let begun = Instant::now();
    let mut socket = match Socket::connect(&shared.url).await {
        Ok(socket) => socket,
        Err(failure) => return meter.errors.count(format!("connect: {}", failure.why())),
    };
    meter.connect.record(begun.elapsed());
    let begun = Instant::now();
    let ack = match timeout(ANSWER_MAX, joined(&mut socket, &seat.join)).await {
        Ok(Ok(ack)) => ack,
        Ok(Err(code)) => return meter.errors.count(code),
        Err(_) => return meter.errors.count("join: no answer"),
    };
    meter.join.record(begun.elapsed());
    meter.joined.plus(1);
    let mut client = Client {
        user: seat.user,
        publishes: seat.publishes,
        shared,
        socket,
        begun: Arc::new(Begun { at: begun, has_media: AtomicBool::new(false) }),
        sends: None,
        sent: None,
        watches: BTreeMap::new(),
        asked: BTreeMap::new(),
    };
    let done = tokio::select! {
        done = client.take_part(&ack) => done,
        () = stop.cancelled() => Ok(()),
    };
    match done {
        Ok(()) => client.socket.leave(|_, _| {}).await,
        Err(ending) => meter.errors.count(words(&ending)),
    }
}

/// Sends the Join; returns its acknowledgement.
pub(super) async fn joined(socket: &mut Socket, join: &str) -> Result<Value, String> {
    socket.send(join).await.map_err(|ending| words(&ending))?;
    loop {
        match socket.hear().await {
            Heard::Signal(_, signal) if signal["type"] == "JoinAck" => return Ok(signal),
            Heard::Signal(_, signal) if signal["type"] == "Error" => return Err(code(&signal)),
            Heard::Signal(..) => {}
            Heard::Ended(ending) => return Err(words(&ending)),
        }
    }
}

impl Client {
    /// Does its part until the connection ends.
    async fn take_part(&mut self, ack: &Value) -> Result<(), Ending> {
        let beat = ack["heartbeatInterval"].as_u64().map_or(BEAT, Duration::from_millis);
        let mut beats = interval_at(tokio::time::Instant::now() + beat, beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.publishes {
            // Publishers watch nobody: what was offered is given back.
            for publisher in publishers(ack).filter(|publisher| publisher["sdp"].is_string()) {
                self.send(&json!({ "type": "Unwatch", "station": publisher["station"] })).await?;
            }
            self.offer().await?;
        } else {
            for publisher in publishers(ack) {
                self.welcomed(publisher).await?;
            }
        }
        loop {
            tokio::select! {
                heard = self.socket.hear() => match heard {
                    Heard::Signal(_, signal) => self.heard(&signal).await?,
                    Heard::Ended(ending) => return Err(ending),
                },
                _ = beats.tick() => self.send(&json!({ "type": "Heartbeat" })).await?,
            }
        }
    }

    /// A publisher that was there already, perhaps with an offer.
    async fn welcomed(&mut self, publisher: &Value) -> Result<(), Ending> {
        let Some(station) = publisher["station"].as_str() else { return Ok(()) };
        let Some(sdp) = publisher["sdp"].as_str() else { return self.watch(station).await };
        self.shared.meter.offered_inline.plus(1);
        self.watches.insert(station.to_owned(), None);
        self.answer(station, sdp).await
    }

    async fn heard(&mut self, signal: &Value) -> Result<(), Ending> {
        let station = signal["station"].as_str();
        match (signal["type"].as_str().unwrap_or_default(), station) {
            ("PublishListChangeAck", _) => self.list(signal).await,
            ("WatchAck", Some(station)) => {
                if let Some(asked) = signal["re"].as_str().and_then(|re| self.asked.remove(re)) {
                    self.shared.meter.watch.record(asked.elapsed());
                }
                if let Some(before) =
                    signal["replaces"].as_str().and_then(|before| self.watches.remove(before))
                {
                    self.retire(before).await;
                }
                self.answer(station, signal["sdp"].as_str().unwrap_or_default()).await
            }
            ("Answer", _) => {
                self.answered(signal["sdp"].as_str().unwrap_or_default()).await;
                Ok(())
            }
            ("iceCandidate", Some(station)) => {
                let sends = self.sends.filter(|_| self.publishes).map(|(link, _)| link);
                let link = self.watches.get(station).copied().flatten().or(sends);
                if let (Some(link), Some(candidate)) = (link, signal["candidate"].as_str()) {
                    self.shared.media.candidate(link, candidate.to_owned()).await;
                }
                Ok(())
            }
            ("StationLost", Some(station)) => self.lost(station, signal).await,
            ("Error", _) => {
                self.shared.meter.errors.count(code(signal));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Who publishes has changed: a publisher moves with its station, a viewer watches who is new.
    async fn list(&mut self, signal: &Value) -> Result<(), Ending> {
        let moved = || signal["moved"].as_array().into_iter().flatten();
        if self.publishes {
            if moved().any(|moved| moved["user"] == self.user) {
                self.sent = self.sends.take().map(|(link, _)| link);
                self.offer().await?;
            }
            return Ok(());
        }
        let stations: Vec<&str> = publishers(signal).filter_map(|it| it["station"].as_str()).collect();
        // What has moved is taken up by a WatchAck nobody asks for.
        let is_moving =
            |station: &str| moved().any(|moved| moved["to"] == station || moved["from"] == station);
        let gone = self
            .watches
            .keys()
            .filter(|station| !stations.contains(&station.as_str()) && !is_moving(station));
        for station in gone.cloned().collect::<Vec<_>>() {
            self.end(&station).await;
        }
        for station in stations.into_iter().filter(|station| !is_moving(station)) {
            if !self.watches.contains_key(station) {
                self.watch(station).await?;
            }
        }
        Ok(())
    }

    /// A station is gone with its munit: its publisher begins anew.
    async fn lost(&mut self, station: &str, signal: &Value) -> Result<(), Ending> {
        self.end(station).await;
        if self.publishes && signal["user"] == self.user {
            self.shared.meter.errors.count("station lost");
            if let Some((link, _)) = self.sends.take() {
                self.shared.media.end(link).await;
            }
            if signal["retry"] == true {
                return self.offer().await;
            }
        }
        Ok(())
    }

    async fn watch(&mut self, station: &str) -> Result<(), Ending> {
        self.watches.insert(station.to_owned(), None);
        self.asked.insert(station.to_owned(), Instant::now());
        self.send(&json!({ "type": "Watch", "id": station, "station": station })).await
    }

    /// Answers the offer of a station.
    async fn answer(&mut self, station: &str, sdp: &str) -> Result<(), Ending> {
        let offered = Offered { sdp: sdp.to_owned(), at: Instant::now(), viewer: self.begun.clone() };
        let Some((link, answer)) = self.shared.media.watch(offered).await else {
            self.shared.meter.errors.count("offer: cannot be answered");
            return Ok(());
        };
        if let Some(before) = self.watches.insert(station.to_owned(), Some(link)).flatten() {
            // The publisher is there anew: what was watched has ended with what it sent.
            self.shared.media.end(before).await;
        }
        self.describe(&json!({ "type": "Answer", "station": station }), answer).await
    }

    async fn offer(&mut self) -> Result<(), Ending> {
        let Some((link, offer)) = self.shared.media.publish().await else {
            self.shared.meter.errors.count("offer: cannot be made");
            return Ok(());
        };
        self.sends = Some((link, Instant::now()));
        self.describe(&json!({ "type": "Offer", "id": OFFER_ID }), offer).await
    }

    async fn answered(&mut self, sdp: &str) {
        let Some((link, offered)) = self.sends else { return };
        self.shared.meter.offer.record(offered.elapsed());
        if !self.shared.media.accept(link, sdp.to_owned()).await {
            self.shared.meter.errors.count("answer: cannot be used");
        }
        let before = self.sent.take();
        self.retire(before).await;
    }

    /// Sends an Offer or Answer; its candidates with it or after it.
    async fn describe(&mut self, signal: &Value, sdp: String) -> Result<(), Ending> {
        let mut description = signal.clone();
        if !self.shared.trickle {
            description["sdp"] = sdp.into();
            return self.send(&description).await;
        }
        let apart = sdp::apart(&sdp);
        description["sdp"] = apart.description.into();
        self.send(&description).await?;
        for candidate in apart.candidates.into_iter().map(Value::from).chain([Value::Null]) {
            let mut trickled = json!({
                "type": "iceCandidate", "candidate": candidate, "sdpMid": apart.mid, "sdpMLineIndex": 0
            });
            if let Some(station) = signal.get("station") {
                trickled["station"] = station.clone();
            }
            self.send(&trickled).await?;
        }
        Ok(())
    }

    async fn retire(&self, link: Option<LinkId>) {
        if let Some(link) = link {
            self.shared.media.retire(link).await;
        }
    }

    async fn end(&mut self, station: &str) {
        if let Some(link) = self.watches.remove(station).flatten() {
            self.shared.media.end(link).await;
        }
    }

    async fn send(&mut self, signal: &Value) -> Result<(), Ending> {
        self.socket.send(signal.to_string()).await
    }
}

pub(super) fn publishers(signal: &Value) -> impl Iterator<Item = &Value> {
    signal["publishers"].as_array().into_iter().flatten()
}

pub(super) fn code(error: &Value) -> String {
    error["code"].as_str().unwrap_or("error").to_owned()
}

pub(super) fn words(ending: &Ending) -> String {
    match ending {
        Ending::Closed(code, _) => format!("closed: {code}"),
        Ending::Broken(why) => why.clone(),
    }
}
