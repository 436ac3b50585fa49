//! A regulator whose Janus does what a real one won't do on demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mobz_core::id::{Address, ConnectionId, MunitId, StationId};
use mobz_core::munit::{Capacity, Input};
use mobz_core::settings::Settings;
use mobz_core::signal::{Asker, Code, MunitAck, MunitError, MunitMessage, MunitSignal};
use mobz_core::store::{BusEvent, Store, Subscription};
use mobz_regulator::{Munit, Place, serve};
use mobz_runtime::node::Node;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

/// How long what must happen may take; longer than a request to Janus.
const SOON: Duration = Duration::from_secs(20);
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n";

/// What Janus does when it is asked to publish.
#[derive(Clone, Copy, Debug)]
enum Publishing {
    /// It refuses with this code.
    Fails(u32),
    /// It does not answer.
    IsSilent,
    /// Its connection breaks.
    Breaks,
}

/// A munit whose Janus is played, with a station of ann's.
struct World {
    node: Arc<Node>,
    store: Arc<dyn Store>,
    munit: MunitId,
    station: StationId,
    replies: Box<dyn Subscription>,
    /// What Janus was asked.
    asked: mpsc::UnboundedReceiver<Value>,
    shutdown: CancellationToken,
    regulator: JoinHandle<()>,
}

impl World {
    async fn start(publishing: Publishing) -> Self {
        let (url, asked) = janus(publishing).await;
        let store = mobz_store::open(None).await.unwrap();
        let munit: MunitId = "m1".parse().unwrap();
        let shutdown = CancellationToken::new();
        let (ready, when_ready) = oneshot::channel();
        let serving = serve(
            Munit {
                id: munit.clone(),
                region: "local".to_owned(),
                address: "local".to_owned(),
                capacity: Capacity { stations: 10, viewers: 10 },
                janus: Arc::new(Place::There { url, admin_url: None, admin_secret: None }),
            },
            store.clone(),
            None,
            ready,
            shutdown.clone(),
        );
        let regulator = tokio::spawn(async move { serving.await.unwrap() });
        timeout(SOON, when_ready).await.unwrap().unwrap();
        let node = Node::new("asker".parse().unwrap(), Settings::default(), store.clone());
        let station = StationId::on(&munit, 1);
        let assign = Input::Assign {
            station: station.clone(),
            user: "ann".parse().unwrap(),
            room: "demo".parse().unwrap(),
        };
        node.change_munit(&munit, assign).await.unwrap().unwrap();
        let replies = store.listen_replies(&store.reply_channel(node.id())).await.unwrap();
        Self { node, store, munit, station, replies, asked, shutdown, regulator }
    }

    /// Publishes; what the munit refused it with.
    async fn publish(&mut self) -> MunitError {
        let at = Address { node: self.node.id().clone(), connection: ConnectionId(1) };
        let (room, user) = ("demo".parse().unwrap(), "ann".parse().unwrap());
        let signal = MunitSignal::Publish {
            station: self.station.clone(),
            sdp: OFFER.to_owned(),
            video: true,
            audio: true,
        };
        let message = MunitMessage {
            signal,
            id: "1".to_owned(),
            reply_to: self.store.reply_channel(self.node.id()),
            from: Some(Asker { room, user, at, re: None }),
        };
        let message = serde_json::to_vec(&message).unwrap().into();
        assert!(self.store.signal_munit(&self.munit, message).await.unwrap());
        loop {
            if let BusEvent::Message(reply) = timeout(SOON, self.replies.next()).await.unwrap().unwrap() {
                let ack: MunitAck = serde_json::from_slice(&reply).unwrap();
                return ack.error.unwrap();
            }
        }
    }

    /// Waits until Janus is asked something like this.
    async fn asks(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let asked = timeout(SOON, self.asked.recv()).await;
            let asked = asked.unwrap_or_else(|_| panic!("Janus was not asked to {what}")).unwrap();
            if is(&asked) {
                return asked;
            }
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        timeout(SOON, self.regulator).await.unwrap().unwrap();
    }
}

