//! What a subscriber does.

use serde::{Deserialize, Serialize};

use super::{Done, Layers};
use crate::error::{Error, Refused};
use crate::event::MediaKind;
use crate::handle::{Fresh, Handle, Left, Subscriber};
use crate::id::{FeedId, RoomId};
use crate::jsep::{Answer, Jsep, Offer};
use crate::wire::{Nothing, PluginAnswer, unexpected};

/// Subscribes to feeds of a room.
#[derive(Clone, Debug, Serialize)]
pub struct JoinSubscriber {
    /// The room.
    pub room: RoomId,
    /// What to subscribe to.
    pub streams: Vec<Subscription>,
    /// The private id of a publisher of the same client, where the room wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_id: Option<u64>,
    /// The room's pin, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Whether the peer connection ends when all its feeds are gone (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_pc: Option<bool>,
    /// Whether streams that a feed adds later are subscribed to by themselves (true).
    #[serde(rename = "autoupdate", skip_serializing_if = "Option::is_none")]
    pub auto_update: Option<bool>,
}

impl JoinSubscriber {
    /// To subscribe to all that one feed publishes.
    pub fn new(room: RoomId, feed: FeedId) -> Self {
        let streams = vec![Subscription::all_of(feed)];
        Self { room, streams, private_id: None, pin: None, close_pc: None, auto_update: None }
    }
}

/// One stream of a feed, or all of them.
#[derive(Clone, Debug, Serialize)]
pub struct Subscription {
    /// The feed.
    pub feed: FeedId,
    /// The m-line of the feed; all of them where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// The simulcast layer to begin with, 0–2 (2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substream: Option<u8>,
    /// The temporal layer to begin with, 0–2 (2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal: Option<u8>,
    /// What Janus calls the subscription by ([`SubscriberStream::cross_reference`]): a word of whoever subscribes.
    #[serde(rename = "crossrefid", skip_serializing_if = "Option::is_none")]
    pub cross_reference: Option<String>,
}

impl Subscription {
    /// All that a feed publishes.
    pub fn all_of(feed: FeedId) -> Self {
        Self { feed, mid: None, substream: None, temporal: None, cross_reference: None }
    }
}

/// One m-line of a subscriber.
#[derive(Clone, Debug, Deserialize)]
pub struct SubscriberStream {
    /// What kind of media.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// The m-line's index.
    #[serde(rename = "mindex")]
    pub index: u32,
    /// The m-line.
    pub mid: String,
    /// Whether a feed is on it.
    #[serde(default)]
    pub active: bool,
    /// Whether media may flow over it: the peer connection is up.
    #[serde(default)]
    pub ready: bool,
    /// Whether it is relayed ([`ConfigureStream::send`]).
    #[serde(default)]
    pub send: bool,
    /// Whose media it is.
    #[serde(rename = "feed_id", default)]
    pub feed: Option<FeedId>,
    /// The m-line of the feed.
    #[serde(default)]
    pub feed_mid: Option<String>,
    /// What the feed is called.
    #[serde(default)]
    pub feed_display: Option<String>,
    /// What it was called as it was subscribed to ([`Subscription::cross_reference`]).
    #[serde(rename = "crossrefid", default)]
    pub cross_reference: Option<String>,
    /// The codec.
    #[serde(default)]
    pub codec: Option<String>,
    /// The simulcast layers, where the feed has them.
    #[serde(rename = "simulcast", default)]
    pub layers: Option<Layers>,
}

/// Streams not to be subscribed to any more; each field that is there narrows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unsubscribe {
    /// Those of this feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedId>,
    /// Those of this m-line of the feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// The one on this own m-line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_mid: Option<String>,
}

/// Puts another feed's stream on an own m-line, without negotiation. The codecs must be the same.
#[derive(Clone, Debug, Serialize)]
pub struct Switch {
    /// The other feed.
    pub feed: FeedId,
    /// Its m-line.
    pub mid: String,
    /// The own m-line.
    pub sub_mid: String,
}

/// What came of a switch.
#[derive(Clone, Debug)]
pub struct Switched {
    /// How many m-lines were switched: those that had the feed already are not.
    pub changes: u32,
    /// All m-lines as they are now.
    pub streams: Vec<SubscriberStream>,
    /// An offer to answer with [`Handle::start`], where an m-line was inactive before.
    pub offer: Option<Offer>,
}

/// What a subscriber changes about itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConfigureSubscriber {
    /// What to change about its m-lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<ConfigureStream>,
    /// Whether ICE is restarted, with an offer to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
}

/// What to change about an m-line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConfigureStream {
    /// The own m-line.
    pub mid: String,
    /// Whether it is relayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<bool>,
    /// The simulcast layer to receive, 0–2. It is there when [`super::RoomNews::Layers`] says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substream: Option<u8>,
    /// The temporal layer to receive, 0–2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal: Option<u8>,
    /// After how long without packets the layer below is taken, in microseconds (250,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<u64>,
    /// The spatial layer to receive of scalable video, 0–2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spatial_layer: Option<u8>,
    /// The temporal layer to receive of scalable video, 0–2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal_layer: Option<u8>,
    /// The least playout delay, in 10 ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_delay: Option<u32>,
    /// The most playout delay, in 10 ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<u32>,
}

