//! A client of the signaling service that knows the wire contract and nothing of the implementation.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data as OpData, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::SOON;

/// How much of a signal's text a failure message shows.
const SHOWN_MAX: usize = 400;
/// How many signals a failure message shows, the last ones.
const LOG_MAX: usize = 60;

/// One WebSocket connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Who it joined as, for failure messages; its address before that.
    name: String,
    /// Received and not yet asked for.
    pending: VecDeque<Value>,
    next_id: u64,
    log: VecDeque<String>,
    ended: Option<End>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame of this code.
    Closed(u16),
    /// Without a close frame, or with one that has no code.
    Cut,
}

impl Client {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        Self::try_connect(url).await.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    /// Connects, or says why that was not possible.
    pub async fn try_connect(url: &str) -> Result<Self, Error> {
        let mut request = url.into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "mobz.v1".parse().expect("a header value"));
        // Larger than anything a test sends, so that it is the server that refuses.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let connect = connect_async_with_config(request, Some(config), true);
        let connected = tokio::time::timeout(SOON, connect).await;
        let (socket, _) = connected.unwrap_or_else(|_| panic!("{url} did not answer within {SOON:?}"))?;
        Ok(Self {
            socket,
            name: url.to_owned(),
            pending: VecDeque::new(),
            next_id: 0,
            log: VecDeque::new(),
            ended: None,
        })
    }

    /// Joins as this user and expects to be let in; → `JoinAck`.
    pub async fn join(&mut self, room: &str, mode: &str, user: &str) -> Value {
        self.join_with(json!({ "room": room, "mode": mode, "user": { "id": user } })).await
    }

    /// Joins with these fields and expects to be let in; → `JoinAck`.
    pub async fn join_with(&mut self, fields: Value) -> Value {
        let ack = self.request(typed("Join", fields)).await;
        self.assert_is(&ack, "JoinAck");
        ack["user"].as_str().unwrap_or_default().clone_into(&mut self.name);
        ack
    }

    /// Sends a signal as it is.
    pub async fn send(&mut self, signal: Value) {
        self.send_text(&signal.to_string()).await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends a text as one message of several frames of at most `size` bytes.
    pub async fn send_fragmented(&mut self, text: &str, size: usize) {
        let count = text.len().div_ceil(size);
        for (index, piece) in text.as_bytes().chunks(size).enumerate() {
            let kind = if index == 0 { OpData::Text } else { OpData::Continue };
            let frame = Frame::message(piece.to_vec(), OpCode::Data(kind), index + 1 == count);
            self.send_message(Message::Frame(frame)).await;
        }
    }

    /// Sends any bytes as one binary message.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.send_message(Message::binary(bytes)).await;
    }

    /// Sends a binary data signal: PROTOCOL.md §5.
    pub async fn send_data(&mut self, header: &Value, data: &[u8]) {
        self.send_bytes(binary_signal(header, data)).await;
    }

    /// Sends a signal with a fresh `id` and waits for what carries it back as `re`.
    pub async fn request(&mut self, mut signal: Value) -> Value {
        let id = self.fresh_id();
        signal["id"] = json!(id);
        self.send(signal).await;
        self.answer(&id).await
    }

    /// Sends a signal with a fresh `id` and expects it to be done; → its answer.
    pub async fn done(&mut self, signal: Value) -> Value {
        let answer = self.request(signal).await;
        if answer["type"] == "Error" {
            self.fail(&format!("a refusal: {answer}"));
        }
        answer
    }

    /// Sends a signal with a fresh `id` and expects it to be refused with this code; → the `Error`.
    pub async fn refused(&mut self, signal: Value, code: &str) -> Value {
        let answer = self.request(signal).await;
        self.assert_refusal(&answer, code);
        answer
    }

    /// Sends a binary data signal with a fresh `id` and waits for its answer.
    pub async fn request_data(&mut self, mut header: Value, data: &[u8]) -> Value {
        let id = self.fresh_id();
        header["id"] = json!(id);
        self.send_data(&header, data).await;
        self.answer(&id).await
    }

    /// The answer to the signal that was sent with this `id`.
    pub async fn answer(&mut self, id: &str) -> Value {
        self.expect_that(&format!("an answer with re {id:?}"), |signal| signal["re"] == id).await
    }

    /// The first signal of this type that was not asked for yet.
    pub async fn expect(&mut self, kind: &str) -> Value {
        self.expect_that(kind, |signal| signal["type"] == kind).await
    }

    /// The first `Error`, which must have this code.
    pub async fn expect_refusal(&mut self, code: &str) -> Value {
        let error = self.expect("Error").await;
        self.assert_refusal(&error, code);
        error
    }

    /// The first signal not asked for yet that `is` says yes to; what came before it stays to be asked for.
    pub async fn expect_that(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.pending.iter().position(&is) {
            return self.pending.remove(index).unwrap_or_default();
        }
        let deadline = Instant::now() + SOON;
        loop {
            match self.receive(deadline).await {
                Ok(Some(signal)) if is(&signal) => return signal,
                Ok(Some(signal)) => self.pending.push_back(signal),
                Ok(None) => self.fail(&format!("the connection ended ({:?}) before {what}", self.ended)),
                Err(Late) => self.fail(&format!("no {what} within {SOON:?}")),
            }
        }
    }

    /// The next signal, whenever it comes; `None` when the connection has ended. May be dropped at any time.
    pub async fn next(&mut self) -> Option<Value> {
        if let Some(signal) = self.pending.pop_front() {
            return Some(signal);
        }
        loop {
            if let Ok(received) = self.receive(Instant::now() + SOON).await {
                return received;
            }
        }
    }

    /// All that came until now and was not asked for: a heartbeat's answer draws the line.
    pub async fn received(&mut self) -> Vec<Value> {
        self.done(json!({ "type": "Heartbeat" })).await;
        self.pending.drain(..).collect()
    }

    /// Expects that until now nothing of this type came that was not asked for.
    pub async fn assert_none(&mut self, kind: &str) {
        let received = self.received().await;
        if let Some(signal) = received.iter().find(|signal| signal["type"] == kind) {
            self.fail(&format!("an unexpected {kind}: {signal}"));
        }
    }

    /// Forgets what came until now.
    pub async fn forget(&mut self) {
        self.received().await;
    }

    /// Waits until the server ends the connection; what it said before stays to be asked for.
    pub async fn end(&mut self) -> End {
        self.end_within(SOON).await
    }

    /// As [`Client::end`], with a bound of its own.
    pub async fn end_within(&mut self, bound: Duration) -> End {
        let deadline = Instant::now() + bound;
        loop {
            match self.receive(deadline).await {
                Ok(Some(signal)) => self.pending.push_back(signal),
                Ok(None) => return self.ended.clone().unwrap_or(End::Cut),
                Err(Late) => self.fail(&format!("the connection did not end within {bound:?}")),
            }
        }
    }

    /// What is left of what came, once the connection has ended.
    pub fn left(&self) -> impl Iterator<Item = &Value> {
        self.pending.iter()
    }

    /// Closes with this code, and waits until the server has answered.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if let Err(error) = self.socket.close(Some(frame)).await {
            self.fail(&format!("the close frame could not be sent: {error}"));
        }
        self.end().await;
    }

    /// Ends the connection as a lost network does: without a close frame.
    pub fn cut(self) {
        drop(self);
    }

    async fn send_message(&mut self, message: Message) {
        let shown = match message.to_text() {
            Ok(text) if message.is_text() => shorten(text),
            _ => format!("{} bytes", message.len()),
        };
        self.note("→", &shown);
        if let Err(error) = self.socket.send(message).await {
            self.fail(&format!("cannot send {shown}: {error}"));
        }
    }

    /// The next signal; `None` when the connection has ended.
    async fn receive(&mut self, deadline: Instant) -> Result<Option<Value>, Late> {
        if self.ended.is_some() {
            return Ok(None);
        }
        loop {
            let message = timeout_at(deadline, self.socket.next()).await.map_err(|_| Late)?;
            let end = match message {
                Some(Ok(Message::Text(text))) => {
                    self.note("←", &shorten(&text));
                    match serde_json::from_str::<Value>(&text) {
                        Ok(signal) if signal["type"].is_string() => return Ok(Some(signal)),
                        _ => self.fail(&format!("a signal, but the server sent {:?}", shorten(&text))),
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => End::Closed(frame.code.into()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => End::Cut,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Binary(bytes))) => {
                    self.fail(&format!("text, but the server sent {} bytes", bytes.len()))
                }
            };
            self.note("←", &format!("{end:?}"));
            if let End::Closed(_) = end {
                // Flushes the answering close frame, so that the server ends in peace.
                drop(self.socket.flush().await);
            }
            self.ended = Some(end);
            return Ok(None);
        }
    }

    fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        format!("q{}", self.next_id)
    }

    fn assert_is(&self, signal: &Value, kind: &str) {
        if signal["type"] != kind {
            self.fail(&format!("expected {kind}, got {signal}"));
        }
    }

    fn assert_refusal(&self, signal: &Value, code: &str) {
        let message = signal["message"].as_str().unwrap_or_default();
        if signal["type"] != "Error" || signal["code"] != code || message.is_empty() {
            self.fail(&format!("expected an Error {code} with a message, got {signal}"));
        }
    }

    fn note(&mut self, way: &str, what: &str) {
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(format!("{way} {what}"));
    }

    fn fail(&self, what: &str) -> ! {
        let mut log = String::new();
        for line in &self.log {
            let _ = writeln!(log, "    {line}");
        }
        panic!("{}: {what}\n  on the wire:\n{log}", self.name)
    }
}

/// A deadline has passed.
struct Late;

/// The binary form of a data signal (PROTOCOL.md §5).
fn binary_signal(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    let length = u32::try_from(header.len()).expect("a header is short").to_be_bytes();
    [&length[..], &header, data].concat()
}

fn typed(kind: &str, mut fields: Value) -> Value {
    fields["type"] = json!(kind);
    fields
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
