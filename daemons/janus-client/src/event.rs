//! What Janus tells without being asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::id::{HandleId, SessionId};
use crate::jsep::{Trickle, WireCandidate};
use crate::video_room::RoomEvent;
use crate::wire::Kind;

/// How many events wait for their reader by default. At more, further ones are dropped and counted, and
/// the reader gets [`Told::Missed`].
pub const EVENTS_MAX: usize = 256;

/// What happened to a handle.
#[derive(Clone, Debug)]
pub enum Event {
    /// ICE and DTLS are done: media may flow.
    WebRtcUp,
    /// The peer connection is gone. The handle is not: it can negotiate again, or be detached.
    HangUp {
        /// Janus' words: `"ICE failed"`, `"DTLS alert"`, `"Close PC"`, …
        reason: String,
    },
    /// Media of one m-line began to arrive at Janus, or stopped to.
    Media(Media),
    /// Packets get lost on the way from (`uplink`) or to the client; only with `slowlink_threshold` set.
    SlowLink(SlowLink),
    /// A candidate of Janus; only with `full_trickle` set.
    Trickle(Trickle),
    /// The VideoRoom plugin tells something.
    Room(RoomEvent),
    /// The handle is no more; nothing follows.
    Detached,
    /// The handle is no more, as its session is no more; nothing follows.
    SessionGone,
    /// Something that this crate does not know.
    Unknown(Raw),
}

/// Media of one m-line began to arrive at Janus, or stopped to.
#[derive(Clone, Debug, Deserialize)]
pub struct Media {
    /// The m-line.
    pub mid: String,
    /// What kind of media.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// Whether it arrives now.
    pub receiving: bool,
    /// The simulcast layer, where it is one.
    pub substream: Option<u8>,
    /// How long it has not arrived, in seconds, where it does not.
    pub seconds: Option<u64>,
}

/// Packets of one m-line get lost.
#[derive(Clone, Debug, Deserialize)]
pub struct SlowLink {
    /// The m-line.
    #[serde(default)]
    pub mid: Option<String>,
    /// What kind of media.
    pub media: MediaKind,
    /// Whether they get lost on the way from the client to Janus, else the other way.
    pub uplink: bool,
    /// How many in the last second.
    #[serde(default)]
    pub lost: u64,
}

/// A kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels.
    Data,
}

/// A whole message as Janus sent it, for what is not typed here.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(pub(crate) Utf8Bytes);

impl Raw {
    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The parsed JSON; what came is JSON, or it would not have come this far.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::wire::quote(&self.0))
    }
}

impl Event {
    pub(crate) fn read(kind: Kind, text: &Utf8Bytes) -> Self {
        let unknown = || Self::Unknown(Raw(text.clone()));
        match kind {
            Kind::Webrtcup => Self::WebRtcUp,
            Kind::Hangup => {
                #[derive(Deserialize)]
                struct Wire {
                    #[serde(default)]
                    reason: String,
                }
                serde_json::from_str::<Wire>(text)
                    .map_or_else(|_| unknown(), |wire| Self::HangUp { reason: wire.reason })
            }
            Kind::Media => serde_json::from_str(text).map_or_else(|_| unknown(), Self::Media),
            Kind::Slowlink => serde_json::from_str(text).map_or_else(|_| unknown(), Self::SlowLink),
            Kind::Trickle => {
                #[derive(Deserialize)]
                struct Wire {
                    candidate: WireCandidate,
                }
                let trickle = serde_json::from_str::<Wire>(text).ok();
                trickle.and_then(|wire| wire.candidate.into_trickle()).map_or_else(unknown, Self::Trickle)
            }
            Kind::Event => RoomEvent::read(text).map_or_else(unknown, Self::Room),
            Kind::Detached => Self::Detached,
            Kind::Ack
            | Kind::Success
            | Kind::Error
            | Kind::Pong
            | Kind::ServerInfo
            | Kind::Timeout
            | Kind::Other => unknown(),
        }
    }
}

/// A queue for events of one handle or of many: the end that handles are attached with, and the end that
/// is read.
///
/// At most `capacity` events wait; further ones are dropped and counted (see [`Told::Missed`]): a slow
/// reader costs itself events, never others their answers.
pub fn events(capacity: usize) -> (EventSink, Events) {
    let (send, receive) = mpsc::channel(capacity.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    (EventSink { send, missed: missed.clone() }, Events { receive, missed })
}

/// Where handles send their events.
#[derive(Clone, Debug)]
pub struct EventSink {
    send: mpsc::Sender<Box<(HandleId, Event)>>,
    missed: Arc<AtomicU64>,
}

/// What is read of events.
#[derive(Debug)]
pub struct Events {
    receive: mpsc::Receiver<Box<(HandleId, Event)>>,
    missed: Arc<AtomicU64>,
}

/// What came out of a queue of events.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened to a handle.
    Of(HandleId, Event),
    /// So many events, of whichever handles, were dropped: look for yourself how things stand.
    Missed(u64),
}

impl Events {
    /// The next event, and whose it is; `None` once all handles are gone and all was read.
    ///
    /// That events were dropped is told before those that still wait.
    pub async fn next(&mut self) -> Option<Told> {
        if let Some(missed) = self.missed() {
            return Some(missed);
        }
        let next = self.receive.recv().await.map(|told| Told::Of(told.0, told.1));
        if next.is_none() { self.missed() } else { next }
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<Told> {
        self.missed().or_else(|| self.receive.try_recv().ok().map(|told| Told::Of(told.0, told.1)))
    }

    fn missed(&self) -> Option<Told> {
        let missed = self.missed.swap(0, Ordering::AcqRel);
        (missed > 0).then_some(Told::Missed(missed))
    }
}

/// Where the events of one handle go.
#[derive(Debug)]
pub(crate) struct Route {
    handle: HandleId,
    sink: EventSink,
}

impl Route {
    pub(crate) fn new(handle: HandleId, sink: EventSink) -> Self {
        Self { handle, sink }
    }

    pub(crate) fn send(&self, event: Event) {
        match self.sink.send.try_send(Box::new((self.handle, event))) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.sink.missed.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

/// What happened to the connection or to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The connection is lost. What was outstanding has failed with [`crate::Error::Lost`] and is not
    /// made again; new requests fail until [`Change::Connected`].
    Lost {
        /// Why.
        reason: String,
    },
    /// A session was claimed over the new connection. Events meanwhile are lost: compare what is wanted
    /// with what is there (`listparticipants`, `handle_info`).
    Claimed(SessionId),
    /// A session is no more, and its handles with it: it timed out, was destroyed, or Janus has restarted.
    SessionGone(SessionId),
    /// Requests are taken again.
    Connected,
    /// So many changes were not read in time and are lost.
    Missed(u64),
    /// The client was closed; nothing follows.
    Closed,
}
