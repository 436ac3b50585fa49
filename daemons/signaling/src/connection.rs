//! One WebSocket connection, from its first frame to its last.

use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt as _;
use mobz_core::connection::{Conduct, Fresh, identify};
use mobz_core::hls::data::parse_binary;
use mobz_core::room::{Close, Input};
use mobz_core::settings::FRAME_MAX;
use mobz_core::signal::{ClientSignal, Code, Incoming, Join, Refusal, RoomSignal, ServerSignal, parse};
use mobz_runtime::clock;
use mobz_runtime::hub::{Batch, Connection, Outbound, Seat};
use mobz_runtime::node::{Ended, NodeError};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite;

use crate::App;
use crate::data::{self, Frame, Publishing};

/// How long a client may take to read what it is sent before it is given up.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to answer a close frame.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Serves one connection until it ends, then tells its room.
pub(crate) async fn serve(app: App, socket: WebSocket) {
    let connection = app.node.hub().connect();
    app.node.metrics().connections.inc();
    let mut session = Session {
        app: &app,
        connection: &connection,
        conduct: Conduct::new(clock::now()),
        publishing: Publishing::default(),
        socket,
    };
    let ended = session.run().await;
    app.node.metrics().connections.dec();
    app.node.disconnect(&connection, ended).await;
}

struct Session<'a> {
    app: &'a App,
    connection: &'a Connection,
    conduct: Conduct,
    publishing: Publishing,
    socket: WebSocket,
}