/// Plays a Janus, for as long as somebody speaks to it; its URL, and what it is asked.
async fn janus(publishing: Publishing) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            #[allow(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
            let echo = |request: &Request, mut response: Response| {
                if let Some(wanted) = request.headers().get("sec-websocket-protocol") {
                    response.headers_mut().insert("sec-websocket-protocol", wanted.clone());
                }
                Ok(response)
            };
            if let Ok(socket) = accept_hdr_async(stream, echo).await {
                tokio::spawn(play(socket, publishing, tell.clone()));
            }
        }
    });
    (url, asked)
}

async fn play(
    mut socket: WebSocketStream<TcpStream>,
    publishing: Publishing,
    tell: mpsc::UnboundedSender<Value>,
) {
    // None is given twice, whatever the connection.
    static HANDLES: AtomicU64 = AtomicU64::new(1);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let asked: Value = serde_json::from_str(&text).unwrap();
        let _nobody_listens = tell.send(asked.clone());
        let mut answer = json!({ "janus": "success", "transaction": asked["transaction"] });
        for (key, as_key) in [("session_id", "session_id"), ("handle_id", "sender")] {
            if let Some(value) = asked.get(key) {
                answer[as_key] = value.clone();
            }
        }
        let mut detached = None;
        match asked["janus"].as_str().unwrap() {
            "create" => answer["data"] = json!({ "id": 1 }),
            "attach" => {
                answer["data"] = json!({ "id": HANDLES.fetch_add(1, Ordering::Relaxed) });
            }
            "message" if asked["body"]["request"] == "joinandconfigure" => match publishing {
                Publishing::Fails(code) => {
                    answer["janus"] = json!("event");
                    answer["plugindata"] =
                        plugin(json!({ "videoroom": "event", "error_code": code, "error": "No" }));
                }
                Publishing::IsSilent => continue,
                Publishing::Breaks => return,
            },
            "message" => {
                let word = match asked["body"]["request"].as_str().unwrap() {
                    "create" => "created",
                    "destroy" => "destroyed",
                    _ => "success",
                };
                let room = asked["body"]["room"].clone();
                answer["plugindata"] = plugin(json!({ "videoroom": word, "room": room, "list": [] }));
            }
            "detach" => {
                let (session, sender) = (&asked["session_id"], &asked["handle_id"]);
                detached = Some(json!({ "janus": "detached", "session_id": session, "sender": sender }));
            }
            "keepalive" => answer["janus"] = json!("ack"),
            _ => {}
        }
        for message in [Some(answer), detached].into_iter().flatten() {
            if socket.send(Message::text(message.to_string())).await.is_err() {
                return;
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is called with what json! makes")]
fn plugin(data: Value) -> Value {
    json!({ "plugin": "janus.plugin.videoroom", "data": data })
}

fn publishes(asked: &Value) -> bool {
    asked["body"]["request"] == "joinandconfigure"
}

#[tokio::test]
async fn a_publish_that_janus_refuses_is_refused_with_its_code_and_leaves_no_handle() {
    let mut world = World::start(Publishing::Fails(433)).await;
    let error = world.publish().await;
    assert_eq!((error.code, error.message.contains("433")), (Code::MediaError, true), "{error:?}");
    let publish = world.asks("publish", publishes).await;
    world
        .asks("detach the handle", |asked| {
            asked["janus"] == "detach" && asked["handle_id"] == publish["handle_id"]
        })
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_publish_that_janus_does_not_answer_is_refused_in_time_and_the_next_one_is_asked() {
    let mut world = World::start(Publishing::IsSilent).await;
    for _ in 0..2 {
        let error = world.publish().await;
        assert_eq!((error.code, error.retry_after.is_some()), (Code::MunitUnavailable, true), "{error:?}");
        world.asks("publish", publishes).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_publish_is_made_again_with_the_same_session() {
    let mut world = World::start(Publishing::Breaks).await;
    let error = world.publish().await;
    assert_eq!((error.code, error.retry_after.is_some()), (Code::MunitUnavailable, true), "{error:?}");
    let claim = world.asks("claim", |asked| asked["janus"] == "claim").await;
    assert_eq!(claim["session_id"], 1);
    // What it does not know it looks at.
    world.asks("list its rooms", |asked| asked["body"]["request"] == "list").await;
    world.end().await;
}
