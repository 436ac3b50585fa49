//! What clients send: parsed once, believed inside.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::code::{Code, Refusal};
use crate::id::{RoomId, StationId, UserId};
use crate::room::Mode;

/// The longest `id` of a signal, in characters (PROTOCOL.md §2).
pub const SIGNAL_ID_LENGTH_MAX: usize = 64;
/// The longest name of a participant, in characters (PROTOCOL.md §2).
pub const NAME_LENGTH_MAX: usize = 128;
/// The longest reason of a kick or a rejection, in characters; what is longer is a `bad_signal`.
pub const REASON_LENGTH_MAX: usize = 256;

/// A signal with the `id` its answer must carry back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The client's name for it, at most [`SIGNAL_ID_LENGTH_MAX`] characters.
    pub id: Option<String>,
    /// The signal.
    pub signal: ClientSignal,
}

/// A refused signal, with the `id` it carried, where that much could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unparsed {
    /// The client's name for it.
    pub id: Option<String>,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Every signal a client may send (PROTOCOL.md §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSignal {
    /// Asks into a room.
    Join(Box<Join>),
    /// Says that the client lives.
    Heartbeat,
    /// A data signal in its JSON form; [`crate::hls`] reads the text itself.
    Data,
    /// Everything that a room decides about.
    Room(RoomSignal),
}

/// The signals that a room decides about, sent by a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum RoomSignal {
    Leave,
    UpdateVideo(UpdateVideo),
    Sync,
    Offer(Description),
    Answer(Description),
    IceCandidate(IceCandidate),
    Kick(Reasoned),
    Watch(Watch),
    Unwatch(StationOnly),
    SimulcastUpdate(SimulcastUpdate),
    PublishRequest,
    PublishAccept(Reasoned),
    PublishReject(Reasoned),
}

/// `Join`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Join {
    pub room: RoomId,
    /// Only a resuming client may leave it out.
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub token: Option<String>,
    #[serde(default)]
    pub user: Option<JoinUser>,
    #[serde(default)]
    pub publish: Option<bool>,
    #[serde(default)]
    pub resume: Option<String>,
}

/// `Join.user`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct JoinUser {
    #[serde(default)]
    pub id: Option<UserId>,
    #[serde(default, deserialize_with = "name")]
    pub name: Option<String>,
}

/// `UpdateVideo`: at least one of the two flags.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct UpdateVideo {
    #[serde(default)]
    pub video: Option<bool>,
    #[serde(default)]
    pub audio: Option<bool>,
}

/// `Offer` and `Answer`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Description {
    pub sdp: String,
    #[serde(default)]
    pub to: Option<UserId>,
    #[serde(default)]
    pub station: Option<StationId>,
}

/// `iceCandidate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct IceCandidate {
    /// `null` is the end of candidates; it may not be left out.
    #[serde(deserialize_with = "Option::deserialize")]
    pub candidate: Option<String>,
    #[serde(default)]
    pub sdp_mid: Option<String>,
    #[serde(default, rename = "sdpMLineIndex")]
    pub sdp_m_line_index: Option<u16>,
    #[serde(default)]
    pub to: Option<UserId>,
    #[serde(default)]
    pub station: Option<StationId>,
}

/// `Kick`, `PublishAccept`, `PublishReject`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Reasoned {
    pub user: UserId,
    #[serde(default, deserialize_with = "reason")]
    pub reason: Option<String>,
}

/// `Watch`: a station or a user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct Watch {
    #[serde(default)]
    pub station: Option<StationId>,
    #[serde(default)]
    pub user: Option<UserId>,
}

/// `Unwatch`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct StationOnly {
    pub station: StationId,
}

/// `SimulcastUpdate`: layers 0–2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct SimulcastUpdate {
    pub station: StationId,
    #[serde(deserialize_with = "layer")]
    pub substream: u8,
    #[serde(default, deserialize_with = "optional_layer")]
    pub temporal: Option<u8>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, deserialize_with = "signal_id")]
    id: Option<String>,
}

/// Reads one text frame.
///
/// # Errors
/// `bad_signal` with the path at fault, `unknown_signal`.
pub fn parse(text: &str) -> Result<Incoming, Unparsed> {
    if !text.trim_start().starts_with('{') {
        let refusal = Refusal::bad("", "a signal is one JSON object in a text frame");
        return Err(Unparsed { id: None, refusal });
    }
    let Envelope { kind, id } = read(text).map_err(|refusal| Unparsed { id: id_of(text), refusal })?;
    match signal(&kind, text) {
        Ok(signal) => Ok(Incoming { id, signal }),
        Err(refusal) => Err(Unparsed { id, refusal }),
    }
}

fn signal(kind: &str, text: &str) -> Result<ClientSignal, Refusal> {
    let room = match kind {
        "Join" => return read(text).map(ClientSignal::Join),
        "Heartbeat" => return Ok(ClientSignal::Heartbeat),
        "Data" => return Ok(ClientSignal::Data),
        "Leave" => RoomSignal::Leave,
        "UpdateVideo" => RoomSignal::UpdateVideo(read(text).and_then(some_flag)?),
        "Sync" => RoomSignal::Sync,
        "Offer" => RoomSignal::Offer(read(text)?),
        "Answer" => RoomSignal::Answer(read(text)?),
        "iceCandidate" => RoomSignal::IceCandidate(read(text)?),
        "Kick" => RoomSignal::Kick(read(text)?),
        "Watch" => RoomSignal::Watch(read(text).and_then(station_or_user)?),
        "Unwatch" => RoomSignal::Unwatch(read(text)?),
        "SimulcastUpdate" => RoomSignal::SimulcastUpdate(read(text)?),
        "PublishRequest" => RoomSignal::PublishRequest,
        "PublishAccept" => RoomSignal::PublishAccept(read(text)?),
        "PublishReject" => RoomSignal::PublishReject(read(text)?),
        unknown => {
            let named: String = unknown.chars().take(40).collect();
            return Err(Refusal::new(
                Code::UnknownSignal,
                format!("there is no signal {named:?}; signal names are case-sensitive, see PROTOCOL.md §3"),
            ));
        }
    };
    Ok(ClientSignal::Room(room))
}

