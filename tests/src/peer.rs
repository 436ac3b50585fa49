//! A WebRTC client that sends or receives numbered pictures: real ICE, DTLS and SRTP, no codec.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, MediaTime, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::netns::MEDIA_ADDRESS;
use crate::{SOON, eventually};

/// The time between two pictures.
const PICTURE_EVERY: Duration = Duration::from_millis(33);
/// How often one is a key frame, if none is asked for.
const KEY_EVERY: u64 = 30;
/// The beginning of a VP8 key frame of 320x240 (RFC 6386 §9.1), and of another frame.
const KEY_FRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
const OTHER_FRAME: [u8; 10] = [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The layers of simulcast, the largest picture first: Janus numbers them from the end.
const LAYERS: [&str; 3] = ["h", "m", "l"];
/// By how much a picture of a layer is larger than one of the layer below it, in bytes.
const LAYER_BYTES: usize = 300;

/// How many of the last pictures are kept to be looked at: an hour of them.
const PICTURES_KEPT: usize = 110_000;

/// One picture that came.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// Its number on its publisher's connection, from 0.
    pub number: u64,
    /// Whether it is a key frame, by which a decoder can begin.
    pub key: bool,
    /// When it came.
    pub at: Instant,
}

/// A WebRTC client, ended when dropped.
#[derive(Debug)]
pub struct Peer {
    shared: Arc<Shared>,
    answers: mpsc::UnboundedSender<String>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    connected: AtomicBool,
    ended: AtomicBool,
    frames: AtomicU64,
    lost: AtomicU64,
    /// The last [`PICTURES_KEPT`].
    pictures: Mutex<VecDeque<Picture>>,
}

impl Peer {
    /// One that sends pictures; → its offer.
    pub async fn publisher() -> (Self, String) {
        Self::publisher_in(&[]).await
    }

    /// One that sends each picture in three layers, each larger by [`LAYER_BYTES`]; → its offer.
    pub async fn publisher_in_layers() -> (Self, String) {
        Self::publisher_in(&LAYERS).await
    }

    async fn publisher_in(layers: &[&str]) -> (Self, String) {
        let (mut rtc, socket, address) = client().await;
        let mut changes = rtc.sdp_api();
        let send = layers.iter().map(|rid| SimulcastLayer::new(rid)).collect::<Vec<_>>();
        let simulcast = (!send.is_empty()).then(|| Simulcast { send, recv: Vec::new() });
        let video =
            changes.add_media(MediaKind::Video, Direction::SendOnly, Some("live".into()), None, simulcast);
        changes.add_media(MediaKind::Audio, Direction::SendOnly, Some("live".into()), None, None);
        let (offer, pending) = changes.apply().expect("there is something to offer");
        let layers = layers.iter().rev().map(|rid| Rid::from(*rid)).collect();
        let peer = Self::start(rtc, socket, address, layers, Some((video, pending)));
        (peer, offer.to_sdp_string())
    }

    /// One that receives pictures by this offer; → its answer.
    pub async fn viewer(offer: &str) -> (Self, String) {
        let (mut rtc, socket, address) = client().await;
        let offer = SdpOffer::from_sdp_string(offer).unwrap_or_else(|error| panic!("{error}: {offer}"));
        let answer = rtc.sdp_api().accept_offer(offer).expect("an offer that can be answered");
        (Self::start(rtc, socket, address, Vec::new(), None), answer.to_sdp_string())
    }

    /// The answer to a publisher's offer.
    pub fn accept(&self, answer: &str) {
        self.answers.send(answer.to_owned()).expect("the client lives");
    }

    /// How many pictures came.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }

    /// How many pictures were missing between those that came.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// The pictures that came, the last 110,000 of them.
    pub fn pictures(&self) -> Vec<Picture> {
        self.shared.pictures().iter().copied().collect()
    }

    /// Whether a picture has come by which a decoder can begin.
    pub fn shows(&self) -> bool {
        self.shared.pictures().iter().any(|picture| picture.key)
    }

    /// Whether its connection has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// Waits until this many more pictures have come.
    pub async fn sees(&self, more: u64) {
        let until = self.frames() + more;
        eventually(&format!("{more} pictures more came"), async || (self.frames() >= until).then_some(()))
            .await;
    }

    /// Waits until no picture comes any more, for a second.
    pub async fn sees_nothing(&self) {
        let (mut seen, mut since) = (self.frames(), Instant::now());
        let deadline = Instant::now() + SOON;
        while since.elapsed() < Duration::from_secs(1) {
            assert!(Instant::now() < deadline, "pictures go on coming");
            sleep(PICTURE_EVERY).await;
            if self.frames() != seen {
                (seen, since) = (self.frames(), Instant::now());
            }
        }
    }

