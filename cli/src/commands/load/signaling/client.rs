//! One client of the crowd: connects, joins, beats, sends as ordered, leaves.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use mobz_core::connection::{BURST, RATE};
use mobz_core::room::Mode;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::super::measure::add;
use super::crowd::{Order, Shared};

/// How long connecting, and the answer to a Join, may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long the server may take to answer a closing handshake.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// How often a heartbeat is sent to a server that names no interval.
const BEAT: Duration = Duration::from_secs(10);
/// What is read at once from the server; small, for there are many clients.
const READ_BUFFER: usize = 4 << 10;
/// The `id` of a client's Join.
pub(super) const JOIN_ID: &str = "join";

/// Which client of which room this is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// Of the crowd, from 0.
    pub(super) number: usize,
    /// The number of its room, from 0.
    pub(super) room: usize,
    /// Of its room, from 0; who sits at 0 publishes.
    pub(super) chair: usize,
    /// Its user id.
    pub(super) user: String,
    /// In p2p, the other's user id, where there is another.
    pub(super) peer: Option<String>,
    /// The Join, as text.
    pub(super) join: String,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client that has joined.
pub(super) struct Client {
    seat: Seat,
    shared: Arc<Shared>,
    socket: Socket,
    pace: Pace,
    order: Order,
    /// Messages to be sent as soon as the pace allows.
    owed: u32,
    beat: Duration,
    next_beat: Instant,
    next_send: Option<Instant>,
    video: bool,
}

/// What is read of a signal.
#[derive(Deserialize)]
struct Heard<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    candidate: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(rename = "heartbeatInterval")]
    heartbeat_interval: Option<u64>,
    video: Option<bool>,
}

impl Client {
    /// Connects and joins; `None` when that failed, which has been counted.
    pub(super) async fn join(seat: Seat, shared: Arc<Shared>) -> Option<Self> {
        let begun = Instant::now();
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let connecting = connect_async_with_config(shared.url.as_str(), Some(config), true);
        let mut socket = match timeout(ANSWER_MAX, connecting).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return shared.failed(&format!("connect: {}", words(&error))),
            Err(_) => return shared.failed("connect: no answer"),
        };
        shared.meter.connect.record(begun.elapsed());
        add(&shared.meter.connections);
        let begun = Instant::now();
        let joined = timeout(ANSWER_MAX, acknowledged(&mut socket, &seat.join)).await;
        let beat = match joined {
            Ok(Ok(beat)) => beat,
            Ok(Err(code)) => return shared.ended(&code),
            Err(_) => return shared.ended("join: no answer"),
        };
        shared.meter.join.record(begun.elapsed());
        add(&shared.meter.joins);
        let next_beat = Instant::now() + beat.mul_f64(spread(seat.number));
        Some(Self {
            seat,
            socket,
            pace: Pace::new(Instant::now()),
            order: Order::Rest,
            owed: 0,
            beat,
            next_beat,
            next_send: None,
            video: true,
            shared,
        })
    }

    /// Does as ordered until told to leave, or until the connection ends.
    pub(super) async fn run(mut self) {
        let mut orders = self.shared.orders.subscribe();
        self.obey(*orders.borrow_and_update());
        let timer = sleep_until(self.wake());
        tokio::pin!(timer);
        let ended = loop {
            if self.owed > 0 && self.pace.is_open(Instant::now()) {
                // What has come already is read first, so that answers go out together.
                let done = match self.socket.next().now_or_never() {
                    Some(message) => self.heard(message),
                    None => self.send_owed().await,
                };
                match done {
                    Ok(()) => continue,
                    Err(code) => break code,
                }
            }
            timer.as_mut().reset(self.wake());
            let done = tokio::select! {
                message = self.socket.next() => self.heard(message),
                changed = orders.changed() => {
                    let order = *orders.borrow_and_update();
                    if changed.is_err() || order == Order::Leave {
                        return self.leave().await;
                    }
                    self.obey(order);
                    Ok(())
                }
                () = timer.as_mut() => self.tick().await,
            };
            if let Err(code) = done {
                break code;
            }
        };
        self.shared.ended::<()>(&ended);
    }

    fn obey(&mut self, order: Order) {
        self.order = order;
        self.owed = 0;
        self.next_send = None;
        match order {
            Order::Steady { every } if self.sends() => {
                self.next_send = Some(Instant::now() + every.mul_f64(spread(self.seat.number)));
            }
            Order::Saturate { pairs, window }
                if self.sends() && self.seat.room < pairs && self.seat.chair == 0 =>
            {
                self.owed = window;
            }
            Order::Rest | Order::Steady { .. } | Order::Saturate { .. } | Order::Leave => {}
        }
    }

    fn sends(&self) -> bool {
        match self.shared.mode {
            Mode::P2p => self.seat.peer.is_some(),
            Mode::P2m | Mode::M2m => self.seat.chair == 0,
        }
    }

    fn wake(&self) -> Instant {
        let owed = (self.owed > 0).then(|| self.pace.opens());
        [self.next_send, owed].into_iter().flatten().fold(self.next_beat, Instant::min)
    }

    async fn tick(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if self.next_beat <= now {
            self.next_beat = now + self.beat;
            let beat = json!({ "type": "Heartbeat" }).to_string();
            self.send(beat).await?;
        }
        if let (Some(next), Order::Steady { every }) = (self.next_send, self.order)
            && next <= now
        {
            self.next_send = Some(next + every);
            let message = self.message('s');
            self.send(message).await?;
            add(&self.shared.meter.sent);
        }
        Ok(())
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        self.pace.take(Instant::now());
        self.socket.send(Message::text(text)).await.map_err(|error| words(&error))
    }

    async fn send_owed(&mut self) -> Result<(), String> {
        while self.owed > 0 && self.pace.is_open(Instant::now()) {
            self.owed -= 1;
            self.pace.take(Instant::now());
            let message = self.message('b');
            self.socket.feed(Message::text(message)).await.map_err(|error| words(&error))?;
            add(&self.shared.meter.sent);
        }
        self.socket.flush().await.map_err(|error| words(&error))
    }

    /// A message that tells when it was sent and by which part of the measurement.
    fn message(&mut self, part: char) -> String {
        if self.shared.mode != Mode::P2p {
            self.video = !self.video;
            self.shared.note_change(self.seat.room, self.video);
            return json!({ "type": "UpdateVideo", "video": self.video }).to_string();
        }
        let to = self.seat.peer.as_deref().unwrap_or_default();
        let nanos = self.shared.nanos();
        let start = format!(
            r#"{{"type":"iceCandidate","to":"{to}","sdpMid":"0","sdpMLineIndex":0,"candidate":"{part} {nanos} "#
        );
        let padding = self.shared.message_bytes.saturating_sub(start.len() + 2);
        format!(r#"{start}{:x<padding$}"}}"#, "")
    }

    fn heard(&mut self, message: Option<Result<Message, Error>>) -> Result<(), String> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                return Ok(());
            }
            Some(Err(error)) => return Err(words(&error)),
            None => return Err("cut".to_owned()),
        };
        let Ok(heard) = serde_json::from_str::<Heard<'_>>(&text) else {
            self.shared.meter.errors.count("unreadable");
            return Ok(());
        };
        match (heard.kind.as_ref(), heard.candidate, heard.video) {
            ("iceCandidate", Some(candidate), _) => self.candidate(&candidate),
            ("UpdateVideo", _, Some(video)) => {
                if let Some(took) = self.shared.since_change(self.seat.room, video) {
                    self.relayed(took);
                }
            }
            ("Error", ..) => self.shared.meter.errors.count(heard.code.unwrap_or_default()),
            _ => {}
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: &str) {
        let mut words = candidate.split(' ');
        let part = words.next();
        let sent: Option<u64> = words.next().and_then(|nanos| nanos.parse().ok());
        match (part, sent) {
            (Some("s"), Some(sent)) => {
                let took = self.shared.nanos().saturating_sub(sent);
                self.relayed(Duration::from_nanos(took));
            }
            (Some("b"), Some(_)) => {
                add(&self.shared.meter.relays);
                if let Order::Saturate { .. } = self.order {
                    self.owed += 1;
                }
            }
            _ => self.shared.meter.errors.count("unreadable"),
        }
    }

    fn relayed(&self, took: Duration) {
        self.shared.meter.relay.record(took);
        add(&self.shared.meter.relays);
    }

    async fn leave(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let goodbye = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        if timeout(CLOSE_MAX, goodbye).await.is_err() {
            self.shared.meter.errors.count("close: no answer");
        }
        self.shared.gone();
    }
}

