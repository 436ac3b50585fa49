//! Media as plain RTP to somewhere else.

use serde::{Deserialize, Serialize};

use super::{Done, RoomRequest};
use crate::event::MediaKind;
use crate::id::{FeedId, RoomId};

/// Encryption of forwarded media.
#[derive(Clone, Debug, Serialize)]
pub struct Srtp {
    /// The length of the authentication tag, 32 or 80.
    #[serde(rename = "srtp_suite")]
    pub suite: u32,
    /// The key as in SDES, base64.
    #[serde(rename = "srtp_crypto")]
    pub crypto: String,
}

/// Sends a publisher's streams as RTP to a host. Forwarders go with what is published.
#[derive(Clone, Debug, Serialize)]
pub struct RtpForward {
    /// The room.
    pub room: RoomId,
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The plugin's key, where it guards this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<String>,
    /// Where to.
    pub host: String,
    /// The streams.
    pub streams: Vec<ForwardStream>,
    /// Encryption, where it is wanted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Srtp>,
}

/// One stream to forward.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ForwardStream {
    /// The m-line of the publisher.
    pub mid: String,
    /// The port it is sent to.
    pub port: u16,
    /// The port RTCP is exchanged with; without it nobody can ask for key frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtcp_port: Option<u16>,
    /// The SSRC to write; else the publisher's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    /// The payload type to write; else the publisher's.
    #[serde(rename = "pt", skip_serializing_if = "Option::is_none")]
    pub payload_type: Option<u8>,
    /// Whether only the best simulcast layer there is at a time is sent, as to a viewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulcast: Option<bool>,
    /// The port of the second simulcast layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_2: Option<u16>,
    /// The SSRC of the second simulcast layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc_2: Option<u32>,
    /// The port of the third simulcast layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_3: Option<u16>,
    /// The SSRC of the third simulcast layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc_3: Option<u32>,
}

impl RoomRequest for RtpForward {
    const NAME: &'static str = "rtp_forward";
    type Reply = Forwarded;
}

/// What is forwarded now.
#[derive(Clone, Debug, Deserialize)]
pub struct Forwarded {
    /// The forwarders, one per stream or layer.
    #[serde(default)]
    pub forwarders: Vec<Forwarder>,
}

/// One forwarder.
#[derive(Clone, Debug, Deserialize)]
pub struct Forwarder {
    /// Its id, for [`StopRtpForward`].
    pub stream_id: u64,
    /// What kind of media.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// Where to.
    pub host: String,
    /// The port it is sent to.
    pub port: u16,
    /// The simulcast layer, where it is one.
    #[serde(default)]
    pub substream: Option<u8>,
    /// The own port of RTCP.
    #[serde(default)]
    pub local_rtcp_port: Option<u16>,
}

/// Ends a forwarder.
#[derive(Clone, Debug, Serialize)]
pub struct StopRtpForward {
    /// The room.
    pub room: RoomId,
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// The forwarder.
    pub stream_id: u64,
    /// The room's secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl RoomRequest for StopRtpForward {
    const NAME: &'static str = "stop_rtp_forward";
    type Reply = Done;
}

/// Lists the forwarders of a room.
#[derive(Clone, Debug, Serialize)]
pub struct ListForwarders {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl RoomRequest for ListForwarders {
    const NAME: &'static str = "listforwarders";
    type Reply = Forwarders;
}

/// The forwarders of a room.
#[derive(Clone, Debug, Deserialize)]
pub struct Forwarders {
    /// By publisher; those without forwarders are not there.
    #[serde(default)]
    pub publishers: Vec<ForwardersOf>,
}

/// The forwarders of a publisher.
#[derive(Clone, Debug, Deserialize)]
pub struct ForwardersOf {
    /// The publisher.
    #[serde(rename = "publisher_id")]
    pub feed: FeedId,
    /// Its forwarders.
    #[serde(default)]
    pub forwarders: Vec<Forwarder>,
}
