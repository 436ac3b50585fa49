//! A Janus that says what the test tells it to.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::soon;

pub(crate) struct Scripted {
    listener: TcpListener,
}

/// One connection of the client.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub(crate) subprotocol: String,
}

impl Scripted {
    pub(crate) async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.listener.local_addr().unwrap())
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon("connection", self.listener.accept()).await.unwrap();
        let mut subprotocol = String::new();
        #[allow(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
        let echo = |request: &Request, mut response: Response| {
            if let Some(wanted) = request.headers().get("sec-websocket-protocol") {
                wanted.to_str().unwrap().clone_into(&mut subprotocol);
                response.headers_mut().insert("sec-websocket-protocol", wanted.clone());
            }
            Ok(response)
        };
        let socket = accept_hdr_async(stream, echo).await.unwrap();
        Peer { socket, subprotocol }
    }
}

impl Peer {
    /// The next request; panics when the client has closed the connection.
    pub(crate) async fn request(&mut self) -> Value {
        loop {
            match soon("request", self.socket.next()).await.expect("the client is there").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    panic!("no request: {other:?}")
                }
            }
        }
    }

    /// The next request of a kind; others are dropped.
    pub(crate) async fn request_of(&mut self, kind: &str) -> Value {
        loop {
            let request = self.request().await;
            if request["janus"] == kind {
                return request;
            }
        }
    }

    /// Waits until the client closes the connection.
    pub(crate) async fn closed(&mut self) {
        while let Some(Ok(message)) = soon("end", self.socket.next()).await {
            if message.is_close() {
                return;
            }
        }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Answers a request with `success` and these further fields.
    pub(crate) async fn succeed(&mut self, request: &Value, fields: Value) {
        self.answer(request, "success", fields).await;
    }

    pub(crate) async fn answer(&mut self, request: &Value, kind: &str, fields: Value) {
        let mut answer = json!({ "janus": kind, "transaction": request["transaction"] });
        for key in ["session_id"] {
            if let Some(value) = request.get(key) {
                answer[key] = value.clone();
            }
        }
        if let Some(handle) = request.get("handle_id") {
            answer["sender"] = handle.clone();
        }
        for (key, value) in fields.as_object().unwrap() {
            answer[key] = value.clone();
        }
        self.send(answer).await;
    }

    /// Answers `create` and `attach` with these ids.
    pub(crate) async fn welcome(&mut self, session: u64, handles: &[u64]) {
        let create = self.request_of("create").await;
        self.succeed(&create, json!({ "data": { "id": session } })).await;
        for handle in handles {
            let attach = self.request_of("attach").await;
            self.succeed(&attach, json!({ "data": { "id": handle } })).await;
        }
    }
}

/// What VideoRoom says, in its envelope.
#[allow(clippy::needless_pass_by_value, reason = "it is called with what json! makes")]
pub(crate) fn plugin(data: Value) -> Value {
    json!({ "plugindata": { "plugin": "janus.plugin.videoroom", "data": data } })
}
