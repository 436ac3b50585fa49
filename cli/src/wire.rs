//! A client's side of the signaling WebSocket (PROTOCOL.md §2): connect, join, hear how it ended.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::{Grants, Mode};
use reqwest::Url;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::control::CONNECT_TIMEOUT;
use crate::endpoint::Place;
use crate::error::{Failure, Result, chain, os};
use crate::exit::Exit;
use crate::keys;

/// How long the server may take to answer a closing handshake before the connection is just dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message taken from a server, in bytes: a room state of many participants.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Close code of a participant that was replaced by a newer connection of the same user.
const CLOSE_REPLACED: u16 = 4000;
/// Close code of a participant that sent no heartbeat in time.
const CLOSE_SILENT: u16 = 4001;

/// Who joins what, and how.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The room.
    pub room: RoomId,
    /// Its mode.
    pub mode: Mode,
    /// Who.
    pub user: Option<UserId>,
    /// The name others see.
    pub name: Option<String>,
    /// As a publisher; `None` is the mode's rule.
    pub publish: Option<bool>,
}

impl Joining {
    /// The `Join`, with a token where the place has one or keys to sign one.
    pub fn signal(&self, place: &Place, id: &str, resume: Option<&str>) -> Result<String> {
        let mut join = Map::new();
        join.insert("type".into(), "Join".into());
        join.insert("id".into(), id.into());
        join.insert("room".into(), self.room.as_str().into());
        join.insert("mode".into(), self.mode.as_str().into());
        let mut user = Map::new();
        user.extend(self.user.as_ref().map(|id| ("id".to_owned(), Value::from(id.as_str()))));
        user.extend(self.name.as_ref().map(|name| ("name".to_owned(), Value::from(name.as_str()))));
        if !user.is_empty() {
            join.insert("user".into(), Value::Object(user));
        }
        join.extend(self.publish.map(|publish| ("publish".to_owned(), publish.into())));
        join.extend(resume.map(|secret| ("resume".to_owned(), secret.into())));
        join.extend(self.token(place)?.map(|token| ("token".to_owned(), token.into())));
        Ok(Value::Object(join).to_string())
    }

    fn token(&self, place: &Place) -> Result<Option<String>> {
        let keys = match (&place.token, &place.keys) {
            (Some(token), _) => return Ok(Some(token.clone())),
            (None, Some(keys)) => keys,
            (None, None) => return Ok(None),
        };
        let user = self.user.clone().or_else(|| "mobzctl".parse().ok());
        let mut claims = keys::claims(keys::OWN_TOKEN_TTL, Grants::USUAL);
        claims.sub = user;
        claims.room = Some(self.room.clone());
        claims.name.clone_from(&self.name);
        keys::sign(keys, &claims).map(Some)
    }
}

/// What comes over the socket.
#[derive(Debug)]
pub enum Heard {
    /// A signal, as text and as JSON.
    Signal(String, Value),
    /// The connection's end.
    Ended(Ending),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it with this code and reason.
    Closed(u16, String),
    /// It broke.
    Broken(String),
}

impl Ending {
    /// Whether connecting again makes sense: the server did not put this client out.
    pub fn may_return(&self) -> bool {
        match self {
            Self::Closed(code, _) => !matches!(*code, 1000 | 1002 | 1003 | 1007..=1010 | CLOSE_REPLACED),
            Self::Broken(_) => true,
        }
    }

    /// As the failure of a command that could not do `what` because of it.
    pub fn failure(&self, what: &str) -> Failure {
        let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        match self {
            Self::Closed(1000, reason) => Failure::refused(
                what,
                format!("the server ended the connection{}", because(reason)),
                "the room may have ended; see `mobzctl room list`",
            ),
            Self::Closed(CLOSE_REPLACED, reason) => Failure::refused(
                what,
                format!("another connection of the same user took over{}", because(reason)),
                "choose another user with --user",
            ),
            Self::Closed(CLOSE_SILENT, reason) => Failure::failed(
                what,
                format!("the server heard no heartbeat in time{}", because(reason)),
                "check the network, and whether this machine was asleep or overloaded",
            ),
            Self::Closed(1008, reason) => Failure::refused(
                what,
                format!("the server put this client out{}", because(reason)),
                "see the signals before it for the reason",
            ),
            Self::Closed(1009, reason) => Failure::refused(
                what,
                format!("a message was larger than the server takes{}", because(reason)),
                "send smaller ones",
            ),
            Self::Closed(code, reason) => Failure::unreachable(
                what,
                format!("the server closed the connection with code {code}{}", because(reason)),
                "try again",
            ),
            Self::Broken(why) => {
                Failure::unreachable(what, format!("the connection broke: {why}"), "try again")
            }
        }
    }
}