/// What came of a change of subscriptions.
#[derive(Clone, Debug)]
pub enum Renegotiation {
    /// Answer this offer with [`Handle::start`].
    Needed {
        /// The offer.
        offer: Offer,
        /// All m-lines as they are now.
        streams: Vec<SubscriberStream>,
    },
    /// Nothing to negotiate.
    NotNeeded {
        /// All m-lines as they are now; empty where Janus does not say.
        streams: Vec<SubscriberStream>,
    },
    /// An earlier offer is not answered yet. Once it is, the offer comes as [`super::RoomNews::Updated`].
    Postponed,
}

#[derive(Deserialize)]
struct Attached {
    #[serde(default)]
    streams: Vec<SubscriberStream>,
}

#[derive(Deserialize)]
struct Updated {
    videoroom: String,
    #[serde(default)]
    streams: Vec<SubscriberStream>,
}

#[derive(Deserialize)]
struct SwitchAnswer {
    #[serde(default)]
    changes: u32,
    #[serde(default)]
    streams: Vec<SubscriberStream>,
}

#[derive(Serialize)]
struct Join<'a> {
    ptype: &'static str,
    #[serde(flatten)]
    fields: &'a JoinSubscriber,
}

#[derive(Serialize)]
struct Streams<'a, S> {
    streams: &'a [S],
}

#[derive(Serialize)]
struct Update<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    subscribe: &'a [Subscription],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unsubscribe: &'a [Unsubscribe],
}

impl Handle<Fresh> {
    /// Subscribes, and gets Janus' offer for the client, to be answered with [`Handle::start`]. Refused,
    /// the handle is fresh still: the feed may have left, or may not have come up yet.
    pub async fn join_subscriber(
        self,
        join: &JoinSubscriber,
    ) -> Result<(Handle<Subscriber>, Offer, Vec<SubscriberStream>), Refused<Self>> {
        let body = Join { ptype: "subscriber", fields: join };
        match self.message::<_, (), Attached>("join", &body, None).await {
            Ok(answer) => match answer.jsep.and_then(Jsep::offer) {
                Some(offer) => Ok((self.in_role(), offer, answer.data.streams)),
                None => Err(Refused { handle: self, error: unexpected("join", "no SDP offer", None) }),
            },
            Err(error) => Err(Refused { handle: self, error }),
        }
    }
}

impl Handle<Subscriber> {
    /// Hands the client's answer to Janus' last offer over. Media flows once [`crate::Event::WebRtcUp`]
    /// was told.
    pub async fn start(&self, answer: &Answer) -> Result<(), Error> {
        self.message::<_, _, Done>("start", &Nothing {}, Some(answer)).await?;
        Ok(())
    }

    /// Ends a pause.
    pub async fn resume(&self) -> Result<(), Error> {
        self.message::<_, (), Done>("start", &Nothing {}, None).await?;
        Ok(())
    }

    /// Stops all media; the peer connection stays.
    pub async fn pause(&self) -> Result<(), Error> {
        self.message::<_, (), Done>("pause", &Nothing {}, None).await?;
        Ok(())
    }

    /// Changes something about its m-lines; with `restart` there is an offer to answer.
    pub async fn configure(&self, configure: &ConfigureSubscriber) -> Result<Option<Offer>, Error> {
        let answer = self.message::<_, (), Done>("configure", configure, None).await?;
        Ok(answer.jsep.and_then(Jsep::offer))
    }

    /// Subscribes to more.
    pub async fn subscribe(&self, streams: &[Subscription]) -> Result<Renegotiation, Error> {
        let answer = self.message::<_, (), _>("subscribe", &Streams { streams }, None).await?;
        Ok(renegotiation(answer))
    }

    /// Unsubscribes from some.
    pub async fn unsubscribe(&self, streams: &[Unsubscribe]) -> Result<Renegotiation, Error> {
        let answer = self.message::<_, (), _>("unsubscribe", &Streams { streams }, None).await?;
        Ok(renegotiation(answer))
    }

    /// Subscribes to more and unsubscribes from some, in one negotiation.
    pub async fn update(
        &self,
        subscribe: &[Subscription],
        unsubscribe: &[Unsubscribe],
    ) -> Result<Renegotiation, Error> {
        let answer = self.message::<_, (), _>("update", &Update { subscribe, unsubscribe }, None).await?;
        Ok(renegotiation(answer))
    }

    /// Puts other feeds on its m-lines.
    pub async fn switch(&self, streams: &[Switch]) -> Result<Switched, Error> {
        let answer = self.message::<_, (), SwitchAnswer>("switch", &Streams { streams }, None).await?;
        let SwitchAnswer { changes, streams } = answer.data;
        Ok(Switched { changes, streams, offer: answer.jsep.and_then(Jsep::offer) })
    }

    /// Ends the subscription and its peer connection; other clones of this handle are of no more use.
    pub async fn leave(self) -> Result<Handle<Left>, Refused<Self>> {
        match self.message::<_, (), Done>("leave", &Nothing {}, None).await {
            Ok(_) => Ok(self.in_role()),
            Err(error) => Err(Refused { handle: self, error }),
        }
    }
}

fn renegotiation(answer: PluginAnswer<Updated>) -> Renegotiation {
    let Updated { videoroom, streams } = answer.data;
    match answer.jsep.and_then(Jsep::offer) {
        Some(offer) => Renegotiation::Needed { offer, streams },
        None if videoroom == "updating" => Renegotiation::Postponed,
        None => Renegotiation::NotNeeded { streams },
    }
}
