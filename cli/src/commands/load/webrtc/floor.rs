//! What a Watch costs beside the same attach and join done on Janus itself, in turns.

use std::time::{Duration, Instant};

use janus_client::video_room::JoinSubscriber;
use janus_client::{Client as Janus, EVENTS_MAX, EventSink, Events, Options, Session, events};
use mobz_core::id::StationId;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::super::measure::{Percentiles, Timing};
use super::client::{ANSWER_MAX, Seat, code, joined, publishers, words};
use crate::error::{Failure, Result, chain};
use crate::stack;
use crate::wire::{Ending, Heard, Socket};

/// What is refused here.
const WHAT: &str = "cannot measure the floor";
/// How long nothing is asked after each of both was: a server takes 200 signals a second of a client.
const REST: Duration = Duration::from_millis(10);
/// The `id` of each Watch and Unwatch.
const ASK_ID: &str = "floor";

/// Both sides of the comparison.
#[derive(Debug)]
pub(super) struct Floor {
    socket: Socket,
    station: StationId,
    url: String,
    session: Session,
    join: JoinSubscriber,
    sink: EventSink,
    /// Nobody reads them: what overflows is dropped.
    _events: Events,
    watch: Timing,
    attach_and_join: Timing,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// The API of Janus.
    pub(super) janus: String,
    /// From a Watch to its acknowledgement, by the client at rest.
    pub(super) watch_ms: Percentiles,
    /// From attaching to the offer, on Janus.
    pub(super) attach_and_join_ms: Percentiles,
}

impl Floor {
    /// Joins as `seat`, and makes a session at the Janus of the first station there: at `janus`, else at the
    /// one known for the stack.
    ///
    /// # Errors
    ///
    /// When nobody publishes in the room, or Janus is not known or not there.
    pub(super) async fn begin(url: &Url, seat: &Seat, janus: Option<&str>) -> Result<Self> {
        let ended = |why: String| Failure::failed(WHAT, why, "see the server's log");
        let mut socket = Socket::connect(url).await?;
        let ack = timeout(ANSWER_MAX, joined(&mut socket, &seat.join)).await;
        let ack = ack.map_err(|_| ended("the Join had no answer".to_owned()))?.map_err(ended)?;
        let mut known = publishers(&ack).filter_map(|publisher| {
            let station: StationId = publisher["station"].as_str()?.parse().ok()?;
            Some((station, publisher["user"].as_str()?.to_owned()))
        });
        let Some((station, user)) = known.next() else {
            return Err(ended("nobody publishes any more".to_owned()));
        };
        let url = match janus {
            Some(janus) => janus.to_owned(),
            None => known_janus(url, &station).ok_or_else(|| {
                let why =
                    format!("the Janus of station {station} is not known: it is of no stack of this machine");
                Failure::usage(WHAT, why, "name it with --janus ws://…")
            })?,
        };
        let failed = |error: janus_client::Error| {
            Failure::failed(WHAT, chain(&error), "check that --janus is the station's, and up")
        };
        let client = Janus::connect(&url, Options::default()).await.map_err(failed)?;
        let session = client.create_session().await.map_err(failed)?;
        let (sink, events) = events(EVENTS_MAX);
        let mut join = JoinSubscriber::new(station.as_str().into(), user.as_str().into());
        // As the regulator does.
        join.auto_update = Some(false);
        let mut floor = Self {
            socket,
            station,
            url,
            session,
            join,
            sink,
            _events: events,
            watch: Timing::default(),
            attach_and_join: Timing::default(),
        };
        // What the Join has brought would be in the way.
        for publisher in publishers(&ack).filter(|publisher| publisher["sdp"].is_string()) {
            floor.ask(&json!({ "type": "Unwatch", "station": publisher["station"] })).await?;
        }
        Ok(floor)
    }

    /// Takes turns for so long; each side is first as often as the other.
    pub(super) async fn measure(&mut self, length: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.by_signaling().await?;
            self.on_janus().await?;
            sleep(REST).await;
            self.on_janus().await?;
            self.by_signaling().await?;
            sleep(REST).await;
        }
        Ok(())
    }

    /// What was found, at the end.
    pub(super) async fn finish(self) -> Found {
        self.socket.leave(|_, _| {}).await;
        // It ends with its connection in any case.
        drop(self.session.destroy().await);
        Found { janus: self.url, watch_ms: self.watch.all(), attach_and_join_ms: self.attach_and_join.all() }
    }

    async fn by_signaling(&mut self) -> Result<()> {
        let begun = Instant::now();
        self.ask(&json!({ "type": "Watch", "station": self.station })).await?;
        self.watch.record(begun.elapsed());
        self.ask(&json!({ "type": "Unwatch", "station": self.station })).await
    }

    async fn on_janus(&self) -> Result<()> {
        let refused = |error: &janus_client::Error| {
            Failure::failed(WHAT, chain(error), "see the log of Janus; leave --floor out")
        };
        let begun = Instant::now();
        let fresh = self.session.attach(None, &self.sink).await.map_err(|error| refused(&error))?;
        let joined = fresh.join_subscriber(&self.join).await;
        let (subscriber, _offer, _streams) = joined.map_err(|refusal| refused(&refusal.error))?;
        self.attach_and_join.record(begun.elapsed());
        subscriber.detach().await.map_err(|error| refused(&error))
    }

    /// Sends a signal and waits for its answer.
    async fn ask(&mut self, signal: &Value) -> Result<()> {
        let failed = |why: String| Failure::failed(WHAT, why, "see the server's log; leave --floor out");
        let broke = |ending: Ending| failed(words(&ending));
        let mut signal = signal.clone();
        signal["id"] = ASK_ID.into();
        self.socket.send(signal.to_string()).await.map_err(broke)?;
        let answer = async {
            loop {
                match self.socket.hear().await {
                    Heard::Signal(_, answer) if answer["re"] == ASK_ID => return Ok(answer),
                    Heard::Signal(..) => {}
                    Heard::Ended(ending) => return Err(broke(ending)),
                }
            }
        };
        let answer =
            timeout(ANSWER_MAX, answer).await.map_err(|_| failed("no answer in time".to_owned()))??;
        if answer["type"] == "Error" {
            return Err(failed(format!("{}: {}", code(&answer), answer["message"])));
        }
        Ok(())
    }
}

fn known_janus(signal: &Url, station: &StationId) -> Option<String> {
    let munit = station.munit()?;
    let stack = stack::living().into_iter().find(|stack| stack.signal == signal.as_str())?;
    stack.munits.into_iter().find(|known| known.id == munit.as_str()).map(|known| known.janus)
}
