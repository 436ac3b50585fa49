//! The envelope of the Janus API: what is written around each request, and read around each message.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::{Error, JanusCode, VideoRoomCode};
use crate::id::{HandleId, SessionId};
use crate::jsep::Jsep;

/// How much of an answer that cannot be understood an error quotes, in bytes.
pub const QUOTE_MAX: usize = 512;

/// A request with its envelope.
#[derive(Serialize)]
pub(crate) struct Outbound<'a, B> {
    pub(crate) janus: &'static str,
    pub(crate) transaction: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handle_id: Option<HandleId>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "apisecret")]
    pub(crate) api_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) body: &'a B,
}

/// A request without fields of its own.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// A message to the plugin.
#[derive(Serialize)]
pub(crate) struct Message<'a, B, J> {
    pub(crate) body: PluginBody<'a, B>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jsep: Option<&'a J>,
}

/// The body of a plugin's request: its name and its fields.
#[derive(Serialize)]
pub(crate) struct PluginBody<'a, B> {
    pub(crate) request: &'static str,
    #[serde(flatten)]
    pub(crate) fields: &'a B,
}

/// What of a message its receiver must know to hand it on.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) janus: Kind,
    pub(crate) transaction: Option<String>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) sender: Option<HandleId>,
    pub(crate) error: Option<CoreError>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Ack,
    Success,
    Error,
    Pong,
    ServerInfo,
    Event,
    Webrtcup,
    Media,
    Slowlink,
    Hangup,
    Trickle,
    Detached,
    Timeout,
    #[serde(other)]
    Other,
}

/// An error of the core.
#[derive(Debug, Deserialize)]
pub(crate) struct CoreError {
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) reason: String,
}

impl CoreError {
    pub(crate) fn into_error(self, request: &'static str) -> Error {
        Error::Janus { request, code: JanusCode(self.code), reason: self.reason }
    }
}

/// The answer of a plugin, with what the core knows about it.
#[derive(Debug)]
pub(crate) struct PluginAnswer<T> {
    pub(crate) data: T,
    pub(crate) jsep: Option<Jsep>,
}

#[derive(Deserialize)]
struct PluginEnvelope<'a> {
    #[serde(borrow)]
    plugindata: PluginData<'a>,
    jsep: Option<Jsep>,
}

#[derive(Deserialize)]
struct PluginData<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// What every answer of VideoRoom may hold instead of what was asked for.
#[derive(Deserialize)]
struct PluginError {
    error_code: Option<u32>,
    #[serde(default)]
    error: Option<String>,
}

/// Reads an answer of the core.
pub(crate) fn read<T: DeserializeOwned>(request: &'static str, text: &Utf8Bytes) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| unexpected(request, text, Some(source)))
}

/// Reads an answer of the VideoRoom plugin, or its refusal.
pub(crate) fn read_plugin<T: DeserializeOwned>(
    request: &'static str,
    text: &Utf8Bytes,
) -> Result<PluginAnswer<T>, Error> {
    let envelope: PluginEnvelope =
        serde_json::from_str(text).map_err(|source| unexpected(request, text, Some(source)))?;
    let data = read_plugin_data(request, envelope.plugindata.data.get())?;
    Ok(PluginAnswer { data, jsep: envelope.jsep })
}

/// Reads what VideoRoom itself has said, or its refusal.
pub(crate) fn read_plugin_data<T: DeserializeOwned>(request: &'static str, data: &str) -> Result<T, Error> {
    let refused: PluginError =
        serde_json::from_str(data).map_err(|source| unexpected(request, data, Some(source)))?;
    if let Some(code) = refused.error_code {
        let reason = refused.error.unwrap_or_default();
        return Err(Error::VideoRoom { request, code: VideoRoomCode(code), reason });
    }
    serde_json::from_str(data).map_err(|source| unexpected(request, data, Some(source)))
}

/// The error for an answer that lacks what it should hold.
pub(crate) fn unexpected(request: &'static str, text: &str, source: Option<serde_json::Error>) -> Error {
    Error::Unexpected { request, answer: quote(text), source }
}

/// The beginning of a text, whole characters of it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        if quoted.len() + character.len_utf8() > QUOTE_MAX {
            let _infallible = write!(quoted, "… ({} bytes)", text.len());
            break;
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsep::Offer;

    #[test]
    fn a_plugin_request_is_written_with_its_envelope() {
        #[derive(Serialize)]
        struct Fields {
            room: &'static str,
        }
        let jsep = Offer::new("v=0");
        let body = PluginBody { request: "publish", fields: &Fields { room: "blue" } };
        let request = Outbound {
            janus: "message",
            transaction: "t1",
            session_id: Some(SessionId(1)),
            handle_id: Some(HandleId(2)),
            api_secret: None,
            admin_secret: None,
            token: None,
            body: &Message { body, jsep: Some(&jsep) },
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"janus":"message","transaction":"t1","session_id":1,"handle_id":2,"body":{"request":"publish","room":"blue"},"jsep":{"type":"offer","sdp":"v=0"}}"#
        );
    }

    #[test]
    fn a_refusal_of_the_plugin_keeps_its_code() {
        let text = r#"{"janus":"success","plugindata":{"plugin":"p","data":{"videoroom":"event","error_code":426,"error":"No such room (zz)"}}}"#;
        let refused = read_plugin::<serde_json::Value>("exists", &text.into()).unwrap_err();
        assert_eq!(refused.video_room_code(), Some(VideoRoomCode::NO_SUCH_ROOM));
        assert_eq!(refused.to_string(), "VideoRoom refused exists: No such room (zz) (426)");
    }

    #[test]
    fn a_kind_of_message_that_is_new_is_no_error() {
        let envelope: Envelope = serde_json::from_str(r#"{"janus":"surprise","sender":7}"#).unwrap();
        assert_eq!((envelope.janus, envelope.sender), (Kind::Other, Some(HandleId(7))));
    }

    #[test]
    fn a_quote_is_bounded_and_cuts_no_character() {
        let quoted = quote(&"ä".repeat(QUOTE_MAX));
        assert!(quoted.starts_with("ä") && quoted.ends_with("… (1024 bytes)"));
        assert!(quoted.len() < QUOTE_MAX + 32);
    }
}