/// Sends the Join and waits for its acknowledgement; returns how often heartbeats are due.
async fn acknowledged(socket: &mut Socket, join: &str) -> Result<Duration, String> {
    socket.send(Message::text(join)).await.map_err(|error| words(&error))?;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let Ok(heard) = serde_json::from_str::<Heard<'_>>(&text) else { continue };
                match heard.kind.as_ref() {
                    "JoinAck" => return Ok(heard.heartbeat_interval.map_or(BEAT, Duration::from_millis)),
                    "Error" => return Err(heard.code.unwrap_or_default().into_owned()),
                    _ => {}
                }
            }
            Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(error)) => return Err(words(&error)),
            None => return Err("cut".to_owned()),
        }
    }
}

fn closed(frame: Option<CloseFrame>) -> String {
    frame.map_or_else(|| "closed".to_owned(), |frame| format!("closed: {}", u16::from(frame.code)))
}

fn words(error: &Error) -> String {
    if let Error::Io(error) = error { crate::error::os(error) } else { error.to_string() }
}

/// Where in a period the client of this number acts, 0 to 1: evenly spread however many there are.
fn spread(number: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (number as f64 * GOLDEN).fract()
}

/// Keeps a client under the server's rate (PROTOCOL.md §2).
#[derive(Debug)]
struct Pace {
    /// Before this time the allowance is full.
    empty_at: Instant,
}

impl Pace {
    /// A little less than the server allows, for clocks and networks differ.
    const EVERY: Duration = Duration::from_micros(1_000_000 / (RATE - RATE / 20));
    const BURST: Duration = Duration::from_micros(1_000_000 / RATE * (BURST - BURST / 10));

    fn new(now: Instant) -> Self {
        Self { empty_at: now }
    }

    fn opens(&self) -> Instant {
        self.empty_at.checked_sub(Self::BURST).unwrap_or(self.empty_at)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.opens() <= now
    }

    fn take(&mut self, now: Instant) {
        self.empty_at = self.empty_at.max(now) + Self::EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sends_its_burst_and_then_its_rate_and_never_more_than_the_server_takes() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut sent_by = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            std::iter::repeat_with(|| pace.is_open(now).then(|| pace.take(now)))
                .map_while(|sent| sent)
                .count()
        };
        let (burst, second) = (sent_by(0) as u64, sent_by(1000) as u64);
        assert!((BURST / 2..BURST).contains(&burst), "{burst}");
        assert!((RATE / 2..RATE).contains(&second), "{second}");
    }

    #[test]
    fn clients_spread_over_a_period() {
        let early = (0..1000).filter(|number| spread(*number) < 0.25).count();
        assert!((240..260).contains(&early), "{early}");
    }
}
