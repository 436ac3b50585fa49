//! What a publisher does.

use serde::{Deserialize, Serialize};

use super::{Done, Feed};
use crate::error::{Error, Refused};
use crate::handle::{Fresh, Handle, Left, Publisher};
use crate::id::{FeedId, RoomId};
use crate::jsep::{Answer, Jsep, Offer};
use crate::wire::{Nothing, unexpected};

/// Joins a room to publish, or to hear of it.
#[derive(Clone, Debug, Serialize)]
pub struct JoinPublisher {
    /// The room.
    pub room: RoomId,
    /// The id to be subscribed to by; Janus draws one where it is absent.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedId>,
    /// What it is called, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The room's pin, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// A token, where the room wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl JoinPublisher {
    /// To join as this feed.
    pub fn new(room: RoomId, feed: FeedId) -> Self {
        Self { room, feed: Some(feed), display: None, pin: None, token: None }
    }
}

/// A room that was joined.
#[derive(Clone, Debug, Deserialize)]
pub struct Joined {
    /// The room.
    pub room: RoomId,
    /// What it is called.
    #[serde(default)]
    pub description: String,
    /// The own id.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// What a subscriber of the same client may name itself with.
    #[serde(default)]
    pub private_id: u64,
    /// Who publishes already.
    #[serde(default)]
    pub publishers: Vec<Feed>,
}

/// How to publish.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Publish {
    /// The audio codec to take of those offered.
    #[serde(rename = "audiocodec", skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// The video codec to take of those offered.
    #[serde(rename = "videocodec", skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// The bitrate it is held to by REMB, in bit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u32>,
    /// Whether it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    /// Where it is recorded, without extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What it is called from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// What its streams are called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descriptions: Vec<Description>,
}

/// What a stream is called.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// The m-line.
    pub mid: String,
    /// What it is called.
    pub description: String,
}

/// What a publisher changes about itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConfigurePublisher {
    /// The bitrate it is held to by REMB, in bit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u32>,
    /// Whether it is asked for a key frame now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyframe: Option<bool>,
    /// Whether it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    /// Where it is recorded, without extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What it is called from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The m-line that `send` is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// Whether the m-line is relayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<bool>,
    /// Whether an offer with it restarts ICE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
    /// What its streams are called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descriptions: Vec<Description>,
}

#[derive(Serialize)]
struct Join<'a, B> {
    ptype: &'static str,
    #[serde(flatten)]
    fields: &'a B,
}

#[derive(Serialize)]
struct JoinAndPublish<'a> {
    #[serde(flatten)]
    join: &'a JoinPublisher,
    #[serde(flatten)]
    publish: &'a Publish,
}

impl Handle<Fresh> {
    /// Joins a room as a publisher that does not publish yet. Refused, the handle is fresh still.
    pub async fn join_publisher(
        self,
        join: &JoinPublisher,
    ) -> Result<(Handle<Publisher>, Joined), Refused<Self>> {
        let body = Join { ptype: "publisher", fields: join };
        match self.message::<_, (), Joined>("join", &body, None).await {
            Ok(answer) => Ok((self.in_role(), answer.data)),
            Err(error) => Err(Refused { handle: self, error }),
        }
    }

    /// Joins a room and publishes, in one request. Refused, the handle may have joined: detach it.
    pub async fn join_and_publish(
        self,
        join: &JoinPublisher,
        publish: &Publish,
        offer: &Offer,
    ) -> Result<(Handle<Publisher>, Joined, Answer), Refused<Self>> {
        const NAME: &str = "joinandconfigure";
        let body = Join { ptype: "publisher", fields: &JoinAndPublish { join, publish } };
        match self.message::<_, _, Joined>(NAME, &body, Some(offer)).await {
            Ok(answer) => match answer.jsep.and_then(Jsep::answer) {
                Some(sdp) => Ok((self.in_role(), answer.data, sdp)),
                None => Err(Refused { handle: self, error: unexpected(NAME, "no SDP answer", None) }),
            },
            Err(error) => Err(Refused { handle: self, error }),
        }
    }
}

impl Handle<Publisher> {
    /// Publishes what a client offers, and gets Janus' answer for it. Subscribers find the feed once
    /// [`crate::Event::WebRtcUp`] was told.
    ///
    /// Only publishers whose media is up count against the room's limit, and only they are told
    /// [`crate::VideoRoomCode::ALREADY_PUBLISHED`]. After [`crate::VideoRoomCode::PUBLISHERS_FULL`] the handle is of no more use: detach it.
    pub async fn publish(&self, publish: &Publish, offer: &Offer) -> Result<Answer, Error> {
        self.negotiate("publish", publish, offer).await
    }

    /// Takes another offer of a client that publishes: more or fewer streams, or an ICE restart.
    pub async fn renegotiate(&self, configure: &ConfigurePublisher, offer: &Offer) -> Result<Answer, Error> {
        self.negotiate("configure", configure, offer).await
    }

    /// Changes something about the publisher.
    pub async fn configure(&self, configure: &ConfigurePublisher) -> Result<(), Error> {
        self.message::<_, (), Done>("configure", configure, None).await?;
        Ok(())
    }

    /// Ends what is published, and its peer connection; the handle stays in the room.
    pub async fn unpublish(&self) -> Result<(), Error> {
        self.message::<_, (), Done>("unpublish", &Nothing {}, None).await?;
        Ok(())
    }

    /// Leaves the room; other clones of this handle are of no more use.
    pub async fn leave(self) -> Result<Handle<Left>, Refused<Self>> {
        match self.message::<_, (), Done>("leave", &Nothing {}, None).await {
            Ok(_) => Ok(self.in_role()),
            Err(error) => Err(Refused { handle: self, error }),
        }
    }

    async fn negotiate<B: Serialize>(
        &self,
        name: &'static str,
        body: &B,
        offer: &Offer,
    ) -> Result<Answer, Error> {
        let answer = self.message::<_, _, Done>(name, body, Some(offer)).await?;
        answer.jsep.and_then(Jsep::answer).ok_or_else(|| unexpected(name, "no SDP answer", None))
    }
}
