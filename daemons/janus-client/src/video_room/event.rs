//! What the plugin tells without being asked, or too late.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Feed, Participant, SubscriberStream};
use crate::error::VideoRoomCode;
use crate::event::Raw;
use crate::id::{FeedId, RoomId};
use crate::jsep::{Jsep, Offer};

/// Something that the plugin tells, with all that was in it.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    /// The room, where the plugin names one.
    pub room: Option<RoomId>,
    /// What it is.
    pub news: RoomNews,
    /// The whole message.
    pub raw: Raw,
}

/// What the plugin tells.
#[derive(Clone, Debug)]
pub enum RoomNews {
    /// These publish now, or publish something else now.
    Publishers(Vec<Feed>),
    /// This one has joined and does not publish; only in rooms with `notify_joining`.
    Joining(FeedId),
    /// This one publishes no more.
    Unpublished(FeedId),
    /// This one has left the room.
    Leaving(FeedId),
    /// This handle was put out of the room. It is of no more use: detach it.
    Kicked,
    /// The room is no more.
    Destroyed,
    /// A moderator has muted an m-line, or unmuted it.
    Moderated {
        /// Whose.
        feed: FeedId,
        /// Which.
        mid: String,
        /// Whether it is muted now.
        muted: bool,
    },
    /// The simulcast layer that a subscriber's m-line gets has changed: a switch is done.
    Layers {
        /// The own m-line, where Janus names it.
        mid: Option<String>,
        /// The layer that is sent now.
        substream: Option<u8>,
        /// The temporal layer that is sent now.
        temporal: Option<u8>,
    },
    /// A subscriber's m-lines have changed: a feed came or went, or an update that was postponed is made.
    Updated {
        /// All m-lines as they are now; empty where Janus does not say.
        streams: Vec<SubscriberStream>,
        /// To be answered with `start`, where it is there.
        offer: Option<Offer>,
    },
    /// This one begins to talk, or stops to; only in rooms with `audiolevel_event`.
    Talking {
        /// Who.
        feed: FeedId,
        /// Whether it talks.
        talking: bool,
    },
    /// A publisher is told to send less, in bit/s, as its packets get lost.
    SlowLink {
        /// The bitrate from now on.
        bitrate: u64,
    },
    /// A request failed whose answer came after its time.
    Failed {
        /// The plugin's code.
        code: VideoRoomCode,
        /// The plugin's words.
        reason: String,
    },
    /// Something else, the late answer to a request among it.
    Other,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    plugindata: Data<'a>,
    jsep: Option<Jsep>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// All that an event may hold; which of it is there tells what it is.
#[derive(Deserialize)]
struct Wire {
    videoroom: String,
    room: Option<RoomId>,
    id: Option<FeedId>,
    publishers: Option<Vec<Feed>>,
    joining: Option<Participant>,
    unpublished: Option<FeedId>,
    leaving: Option<FeedId>,
    reason: Option<String>,
    mid: Option<String>,
    moderation: Option<String>,
    substream: Option<u8>,
    temporal: Option<u8>,
    streams: Option<Vec<SubscriberStream>>,
    #[serde(rename = "current-bitrate")]
    bitrate: Option<u64>,
    error_code: Option<u32>,
    error: Option<String>,
}

impl RoomEvent {
    pub(crate) fn read(text: &Utf8Bytes) -> Option<Self> {
        let envelope: Envelope = serde_json::from_str(text).ok()?;
        let mut wire: Wire = serde_json::from_str(envelope.plugindata.data.get()).ok()?;
        let room = wire.room.take();
        Some(Self { room, news: news(wire, envelope.jsep), raw: Raw(text.clone()) })
    }
}

fn news(wire: Wire, jsep: Option<Jsep>) -> RoomNews {
    if let Some(code) = wire.error_code {
        return RoomNews::Failed { code: VideoRoomCode(code), reason: wire.error.unwrap_or_default() };
    }
    match wire.videoroom.as_str() {
        "destroyed" => RoomNews::Destroyed,
        "updated" => {
            let streams = wire.streams.unwrap_or_default();
            RoomNews::Updated { streams, offer: jsep.and_then(Jsep::offer) }
        }
        "talking" | "stopped-talking" => wire.id.map_or(RoomNews::Other, |feed| {
            let talking = wire.videoroom == "talking";
            RoomNews::Talking { feed, talking }
        }),
        "slow_link" => wire.bitrate.map_or(RoomNews::Other, |bitrate| RoomNews::SlowLink { bitrate }),
        "event" => event(wire),
        _ => RoomNews::Other,
    }
}

fn event(wire: Wire) -> RoomNews {
    match wire {
        Wire { publishers: Some(publishers), .. } => RoomNews::Publishers(publishers),
        Wire { joining: Some(participant), .. } => RoomNews::Joining(participant.feed),
        Wire { leaving: Some(_), reason: Some(reason), .. } if reason == "kicked" => RoomNews::Kicked,
        // To who has left itself it says "ok", in place of an id.
        Wire { leaving: Some(feed), .. } if feed.as_str() != Some("ok") => RoomNews::Leaving(feed),
        Wire { unpublished: Some(feed), .. } if feed.as_str() != Some("ok") => RoomNews::Unpublished(feed),
        Wire { moderation: Some(moderation), id: Some(feed), mid: Some(mid), .. } => {
            RoomNews::Moderated { feed, mid, muted: moderation == "muted" }
        }
        Wire { mid, substream, temporal, .. } if substream.is_some() || temporal.is_some() => {
            RoomNews::Layers { mid, substream, temporal }
        }
        _ => RoomNews::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> RoomEvent {
        let text = format!(r#"{{"janus":"event","sender":1,"plugindata":{{"plugin":"p","data":{data}}}}}"#);
        RoomEvent::read(&text.into()).unwrap()
    }

    #[test]
    fn to_be_kicked_is_told_from_others_leaving() {
        let kicked = read(r#"{"videoroom":"event","room":"r1","leaving":"ok","reason":"kicked"}"#);
        assert!(matches!(kicked.news, RoomNews::Kicked), "{kicked:?}");
        let left = read(r#"{"videoroom":"event","room":"r1","leaving":"rem"}"#);
        assert!(matches!(left.news, RoomNews::Leaving(feed) if feed == "rem".into()));
    }

    #[test]
    fn a_layer_that_has_changed_is_told() {
        let event = read(r#"{"videoroom":"event","room":"r1","mid":"1","substream":0}"#);
        let RoomNews::Layers { mid, substream, temporal } = event.news else { panic!("{event:?}") };
        assert_eq!((mid.as_deref(), substream, temporal), (Some("1"), Some(0), None));
    }

    #[test]
    fn a_field_that_is_new_is_kept_reachable() {
        let event = read(r#"{"videoroom":"event","room":"r1","weather":"fine"}"#);
        assert!(matches!(event.news, RoomNews::Other));
        assert_eq!(event.raw.json()["plugindata"]["data"]["weather"], "fine");
    }
}