/// A signaling connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects.
    pub async fn connect(url: &Url) -> Result<Self> {
        let what = "cannot connect to signaling";
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        // Small signals must not wait for more to come: Nagle's algorithm is off.
        let connecting = connect_async_with_config(url.as_str(), Some(config), true);
        let remedy = "start a stack with `mobzctl up`, or name another endpoint with --endpoint";
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok((stream, _))) => Ok(Self { stream }),
            Ok(Err(error)) => {
                Err(Failure::unreachable(what, format!("{url} cannot be reached: {}", words(&error)), remedy))
            }
            Err(_) => Err(Failure::unreachable(what, format!("{url} did not answer in time"), remedy)),
        }
    }

    /// Sends a signal.
    pub async fn send(&mut self, signal: impl Into<String>) -> std::result::Result<(), Ending> {
        self.stream.send(Message::text(signal.into())).await.map_err(|error| broken(&error))
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, frame: bytes::Bytes) -> std::result::Result<(), Ending> {
        self.stream.send(Message::Binary(frame)).await.map_err(|error| broken(&error))
    }

    /// The next signal or the end; may be dropped while it waits.
    pub async fn hear(&mut self) -> Heard {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let value = serde_json::from_str(&text).unwrap_or(Value::Null);
                    return Heard::Signal(text.to_string(), value);
                }
                Some(Ok(Message::Close(frame))) => return Heard::Ended(closed(frame)),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Heard::Ended(broken(&error)),
                None => return Heard::Ended(Ending::Broken("the server went away".to_owned())),
            }
        }
    }

    /// Leaves the room and closes; what still arrives is handed to `late`.
    pub async fn leave(mut self, mut late: impl FnMut(String, Value)) {
        let leave = json!({"type": "Leave"}).to_string();
        let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let all = async {
            if self.stream.send(Message::text(leave)).await.is_err() {
                return;
            }
            let _ = self.stream.close(Some(close)).await;
            while let Heard::Signal(text, value) = self.hear().await {
                late(text, value);
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, all).await;
    }
}

/// What an `Error` signal means for a command that could not do `what`.
pub fn refusal(what: &str, error: &Value) -> Failure {
    let code = error["code"].as_str().unwrap_or("internal");
    let message = error["message"].as_str().unwrap_or("the server gave no reason");
    let (exit, remedy) = match code {
        "unauthorized" => (
            Exit::Refused,
            "give a token of this room with --token (`mobzctl token create --room … --user …`)",
        ),
        "forbidden" => (Exit::Refused, "use a token with the grant it takes"),
        "room_full" | "publishers_full" => {
            (Exit::Refused, "see who is there with `mobzctl room inspect`, or choose another room")
        }
        "mode_mismatch" => {
            (Exit::Refused, "see the room's mode with `mobzctl room list`, or choose another room")
        }
        "resume_failed" => (Exit::Refused, "join anew, without --resume"),
        "no_such_room" | "no_such_user" | "not_found" => {
            (Exit::NotFound, "see what is there with `mobzctl room list`")
        }
        "timeout" => (Exit::TimedOut, "try again"),
        "internal" => (Exit::Failed, "try again; `mobzctl doctor` and the daemon's log say more"),
        _ => (Exit::Refused, "do as the message says"),
    };
    Failure::new(exit, what, format!("{message} ({code})"), remedy)
}

fn closed(frame: Option<CloseFrame>) -> Ending {
    frame.map_or_else(
        || Ending::Closed(1005, String::new()),
        |frame| Ending::Closed(frame.code.into(), frame.reason.to_string()),
    )
}

fn broken(error: &WsError) -> Ending {
    Ending::Broken(words(error))
}

fn words(error: &WsError) -> String {
    if let WsError::Io(error) = error {
        return os(error);
    }
    chain(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joining() -> Joining {
        Joining {
            room: "demo".parse().unwrap(),
            mode: Mode::P2m,
            user: Some("ann".parse().unwrap()),
            name: None,
            publish: Some(true),
        }
    }

    fn place(keys: Option<&str>) -> Place {
        Place {
            url: "http://127.0.0.1:1".parse().unwrap(),
            store: None,
            token: None,
            keys: keys.map(|keys| keys::from_text(keys).unwrap()),
            found_by: String::new(),
        }
    }

    #[test]
    fn a_join_says_what_was_asked_for_and_no_more() {
        let text = joining().signal(&place(None), "join", None).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "type": "Join", "id": "join", "room": "demo", "mode": "p2m", "user": {"id": "ann"}, "publish": true
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn with_keys_a_join_carries_a_token_of_its_own_for_that_room_and_user() {
        let keys = "k:0123456789abcdef0123456789abcdef";
        let text = joining().signal(&place(Some(keys)), "join", Some("secret")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let token = value["token"].as_str().unwrap();
        let claims = keys::from_text(keys).unwrap().verify(token, keys::now()).unwrap();
        assert_eq!((claims.sub, claims.room), (joining().user, Some(joining().room)));
        assert_eq!(value["resume"], "secret");
    }

    #[test]
    fn a_client_that_was_put_out_does_not_return_and_one_that_was_dropped_does() {
        let closed = |code| Ending::Closed(code, String::new()).may_return();
        assert_eq!([1000, 1008, 1009, 4000].map(closed), [false; 4]);
        assert_eq!([1001, 1006, 1011, 1012, 1013, 4001].map(closed), [true; 6]);
        assert!(Ending::Broken(String::new()).may_return());
    }
}
