//! A feed of one Janus in a room of another.
//!
//! [`AddRemotePublisher`] on the second makes the feed and says where its media is taken;
//! [`PublishRemotely`] on the first sends it there. The original runs on meanwhile.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Done, FeedStream, RoomRequest, Srtp};
use crate::event::MediaKind;
use crate::id::{FeedId, RoomId};

/// Makes a feed whose media comes as RTP, from another Janus or anything else.
///
/// It is answered a moment before the feed can be subscribed to: until `listparticipants` says that it
/// publishes, that is [`crate::VideoRoomCode::NO_SUCH_FEED`].
#[derive(Clone, Debug, Serialize)]
pub struct AddRemotePublisher {
    /// The room.
    pub room: RoomId,
    /// The feed's id here.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedId>,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The network interface or address to take media on; all of them where it is absent.
    #[serde(rename = "iface", skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The port to take media on. Where it is absent, Janus 1.1 looks from port 10000 up, whatever its
    /// `rtp_port_range` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Encryption, where it is wanted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Srtp>,
    /// What it publishes.
    pub streams: Vec<RemoteStream>,
}

/// One stream of a remote publisher. Its RTP is told from that of others by its SSRC: the index of its
/// m-line × 100, plus 1, plus the simulcast layer.
#[derive(Clone, Debug, Serialize)]
pub struct RemoteStream {
    /// What kind of media.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// The m-line's index.
    #[serde(rename = "mindex")]
    pub index: u32,
    /// The m-line.
    pub mid: String,
    /// The codec, `"vp8"` say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// Whether it is inactive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it has simulcast layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulcast: Option<bool>,
    /// Whether it is scalable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub svc: Option<bool>,
    /// The H.264 profile.
    #[serde(rename = "h264-profile", skip_serializing_if = "Option::is_none")]
    pub h264_profile: Option<String>,
    /// The VP9 profile.
    #[serde(rename = "vp9-profile", skip_serializing_if = "Option::is_none")]
    pub vp9_profile: Option<String>,
}

impl RemoteStream {
    /// A stream of a codec.
    pub fn new(kind: MediaKind, index: u32, mid: &str, codec: &str) -> Self {
        Self {
            kind,
            index,
            mid: mid.to_owned(),
            codec: Some(codec.to_owned()),
            disabled: None,
            description: None,
            simulcast: None,
            svc: None,
            h264_profile: None,
            vp9_profile: None,
        }
    }
}

/// What a publisher of one Janus publishes is what its like on another shall.
impl From<&FeedStream> for RemoteStream {
    fn from(stream: &FeedStream) -> Self {
        Self {
            kind: stream.kind,
            index: stream.index,
            mid: stream.mid.clone(),
            codec: stream.codec.clone(),
            disabled: stream.disabled.then_some(true),
            description: stream.description.clone(),
            simulcast: stream.simulcast.then_some(true),
            svc: stream.svc.then_some(true),
            h264_profile: stream.h264_profile.clone(),
            vp9_profile: stream.vp9_profile.clone(),
        }
    }
}

impl RoomRequest for AddRemotePublisher {
    const NAME: &'static str = "add_remote_publisher";
    type Reply = RemotePublisher;
}

/// A feed whose media comes from elsewhere, and where it is taken.
#[derive(Clone, Debug, Deserialize)]
pub struct RemotePublisher {
    /// The room.
    pub room: RoomId,
    /// The feed.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// The address media is taken at; unspecified where it is all of them.
    pub ip: IpAddr,
    /// The port media is taken at.
    pub port: u16,
    /// The port RTCP is exchanged with.
    pub rtcp_port: u16,
}

/// Changes what a remote publisher publishes.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateRemotePublisher {
    /// The room.
    pub room: RoomId,
    /// The feed.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What it is called from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// Streams that are new or other than before.
    pub streams: Vec<RemoteStream>,
}

impl RoomRequest for UpdateRemotePublisher {
    const NAME: &'static str = "update_remote_publisher";
    type Reply = Done;
}

/// Ends a remote publisher. It is answered a moment before the feed's id is free again.
#[derive(Clone, Debug, Serialize)]
pub struct RemoveRemotePublisher {
    /// The room.
    pub room: RoomId,
    /// The feed.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl RoomRequest for RemoveRemotePublisher {
    const NAME: &'static str = "remove_remote_publisher";
    type Reply = Done;
}

/// Sends all that a publisher publishes to another Janus. Only a publisher with a peer connection here can
/// be sent ([`crate::VideoRoomCode::INVALID_ELEMENT`]): remote ones are not sent on.
#[derive(Clone, Debug, Serialize)]
pub struct PublishRemotely {
    /// The room.
    pub room: RoomId,
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// What this sending is called; several go to several Januses.
    pub remote_id: String,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Where to.
    pub host: String,
    /// The port media is taken at ([`RemotePublisher::port`]).
    pub port: u16,
    /// The port RTCP is exchanged with ([`RemotePublisher::rtcp_port`]): how key frames are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtcp_port: Option<u16>,
    /// Encryption, where it is wanted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Srtp>,
}

impl RoomRequest for PublishRemotely {
    const NAME: &'static str = "publish_remotely";
    type Reply = Done;
}

/// Ends a sending to another Janus; the feed there stays until [`RemoveRemotePublisher`].
#[derive(Clone, Debug, Serialize)]
pub struct UnpublishRemotely {
    /// The room.
    pub room: RoomId,
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// What the sending is called.
    pub remote_id: String,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl RoomRequest for UnpublishRemotely {
    const NAME: &'static str = "unpublish_remotely";
    type Reply = Done;
}

/// Lists where a publisher is sent to.
///
/// The documentation calls this `list_remotes`; Janus 1.1 only takes `listremotes`.
#[derive(Clone, Debug, Serialize)]
pub struct ListRemotes {
    /// The room.
    pub room: RoomId,
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl RoomRequest for ListRemotes {
    const NAME: &'static str = "listremotes";
    type Reply = Remotes;
}

/// Where a publisher is sent to.
#[derive(Clone, Debug, Deserialize)]
pub struct Remotes {
    /// The sendings.
    #[serde(rename = "list", default)]
    pub remotes: Vec<Remotization>,
}

/// One sending to another Janus.
#[derive(Clone, Debug, Deserialize)]
pub struct Remotization {
    /// What it is called.
    pub remote_id: String,
    /// Where to.
    #[serde(default)]
    pub host: Option<String>,
    /// The port media is sent to.
    #[serde(default)]
    pub port: Option<u16>,
}
