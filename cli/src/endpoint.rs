//! Where a command acts: `--endpoint`, `MOBZ_ENDPOINT`, the context in use, the local stack; in this order.

use futures_util::stream::BoxStream;
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::Grants;
use mobz_core::token::Keys;
use reqwest::Url;
use serde_json::Value;

use crate::args::Global;
use crate::args::stack::PORT_BASE;
use crate::context::{self, Context, Contexts};
use crate::control::Client;
use crate::error::{Failure, Result};
use crate::keys;
use crate::sse;
use crate::stack;

/// What was said of where to act, before it is looked up.
#[derive(Clone, Debug, Default)]
pub struct Where {
    /// `--endpoint` or `MOBZ_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `--context` or `MOBZ_CONTEXT`.
    pub context: Option<String>,
    /// `--token` or `MOBZ_TOKEN`.
    pub token: Option<String>,
}

impl From<&Global> for Where {
    fn from(global: &Global) -> Self {
        Self {
            endpoint: global.endpoint.clone(),
            context: global.context.clone(),
            token: global.token.clone(),
        }
    }
}

/// Where to act, looked up, with what opens it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The endpoint.
    pub url: Url,
    /// Whether it is a Redis and not a control API.
    pub is_store: bool,
    /// The token that was given.
    pub token: Option<String>,
    /// Keys to sign one with, where there are any.
    pub keys: Option<Keys>,
    /// Which of the four ways found it, for people.
    pub found_by: String,
}

impl Place {
    /// Looks up where to act.
    pub fn find(place: &Where) -> Result<Self> {
        let (context, found_by) = place.look_up()?;
        let url = parse(&context.endpoint)?;
        let is_store = match url.scheme() {
            "http" | "https" => false,
            "redis" | "rediss" => true,
            other => {
                return Err(Failure::usage(
                    format!("cannot use endpoint {}", context.endpoint),
                    format!("{other}:// is neither a control API nor a store"),
                    "write http://, https://, redis:// or rediss://",
                ));
            }
        };
        let token = place.token.clone().or(context.token).filter(|token| !token.is_empty());
        let keys = match (&token, context.key, context.keys) {
            (Some(_), _, _) => None,
            (None, Some(key), _) => Some(keys::from_text(&key)?),
            (None, None, Some(file)) => Some(keys::from_file(&file)?),
            (None, None, None) => keys::from_environment()?,
        };
        Ok(Self { url, is_store, token, keys, found_by })
    }

    /// The token for the control API: the one given, or one signed now.
    pub fn admin_token(&self) -> Result<Option<String>> {
        match (&self.token, &self.keys) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(keys)) => {
                let claims = keys::claims(keys::OWN_TOKEN_TTL, Grants { admin: true, ..Grants::NONE });
                keys::sign(keys, &claims).map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    /// Where clients connect: what was named, else `/signal` at the endpoint.
    pub fn signal_url(&self, named: Option<&str>) -> Result<Url> {
        if let Some(named) = named {
            let url = parse(named)?;
            return if matches!(url.scheme(), "ws" | "wss") {
                Ok(url)
            } else {
                Err(Failure::usage(
                    format!("cannot connect to {named}"),
                    "clients connect by WebSocket",
                    "write ws://… or wss://…",
                ))
            };
        }
        if self.is_store {
            return Err(Failure::usage(
                "cannot join a room",
                format!("the endpoint {} is a store; clients connect to signaling", self.shown()),
                "name signaling with --signal-url ws://…/signal",
            ));
        }
        let mut url = self.url.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        if url.set_scheme(scheme).is_err() {
            return Err(Failure::usage(
                "cannot join a room",
                "the endpoint's URL is odd",
                "name --signal-url",
            ));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("signal");
        }
        Ok(url)
    }

    /// The endpoint's URL without credentials.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.to_string()
    }
}

