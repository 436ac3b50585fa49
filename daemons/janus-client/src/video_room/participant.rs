//! Who is in a room, and what they publish.

use serde::{Deserialize, Serialize};

use super::RoomRequest;
use crate::event::MediaKind;
use crate::id::{FeedId, RoomId};

/// Lists who has joined a room. Subscribers are not participants.
#[derive(Clone, Debug, Serialize)]
pub struct ListParticipants {
    /// The room.
    pub room: RoomId,
}

impl RoomRequest for ListParticipants {
    const NAME: &'static str = "listparticipants";
    type Reply = Participants;
}

/// Who has joined a room.
#[derive(Clone, Debug, Deserialize)]
pub struct Participants {
    /// The room.
    pub room: RoomId,
    /// They.
    pub participants: Vec<Participant>,
}

/// A participant of a room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Participant {
    /// Its id.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// What it is called.
    #[serde(default)]
    pub display: Option<String>,
    /// Whether its media flows.
    #[serde(default)]
    pub publisher: bool,
    /// Whether its media comes from another Janus ([`super::AddRemotePublisher`]).
    #[serde(default)]
    pub remote: bool,
    /// Whether it talks, where that is measured.
    #[serde(default)]
    pub talking: Option<bool>,
}

/// A participant that publishes.
#[derive(Clone, Debug, Deserialize)]
pub struct Feed {
    /// Its id.
    pub id: FeedId,
    /// What it is called.
    #[serde(default)]
    pub display: Option<String>,
    /// What it publishes.
    #[serde(default)]
    pub streams: Vec<FeedStream>,
}

/// One m-line of a publisher.
#[allow(clippy::struct_excessive_bools, reason = "Janus tells them one by one")]
#[derive(Clone, Debug, Deserialize)]
pub struct FeedStream {
    /// What kind of media.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// The m-line's index.
    #[serde(rename = "mindex")]
    pub index: u32,
    /// The m-line.
    pub mid: String,
    /// Whether it is inactive; most else is absent then.
    #[serde(default)]
    pub disabled: bool,
    /// The codec, `"vp8"` say.
    #[serde(default)]
    pub codec: Option<String>,
    /// What the publisher calls it.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether a moderator has muted it.
    #[serde(default)]
    pub moderated: bool,
    /// Whether it has simulcast layers.
    #[serde(default)]
    pub simulcast: bool,
    /// Whether it is scalable.
    #[serde(default)]
    pub svc: bool,
    /// The H.264 profile.
    #[serde(rename = "h264-profile", default)]
    pub h264_profile: Option<String>,
    /// The VP9 profile.
    #[serde(rename = "vp9-profile", default)]
    pub vp9_profile: Option<String>,
}

/// Simulcast layers of one m-line of a subscriber; -1 is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Layers {
    /// The layer that is sent, 0 the smallest.
    pub substream: i8,
    /// The layer that is wanted.
    #[serde(rename = "substream-target")]
    pub substream_target: i8,
    /// The temporal layer that is sent, 0 the fewest frames.
    #[serde(rename = "temporal-layer")]
    pub temporal: i8,
    /// The temporal layer that is wanted.
    #[serde(rename = "temporal-layer-target")]
    pub temporal_target: i8,
}