/// Reads `text` as a `T`; only when that fails is it read again, to find the path at fault.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|plain| {
        let mut json = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) => {
                let path = match error.path().to_string() {
                    dot if dot == "." => missing_field(error.inner()).unwrap_or_default(),
                    path => path,
                };
                Refusal::bad(path, format!("the signal cannot be read: {}", error.inner()))
            }
            Ok(_) => Refusal::bad("", format!("the signal cannot be read: {plain}")),
        }
    })
}

/// The field that serde says is missing: its path is that of the object, which names nothing.
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("missing field `")?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}

/// The `id` of a signal, however wrong it is elsewhere; `None` when that much cannot be read.
pub fn id_of(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = value.get("id")?.as_str()?;
    (id.chars().count() <= SIGNAL_ID_LENGTH_MAX).then(|| id.to_owned())
}

fn some_flag(update: UpdateVideo) -> Result<UpdateVideo, Refusal> {
    if update.video.is_none() && update.audio.is_none() {
        return Err(Refusal::bad("video", "say what changes: `video`, `audio` or both, as booleans"));
    }
    Ok(update)
}

fn station_or_user(watch: Watch) -> Result<Watch, Refusal> {
    if watch.station.is_none() && watch.user.is_none() {
        return Err(Refusal::bad("station", "say whom to watch: a `station` or a `user`"));
    }
    Ok(watch)
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    most: usize,
    what: &str,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    match &text {
        Some(long) if long.chars().count() > most => {
            Err(serde::de::Error::custom(format!("a {what} has at most {most} characters")))
        }
        Some(_) | None => Ok(text),
    }
}

fn signal_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    bounded(deserializer, SIGNAL_ID_LENGTH_MAX, "signal id")
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    bounded(deserializer, NAME_LENGTH_MAX, "name")
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    bounded(deserializer, REASON_LENGTH_MAX, "reason")
}

fn layer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let layer = u8::deserialize(deserializer)?;
    if layer > 2 {
        return Err(serde::de::Error::custom("a layer is 0, 1 or 2"));
    }
    Ok(layer)
}

fn optional_layer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    #[derive(Deserialize)]
    struct Layer(#[serde(deserialize_with = "layer")] u8);
    Ok(Option::<Layer>::deserialize(deserializer)?.map(|Layer(layer)| layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Refusal {
        parse(text).unwrap_err().refusal
    }

    #[test]
    fn a_join_is_read_with_its_id() {
        let incoming =
            parse(r#"{"type":"Join","id":"1","room":"demo","mode":"p2p","user":{"id":"ann"},"x":[1]}"#)
                .unwrap();
        assert_eq!(incoming.id.as_deref(), Some("1"));
        let ClientSignal::Join(join) = incoming.signal else { panic!("not a Join") };
        assert_eq!((join.room.as_str(), join.mode), ("demo", Some(Mode::P2p)));
    }

    #[test]
    fn a_bad_field_is_named_by_its_path() {
        assert_eq!(refused(r#"{"type":"Join","room":"a b","mode":"p2p"}"#).path.as_deref(), Some("room"));
        let path = refused(r#"{"type":"Join","room":"a","mode":"p2p","user":{"id":7}}"#).path;
        assert_eq!(path.as_deref(), Some("user.id"));
        assert_eq!(refused(r#"{"type":"Offer"}"#).path.as_deref(), Some("sdp"));
        assert_eq!(refused(r#"{"type":"iceCandidate","sdpMid":"0"}"#).path.as_deref(), Some("candidate"));
        let layer = refused(r#"{"type":"SimulcastUpdate","station":"s","substream":3}"#);
        assert_eq!(layer.path.as_deref(), Some("substream"));
        assert_eq!(refused(r#"{"type":"UpdateVideo"}"#).path.as_deref(), Some("video"));
    }

    #[test]
    fn a_refused_signal_keeps_its_id() {
        let unparsed = parse(r#"{"id":"7","type":5}"#).unwrap_err();
        assert_eq!((unparsed.id.as_deref(), unparsed.refusal.code), (Some("7"), Code::BadSignal));
        let unparsed = parse(r#"{"id":"8","type":"Dance"}"#).unwrap_err();
        assert_eq!((unparsed.id.as_deref(), unparsed.refusal.code), (Some("8"), Code::UnknownSignal));
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(refused(r#"{"type":"IceCandidate","candidate":null}"#).code, Code::UnknownSignal);
        assert!(parse(r#"{"type":"iceCandidate","candidate":null}"#).is_ok());
    }

    #[test]
    fn an_id_of_65_characters_is_refused() {
        let text = format!(r#"{{"type":"Sync","id":"{}"}}"#, "x".repeat(65));
        assert_eq!(refused(&text).path.as_deref(), Some("id"));
    }

    #[test]
    fn text_that_is_no_json_is_a_bad_signal() {
        assert_eq!(refused("hello").code, Code::BadSignal);
        assert_eq!(refused("[]").code, Code::BadSignal);
        assert_eq!(refused("").code, Code::BadSignal);
    }
}
