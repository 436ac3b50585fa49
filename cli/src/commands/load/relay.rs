//! The floor that a signaling server is measured against: accept, read type and target of the JSON,
//! forward. The same runtime, HTTP and WebSocket stack and the same kind of queue for each connection as
//! the daemon has, and nothing else: no rooms, no rules, no store.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt as _;
use futures_util::SinkExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;

/// As the daemon has them.
const READ_BUFFER: usize = 2 << 10;
/// As the daemon has them.
const WRITE_BUFFER: usize = 4 << 10;

/// Serves the bare relay on a free port until stdin ends.
pub(super) async fn run(output: &Output) -> Result<Exit> {
    let failed = |error: std::io::Error| {
        Failure::failed("cannot serve the bare relay", os(&error), "check the limits of this machine")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    output.text(&format!("ws://{}/signal", listener.local_addr().map_err(failed)?))?;
    let listener = listener.tap_io(|stream| {
        // Without it a connection is slower, and still served.
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route("/signal", any(upgrade)).with_state(Users::default());
    let mut nothing = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served.map_err(failed)?,
        _ = stdin.read_to_end(&mut nothing) => {}
    }
    Ok(Exit::Done)
}

type Users = Arc<RwLock<HashMap<String, Arc<Queue>>>>;

/// What waits to be sent on one connection.
#[derive(Debug, Default)]
struct Queue {
    texts: Mutex<VecDeque<Utf8Bytes>>,
    wake: Notify,
}

impl Queue {
    fn push(&self, text: Utf8Bytes) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).push_back(text);
        self.wake.notify_one();
    }

    async fn next(&self) -> VecDeque<Utf8Bytes> {
        loop {
            let texts = std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner));
            if !texts.is_empty() {
                return texts;
            }
            self.wake.notified().await;
        }
    }
}

/// All that the relay reads of a signal.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

async fn upgrade(State(users): State<Users>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(move |socket| serve(users, socket))
}

async fn serve(users: Users, mut socket: WebSocket) {
    let queue = Arc::new(Queue::default());
    let mut joined = None;
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Some(user) = take(&users, &queue, text) {
                        joined = Some(user);
                    }
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            },
            texts = queue.next() => {
                for text in texts {
                    if socket.feed(Message::Text(text)).await.is_err() {
                        break;
                    }
                }
                if socket.flush().await.is_err() {
                    break;
                }
            }
        }
    }
    if let Some(user) = joined {
        users.write().unwrap_or_else(PoisonError::into_inner).remove(&user);
    }
}

/// Takes one signal; returns who joined by it.
fn take(users: &Users, queue: &Arc<Queue>, text: Utf8Bytes) -> Option<String> {
    let head: Head<'_> = serde_json::from_str(&text).ok()?;
    if head.kind == "Join" {
        let user = head.user?.id.into_owned();
        users.write().unwrap_or_else(PoisonError::into_inner).insert(user.clone(), queue.clone());
        queue.push(json!({ "type": "JoinAck", "re": head.id }).to_string().into());
        return Some(user);
    }
    let to =
        head.to.and_then(|to| users.read().unwrap_or_else(PoisonError::into_inner).get(to.as_ref()).cloned());
    if let Some(to) = to {
        to.push(text);
    }
    None
}