impl Where {
    fn look_up(&self) -> Result<(Context, String)> {
        if let Some(endpoint) = self.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
            let context = Context { endpoint: endpoint.to_owned(), ..Context::default() };
            return Ok((context, "--endpoint or MOBZ_ENDPOINT".to_owned()));
        }
        let contexts = Contexts::load()?;
        let name = self.context.as_ref().filter(|name| !name.is_empty()).or(contexts.current.as_ref());
        match name {
            Some(name) if name != context::LOCAL => {
                Ok((contexts.get(name)?.clone(), format!("context {name}")))
            }
            _ => Ok(local()),
        }
    }
}

/// The stack of this machine: the one on the usual port, else the only or first one, else where it would be.
fn local() -> (Context, String) {
    let stacks = stack::living();
    let stack = stacks.iter().find(|stack| stack.port == PORT_BASE).or(stacks.first());
    match stack {
        Some(stack) => {
            let context =
                Context { endpoint: stack.control.clone(), keys: stack.keys.clone(), ..Context::default() };
            (context, "the stack on this machine".to_owned())
        }
        None => {
            let endpoint = format!("http://127.0.0.1:{PORT_BASE}");
            (Context { endpoint, ..Context::default() }, "the usual address of a local stack".to_owned())
        }
    }
}

fn parse(text: &str) -> Result<Url> {
    text.parse().map_err(|error| {
        Failure::usage(
            format!("cannot use {text}"),
            format!("it is no URL: {error}"),
            "write it like http://127.0.0.1:7880",
        )
    })
}

/// An endpoint that can be asked.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A control API.
    Http(Client),
}

impl Endpoint {
    /// Opens the endpoint that was named, or the one in use.
    pub async fn open(place: &Where) -> Result<Self> {
        let place = Place::find(place)?;
        Ok(Self::Http(Client::new(place.url.clone(), place.admin_token()?)?))
    }

    /// A page of rooms, as `GET /v1/rooms` answers.
    pub async fn rooms(&self, mode: Option<&str>, cursor: Option<&str>, limit: usize) -> Result<Value> {
        match self {
            Self::Http(client) => client.rooms(mode, cursor, limit).await,
        }
    }

    /// One room, as `GET /v1/rooms/{room}` answers.
    pub async fn room(&self, room: &RoomId) -> Result<Value> {
        match self {
            Self::Http(client) => client.room(room).await,
        }
    }

    /// Ends a room.
    pub async fn close(&self, room: &RoomId) -> Result<()> {
        match self {
            Self::Http(client) => client.close(room).await,
        }
    }

    /// Removes a participant.
    pub async fn kick(&self, room: &RoomId, user: &UserId, reason: Option<&str>) -> Result<()> {
        match self {
            Self::Http(client) => client.kick(room, user, reason).await,
        }
    }

    /// Events as they happen, those kept after `last` first, until the connection ends.
    pub async fn events(&self, last: Option<u64>) -> Result<BoxStream<'static, Result<sse::Event>>> {
        match self {
            Self::Http(client) => client.events(last).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place {
            url: url.parse().unwrap(),
            is_store: url.starts_with("redis"),
            token: None,
            keys: None,
            found_by: String::new(),
        }
    }

    #[test]
    fn clients_connect_beside_the_control_api() {
        let url = place("https://example.org/mobz").signal_url(None).unwrap();
        assert_eq!(url.as_str(), "wss://example.org/mobz/signal");
        assert_eq!(place("http://127.0.0.1:1").signal_url(None).unwrap().as_str(), "ws://127.0.0.1:1/signal");
    }

    #[test]
    fn a_store_is_no_place_to_join() {
        assert!(place("redis://127.0.0.1").signal_url(None).is_err());
        assert!(place("redis://127.0.0.1").signal_url(Some("ws://127.0.0.1/signal")).is_ok());
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(place("redis://me:secret@127.0.0.1/").shown(), "redis://127.0.0.1/");
    }
}