    fn start(
        rtc: Rtc,
        socket: UdpSocket,
        address: SocketAddr,
        layers: Vec<Rid>,
        sends: Option<(Mid, SdpPendingOffer)>,
    ) -> Self {
        let shared = Arc::<Shared>::default();
        let (answers, answered) = mpsc::unbounded_channel();
        let (video, pending) = sends.unzip();
        let running = Running {
            rtc,
            socket,
            address,
            layers,
            video,
            pending,
            shared: shared.clone(),
            number: 0,
            key: true,
        };
        Self { shared, answers, task: tokio::spawn(running.run(answered)) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn client() -> (Rtc, UdpSocket, SocketAddr) {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
    let mut rtc =
        Rtc::builder().clear_codecs().enable_vp8(true).enable_opus(true, false).build(Instant::now());
    let socket = UdpSocket::bind((MEDIA_ADDRESS, 0)).await.expect("the test is in its network namespace");
    let address = socket.local_addr().expect("a bound socket has an address");
    rtc.add_local_candidate(Candidate::host(address, "udp").expect("an address to be reached at"));
    (rtc, socket, address)
}

struct Running {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    /// The smallest first; empty without simulcast.
    layers: Vec<Rid>,
    video: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    shared: Arc<Shared>,
    number: u64,
    /// Whether the next picture is a key frame.
    key: bool,
}

impl Running {
    async fn run(mut self, mut answered: mpsc::UnboundedReceiver<String>) {
        let mut buffer = vec![0; 2000];
        let mut picture = tokio::time::interval(PICTURE_EVERY);
        while self.rtc.is_alive() {
            let Some(wake) = self.poll().await else { break };
            tokio::select! {
                () = tokio::time::sleep_until(wake.into()) => self.input(Input::Timeout(Instant::now())),
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, source)) = received else { continue };
                    let receive = Receive::new(Protocol::Udp, source, self.address, &buffer[..length]);
                    if let Ok(receive) = receive {
                        self.input(Input::Receive(Instant::now(), receive));
                    }
                }
                Some(answer) = answered.recv() => {
                    let answer = SdpAnswer::from_sdp_string(&answer).expect("an answer");
                    if let Some(pending) = self.pending.take() {
                        self.rtc.sdp_api().accept_answer(pending, answer).expect("an answer to the offer");
                    }
                }
                _ = picture.tick(), if self.video.is_some() => self.send_picture(),
            }
        }
        self.shared.ended.store(true, Ordering::Relaxed);
    }

    /// Does what is to be done now; → when there is something to do next.
    async fn poll(&mut self) -> Option<Instant> {
        loop {
            match self.rtc.poll_output().ok()? {
                Output::Timeout(wake) => return Some(wake),
                Output::Transmit(transmit) => {
                    // What cannot be sent is lost, as on any network.
                    drop(self.socket.send_to(&transmit.contents, transmit.destination).await);
                }
                Output::Event(Event::Connected) => self.shared.connected.store(true, Ordering::Relaxed),
                Output::Event(Event::KeyframeRequest(_)) => self.key = true,
                Output::Event(Event::MediaData(data)) => self.came(&data.data),
                Output::Event(_) => {}
            }
        }
    }

    fn input(&mut self, input: Input) {
        if self.rtc.handle_input(input).is_err() {
            self.rtc.disconnect();
        }
    }

    fn send_picture(&mut self) {
        if !self.shared.connected.load(Ordering::Relaxed) {
            return;
        }
        self.key |= self.number.is_multiple_of(KEY_EVERY);
        let head = if std::mem::take(&mut self.key) { KEY_FRAME } else { OTHER_FRAME };
        let picture = [&head[..], &self.number.to_be_bytes()].concat();
        let time = MediaTime::from_90khz(self.number * 2970);
        self.number += 1;
        if self.layers.is_empty() {
            return self.write(None, time, picture);
        }
        for (layer, rid) in self.layers.clone().into_iter().enumerate() {
            let padding = vec![0; LAYER_BYTES * (layer + 1)];
            self.write(Some(rid), time, [&picture[..], &padding].concat());
        }
    }

    fn write(&mut self, layer: Option<Rid>, time: MediaTime, picture: Vec<u8>) {
        let Some(writer) = self.video.and_then(|video| self.rtc.writer(video)) else { return };
        let Some(payload_type) = writer.payload_params().next().map(str0m::format::PayloadParams::pt) else {
            return;
        };
        let writer = match layer {
            Some(rid) => writer.rid(rid),
            None => writer,
        };
        if writer.write(payload_type, Instant::now(), time, picture).is_err() {
            self.rtc.disconnect();
        }
    }

    fn came(&self, picture: &[u8]) {
        let Some(number) =
            picture.get(10..18).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
        else {
            return;
        };
        let mut pictures = self.shared.pictures();
        if let Some(before) = pictures.back() {
            self.shared.lost.fetch_add(number.saturating_sub(before.number + 1), Ordering::Relaxed);
        }
        if pictures.len() == PICTURES_KEPT {
            pictures.pop_front();
        }
        // Bit 0 of a VP8 frame says that it is none (RFC 6386 §9.1).
        pictures.push_back(Picture { number, key: picture[0] & 1 == 0, at: Instant::now() });
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn pictures(&self) -> MutexGuard<'_, VecDeque<Picture>> {
        self.pictures.lock().expect("nobody panicked with it")
    }
}
