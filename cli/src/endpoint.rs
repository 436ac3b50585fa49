//! Where a command acts: `--endpoint`, `MOBZ_ENDPOINT`, the context in use, the local stack; in this order.

mod munits;

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::{Grants, Mode};
use mobz_core::settings::Settings;
use mobz_core::store::Event;
use mobz_core::token::Keys;
use mobz_runtime::clock;
use mobz_runtime::control::{Control, ControlError, Time};
use mobz_runtime::node::Node;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::Global;
use crate::args::stack::PORT_BASE;
use crate::context::{self, Context, Contexts};
use crate::control::{Client, REFUSED_REMEDY};
use crate::error::{Failure, Result};
use crate::keys;
use crate::sse;
use crate::stack::{self, Stack};

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
    /// The endpoint; of several nodes of a store the first.
    pub url: Url,
    /// The store as it was written, where it is one and not a control API.
    pub store: Option<String>,
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
        let text = &context.endpoint;
        // A Redis Cluster may be named by several of its nodes, separated by commas.
        let is_list = text.starts_with("redis:") || text.starts_with("rediss:");
        let url = parse(if is_list { text.split(',').next().unwrap_or(text) } else { text })?;
        let store = match url.scheme() {
            "http" | "https" => None,
            "redis" | "rediss" => Some(text.clone()),
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
        Ok(Self { url, store, token, keys, found_by })
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
        if self.store.is_some() {
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
    if let Some(stack) = stack {
        let context =
            Context { endpoint: stack.control.clone(), keys: stack.keys.clone(), ..Context::default() };
        (context, "the stack on this machine".to_owned())
    } else {
        let endpoint = format!("http://127.0.0.1:{PORT_BASE}");
        (Context { endpoint, ..Context::default() }, "the usual address of a local stack".to_owned())
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

/// How many events are read from a store at once.
const EVENTS_BATCH_MAX: usize = 256;
/// How long one read of a store waits for the next event.
const EVENTS_WAIT: Duration = Duration::from_secs(5);

/// An endpoint that can be asked.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A control API.
    Http(Client),
    /// A store, on which the control API's own operations are done here.
    Store(Control),
}

impl Endpoint {
    /// Opens the endpoint that was named, or the one in use.
    pub async fn open(place: &Where) -> Result<Self> {
        let place = Place::find(place)?;
        let Some(store) = &place.store else {
            return Ok(Self::Http(Client::new(place.url.clone(), place.admin_token()?)?));
        };
        let store = mobz_store::open(Some(store)).await.map_err(|error| {
            Failure::unreachable(
                format!("cannot use the store {}", place.shown()),
                error.to_string(),
                "start it, or correct --endpoint; `mobzctl doctor` checks it",
            )
        })?;
        Ok(Self::Store(Control::new(Node::new(clock::node_id(), Settings::default(), store))))
    }

    /// The control API of a stack on this machine.
    pub fn of(stack: &Stack) -> Result<Self> {
        let keys = stack.keys.as_deref().map(keys::from_file).transpose()?;
        let url = parse(&stack.control)?;
        Self::at(&Place { url, store: None, token: None, keys, found_by: String::new() })
    }

    /// The control API of a place.
    pub fn at(place: &Place) -> Result<Self> {
        Ok(Self::Http(Client::new(place.url.clone(), place.admin_token()?)?))
    }

    /// A page of rooms, as `GET /v1/rooms` answers.
    pub async fn rooms(&self, mode: Option<Mode>, cursor: Option<&str>, limit: usize) -> Result<Value> {
        match self {
            Self::Http(client) => client.rooms(mode.map(Mode::as_str), cursor, limit).await,
            Self::Store(control) => {
                let page = control.rooms(mode, cursor, Some(limit)).await;
                value(page.map_err(|error| refused("cannot list rooms", &error))?)
            }
        }
    }

    /// One room, as `GET /v1/rooms/{room}` answers.
    pub async fn room(&self, room: &RoomId) -> Result<Value> {
        match self {
            Self::Http(client) => client.room(room).await,
            Self::Store(control) => {
                let detail = control.room(room).await;
                value(detail.map_err(|error| refused(&format!("cannot inspect room {room}"), &error))?)
            }
        }
    }

    /// A room's stream, as `GET /v1/rooms/{room}/hls` answers.
    pub async fn hls(&self, room: &RoomId) -> Result<Value> {
        match self {
            Self::Http(client) => client.hls(room).await,
            Self::Store(control) => {
                let detail = control.hls(room).await;
                value(
                    detail.map_err(|error| {
                        refused(&format!("cannot look at the stream of room {room}"), &error)
                    })?,
                )
            }
        }
    }

    /// Ends a room.
    pub async fn close(&self, room: &RoomId) -> Result<()> {
        match self {
            Self::Http(client) => client.close(room).await,
            Self::Store(control) => control
                .close(room)
                .await
                .map_err(|error| refused(&format!("cannot close room {room}"), &error)),
        }
    }

    /// Removes a participant.
    pub async fn kick(&self, room: &RoomId, user: &UserId, reason: Option<&str>) -> Result<()> {
        match self {
            Self::Http(client) => client.kick(room, user, reason).await,
            Self::Store(control) => control
                .kick(room, user, reason.map(str::to_owned))
                .await
                .map_err(|error| refused(&format!("cannot kick {user} from room {room}"), &error)),
        }
    }

    /// Events as they happen, those kept after `last` first, until the connection ends.
    pub async fn events(&self, last: Option<u64>) -> Result<BoxStream<'static, Result<sse::Event>>> {
        match self {
            Self::Http(client) => client.events(last).await,
            Self::Store(control) => {
                let failed = |error: &ControlError| refused("cannot follow events", error);
                // Where the log ends now, so that nothing before the first read is missed.
                let from = match last {
                    Some(last) => last,
                    None => control.events(None, 1, Duration::ZERO).await.map_err(|error| failed(&error))?.1,
                };
                let start = (control.clone(), Some(from), VecDeque::new());
                let stream = unfold(start, move |(control, mut from, mut waiting)| async move {
                    loop {
                        if let Some(event) = waiting.pop_front() {
                            return Some((Ok(told(&event)), (control, from, waiting)));
                        }
                        match control.events(from, EVENTS_BATCH_MAX, EVENTS_WAIT).await {
                            Ok((events, next)) => (waiting, from) = (events.into(), Some(next)),
                            Err(error) => return Some((Err(failed(&error)), (control, from, waiting))),
                        }
                    }
                });
                Ok(stream.boxed())
            }
        }
    }
}

/// An event of a store in the form in which the control API tells it.
fn told(event: &Event) -> sse::Event {
    let mut data: Map<String, Value> = serde_json::from_str(&event.data).unwrap_or_default();
    data.insert("at".to_owned(), Time(event.at).to_string().into());
    data.insert("seq".to_owned(), event.seq.into());
    sse::Event {
        id: Some(event.seq.to_string()),
        name: event.name.clone(),
        data: Value::Object(data).to_string(),
    }
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(|error| {
        Failure::failed("cannot read the store's answer", error.to_string(), "report this as a bug")
    })
}

fn refused(what: &str, error: &ControlError) -> Failure {
    match error {
        ControlError::NoSuchRoom(_) => {
            Failure::not_found(what, error.to_string(), "see what is there with `mobzctl room list`")
        }
        ControlError::NoSuchUser { .. } => {
            Failure::not_found(what, error.to_string(), "see who is there with `mobzctl room inspect`")
        }
        ControlError::NoSuchMunit(_) => {
            Failure::not_found(what, error.to_string(), "see what is there with `mobzctl munit list`")
        }
        ControlError::NoSuchStation(_) => {
            Failure::not_found(what, error.to_string(), "see what is there with `mobzctl station list`")
        }
        ControlError::Refused(_) => Failure::refused(what, error.to_string(), REFUSED_REMEDY),
        ControlError::Node(_) => Failure::unreachable(
            what,
            error.to_string(),
            "check the store with `mobzctl doctor`, then try again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place {
            url: url.parse().unwrap(),
            store: url.starts_with("redis").then(|| url.to_owned()),
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
    fn a_cluster_may_be_named_by_several_nodes() {
        let endpoint = Some("redis://127.0.0.1:1,redis://127.0.0.1:2".to_owned());
        let place = Place::find(&Where { endpoint: endpoint.clone(), ..Where::default() }).unwrap();
        assert_eq!((place.url.as_str(), place.store), ("redis://127.0.0.1:1", endpoint));
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(place("redis://me:secret@127.0.0.1/").shown(), "redis://127.0.0.1/");
    }
}