impl Session<'_> {
    async fn run(&mut self) -> Ended {
        let silence_max = self.app.node.settings().heartbeat_timeout;
        let silent = tokio::time::sleep(silence_max);
        tokio::pin!(silent);
        loop {
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        silent.as_mut().reset(Instant::now() + silence_max);
                        self.text(&text).await;
                    }
                    Some(Ok(Message::Binary(frame))) => {
                        silent.as_mut().reset(Instant::now() + silence_max);
                        self.binary(frame).await;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(frame))) => {
                        let clean = frame.is_some_and(|frame| frame.code == 1000);
                        return if clean { Ended::Cleanly } else { Ended::Lost };
                    }
                    Some(Err(error)) => return self.broken(&error).await,
                    None => return Ended::Lost,
                },
                batch = self.connection.next() => {
                    if !self.write(batch).await {
                        return Ended::Lost;
                    }
                }
                () = silent.as_mut() => {
                    self.silent().await;
                    silent.as_mut().reset(Instant::now() + silence_max);
                }
            }
        }
    }

    async fn text(&mut self, text: &str) {
        if !self.fits(text.len()) {
            return;
        }
        if let Err(refusal) = self.conduct.count(clock::now()) {
            let re = parse(text).map_or_else(|unparsed| unparsed.id, |incoming| incoming.id);
            return self.refuse(refusal, re.as_deref());
        }
        let Incoming { id, signal } = match parse(text) {
            Ok(incoming) => incoming,
            Err(unparsed) => return self.refuse(unparsed.refusal, unparsed.id.as_deref()),
        };
        let seat = self.connection.seat();
        match (signal, seat) {
            (ClientSignal::Join(join), None) => self.join(*join, id).await,
            (ClientSignal::Join(_), Some(seat)) => {
                let message = format!("this connection is in room {} already; send Leave first", seat.room);
                self.refuse(Refusal::new(Code::AlreadyJoined, message), id.as_deref());
            }
            (ClientSignal::Data, seat) => self.data(seat, Frame::Json(text)).await,
            (ClientSignal::Heartbeat | ClientSignal::Room(_), None) => {
                self.refuse(Refusal::new(Code::NotJoined, "send Join first"), id.as_deref());
            }
            (ClientSignal::Heartbeat, Some(_)) => {
                let server_time = clock::now().as_millis();
                self.answer(&ServerSignal::HeartbeatAck { server_time }, id.as_deref());
            }
            (ClientSignal::Room(signal), Some(seat)) => self.room_signal(seat, signal, id).await,
        }
    }

    async fn binary(&mut self, frame: Bytes) {
        if !self.fits(frame.len()) {
            return;
        }
        if let Err(refusal) = self.conduct.count(clock::now()) {
            let re = parse_binary(frame).ok().and_then(|signal| signal.id);
            return self.refuse(refusal, re.as_deref());
        }
        self.data(self.connection.seat(), Frame::Binary(frame)).await;
    }

    async fn data(&mut self, seat: Option<Seat>, frame: Frame<'_>) {
        match Box::pin(data::take(&self.app.streams, &mut self.publishing, seat, frame)).await {
            Ok(Some(ack)) => {
                self.app.node.metrics().signals_sent.inc();
                let text = serde_json::to_string(&ack).unwrap_or_else(|_| unreachable!("a plain struct"));
                self.connection.push(Outbound::news(text));
            }
            Ok(None) => {}
            Err((refusal, re)) => self.refuse(refusal, re.as_deref()),
        }
    }

    /// Counts a message; one over the limit is the connection's last.
    fn fits(&mut self, length: usize) -> bool {
        self.app.node.metrics().signals_received.inc();
        if length > FRAME_MAX {
            self.refuse(too_large(), None);
            self.connection.close(Close::TooBig);
        }
        length <= FRAME_MAX
    }

    async fn join(&mut self, join: Join, re: Option<String>) {
        if self.app.shutdown.is_cancelled() {
            return self.connection.close(Close::Restart);
        }
        let room = join.room.clone();
        if self.connection.seat().is_none() {
            self.publishing = Publishing::default();
        }
        let fresh = Fresh { user: clock::user_id(), random: clock::random() };
        let address = self.app.node.address(self.connection.id());
        match identify(join, self.app.keys.as_deref(), clock::now(), address, fresh, re.clone()) {
            Ok(joining) => {
                let joined = self.app.node.submit(&room, Input::Join(Box::new(joining))).await;
                self.done(joined, re.as_deref());
            }
            Err(refusal) => self.refuse(refusal, re.as_deref()),
        }
    }

    async fn room_signal(&mut self, seat: Seat, signal: RoomSignal, re: Option<String>) {
        let Seat { room, user, .. } = seat;
        let address = self.app.node.address(self.connection.id());
        let input = Input::Signal { user, address, signal, re: re.clone() };
        let done = self.app.node.submit(&room, input).await;
        self.done(done, re.as_deref());
    }

    fn done(&mut self, done: Result<Option<Code>, NodeError>, re: Option<&str>) {
        match done {
            Ok(Some(code)) => self.strike(code),
            Ok(None) => {}
            Err(error) => self.refuse(error.refusal(), re),
        }
    }

    /// Silent for the heartbeat timeout: the participant leaves; who has not joined just goes.
    async fn silent(&mut self) {
        let Some(Seat { room, user, .. }) = self.connection.seat() else {
            return self.connection.close(Close::TimedOut);
        };
        let address = self.app.node.address(self.connection.id());
        if self.app.node.submit(&room, Input::TimedOut { user, address }).await.is_err() {
            self.connection.close(Close::TimedOut);
        }
    }

    fn answer(&self, signal: &ServerSignal, re: Option<&str>) {
        self.app.node.metrics().signals_sent.inc();
        self.connection.push(Outbound::news(signal.to_json(re)));
    }

    fn refuse(&mut self, refusal: Refusal, re: Option<&str>) {
        let code = refusal.code;
        self.answer(&refusal.into(), re);
        self.strike(code);
    }

    fn strike(&mut self, code: Code) {
        if self.conduct.is_enough(clock::now(), code) {
            self.connection.close(Close::Policy);
        }
    }

    /// Sends a batch; `false` when the connection is at its end. What was not sent is given back.
    async fn write(&mut self, batch: Batch) -> bool {
        let Batch { mut texts, close } = batch;
        let sent = timeout(WRITE_MAX, async {
            for outbound in &texts {
                let text = Utf8Bytes::try_from(outbound.text.clone()).map_err(Error::new)?;
                self.socket.feed(Message::Text(text)).await?;
            }
            self.socket.flush().await
        })
        .await;
        if !matches!(sent, Ok(Ok(()))) {
            self.connection.give_back(std::mem::take(&mut texts));
            return false;
        }
        match close {
            Some(close) => {
                self.say_goodbye(close).await;
                false
            }
            None => true,
        }
    }

    /// Sends a close frame and waits for the client's, so that it reads all that came before.
    async fn say_goodbye(&mut self, close: Close) {
        let frame = CloseFrame { code: close.code(), reason: close.reason().into() };
        let goodbye = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        if timeout(CLOSE_MAX, goodbye).await.is_err() {
            tracing::debug!("a client did not answer the close frame");
        }
    }

    /// The stream cannot be read on: a message far over the limit, or a broken line.
    async fn broken(&mut self, error: &Error) -> Ended {
        let error = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        if let Some(tungstenite::Error::Capacity(_)) = error {
            self.refuse(too_large(), None);
            self.connection.close(Close::TooBig);
            if let Some(batch) = self.connection.take() {
                self.write(batch).await;
            }
        }
        Ended::Lost
    }
}

fn too_large() -> Refusal {
    let message = format!("a message has at most {FRAME_MAX} bytes; send media in chunks (PROTOCOL.md §5)");
    Refusal::new(Code::TooLarge, message)
}
