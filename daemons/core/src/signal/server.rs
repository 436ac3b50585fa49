//! What the server sends.

use serde::Serialize;

use super::code::{Code, Refusal};
use crate::id::{RoomId, StationId, UserId};
use crate::room::{Mode, Participant, ParticipantType};
use crate::time::millis;

/// Every signal a server sends (PROTOCOL.md §3).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum ServerSignal {
    JoinAck(Box<JoinAck>),
    Ack,
    HeartbeatAck {
        /// Milliseconds since the epoch.
        server_time: u64,
    },
    RoomState {
        participants: Vec<ParticipantView>,
        publishers: Vec<PublisherView>,
        owner: UserId,
        version: u64,
    },
    ParticipantChange {
        joined: Vec<ParticipantView>,
        left: Vec<Left>,
        away: Vec<UserId>,
        back: Vec<UserId>,
        owner: UserId,
        version: u64,
    },
    PublishListChangeAck {
        publishers: Vec<PublisherView>,
        added: Vec<UserId>,
        removed: Vec<UserId>,
        moved: Vec<Moved>,
        version: u64,
    },
    UpdateVideo {
        from: UserId,
        video: bool,
        audio: bool,
        version: u64,
    },
    ViewerCount {
        viewers: u64,
    },
    Offer {
        from: UserId,
        sdp: String,
    },
    Answer {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<UserId>,
        sdp: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        station: Option<StationId>,
    },
    #[serde(rename = "iceCandidate")]
    IceCandidate {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<UserId>,
        candidate: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp_mid: Option<String>,
        #[serde(rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
        sdp_m_line_index: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        station: Option<StationId>,
    },
    Kick {
        reason: String,
    },
    WatchAck {
        station: StationId,
        user: UserId,
        /// An offer.
        sdp: String,
        /// The station that this one takes the place of.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<StationId>,
    },
    SimulcastUpdate {
        station: StationId,
        substream: u8,
        temporal: u8,
    },
    StationLost {
        station: StationId,
        user: UserId,
        /// Whether the publisher may Offer again and is placed elsewhere.
        retry: bool,
    },
    PublishRequest {
        user: UserId,
    },
    PublishAccept {
        user: UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    PublishReject {
        user: UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Error {
        code: Code,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
}

/// `JoinAck`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct JoinAck {
    pub room: RoomId,
    pub mode: Mode,
    pub user: UserId,
    pub participant_type: ParticipantType,
    pub owner: UserId,
    pub resume: String,
    pub ice_servers: Vec<IceServer>,
    pub version: u64,
    pub participants: Vec<ParticipantView>,
    pub publishers: Vec<PublisherView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,
    /// Milliseconds.
    pub heartbeat_interval: u64,
    /// Milliseconds.
    pub heartbeat_timeout: u64,
    pub limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u64>,
    /// Set by the driver, which is the first to know what was kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
}

/// One `RTCIceServer` (W3C WebRTC §4.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are WebRTC's")]
pub struct IceServer {
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What a p2m publisher is told of ingest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// The largest message, in bytes; larger ones travel in chunks (PROTOCOL.md §5).
    pub max_frame: usize,
    /// The part target to aim at, in seconds.
    pub part_target: f64,
}

/// The mode's limits; `null` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Limits {
    pub publishers: usize,
    pub viewers: Option<usize>,
}

/// A participant as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct ParticipantView {
    pub user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub participant_type: ParticipantType,
    pub video: bool,
    pub audio: bool,
    pub away: bool,
}

impl From<&Participant> for ParticipantView {
    fn from(participant: &Participant) -> Self {
        Self {
            user: participant.user.clone(),
            name: participant.name.clone(),
            participant_type: participant.participant_type,
            video: participant.video,
            audio: participant.audio,
            away: participant.is_away(),
        }
    }
}

/// A publisher as others see it; without station until its first Offer is placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct PublisherView {
    pub user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<StationId>,
    /// An offer ready to answer; in a `JoinAck` alone, filled in by the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    pub video: bool,
    pub audio: bool,
}

impl From<&Participant> for PublisherView {
    fn from(participant: &Participant) -> Self {
        Self {
            user: participant.user.clone(),
            station: participant.station.clone(),
            sdp: None,
            video: participant.video,
            audio: participant.audio,
        }
    }
}

/// Who left, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Left {
    pub user: UserId,
    pub reason: Reason,
}

/// A publisher whose station moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Moved {
    pub user: UserId,
    pub from: StationId,
    pub to: StationId,
}

/// Why a participant left (PROTOCOL.md §3, `ParticipantChange`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum Reason {
    Left,
    Lost,
    Timeout,
    Kicked,
    Replaced,
    Closed,
}

impl Reason {
    /// The reason's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Timeout => "timeout",
            Self::Kicked => "kicked",
            Self::Replaced => "replaced",
            Self::Closed => "closed",
        }
    }
}

impl From<Refusal> for ServerSignal {
    fn from(refusal: Refusal) -> Self {
        Self::Error {
            code: refusal.code,
            message: refusal.message,
            path: refusal.path,
            retry_after: refusal.retry_after.map(millis),
        }
    }
}

impl ServerSignal {
    /// The signal as JSON text, with `re` when it answers a signal that had an `id`.
    pub fn to_json(&self, re: Option<&str>) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_else(|_| unreachable!("no map with odd keys"));
        if let Some(re) = re {
            text.pop();
            text.push_str(",\"re\":");
            text.push_str(&serde_json::Value::from(re).to_string());
            text.push('}');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_re() {
        assert_eq!(ServerSignal::Ack.to_json(Some("a\"b")), r#"{"type":"Ack","re":"a\"b"}"#);
        assert_eq!(ServerSignal::Ack.to_json(None), r#"{"type":"Ack"}"#);
    }

    #[test]
    fn signals_are_spelled_as_the_protocol_spells_them() {
        let candidate = ServerSignal::IceCandidate {
            from: Some("ann".parse().unwrap()),
            candidate: None,
            sdp_mid: Some("0".into()),
            sdp_m_line_index: Some(0),
            station: None,
        };
        assert_eq!(
            candidate.to_json(None),
            r#"{"type":"iceCandidate","from":"ann","candidate":null,"sdpMid":"0","sdpMLineIndex":0}"#
        );
        let refusal = Refusal::new(Code::NoCapacity, "later").retry_after(std::time::Duration::from_secs(1));
        assert_eq!(
            ServerSignal::from(refusal).to_json(Some("1")),
            r#"{"type":"Error","code":"no_capacity","message":"later","retryAfter":1000,"re":"1"}"#
        );
        let count = ServerSignal::ViewerCount { viewers: 3 };
        assert_eq!(count.to_json(None), r#"{"type":"ViewerCount","viewers":3}"#);
    }
}
