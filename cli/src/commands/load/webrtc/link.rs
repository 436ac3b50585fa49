//! One WebRTC connection: ICE, DTLS and SRTP by str0m, media as RTP packets, no codec.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;

use super::feed::Came;
use super::meter::Meter;
use super::source::Packet;

/// How many packets of a medium are kept to be sent again.
const RESEND_MAX: usize = 128;
/// The id of the one header extension used, that which tells the m-line of a packet (RFC 9143).
const MID_EXTENSION: u8 = 4;
/// How often receivers report; less often than browsers do, for all of them are in one process.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// What all connections of a test have in common.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl Identity {
    /// A certificate for all connections: making one for each would be most of the load.
    pub(super) fn new() -> Option<Self> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = crypto.dtls_provider.generate_certificate()?;
        Some(Self { crypto, certificate })
    }

    fn rtc(&self, address: SocketAddr) -> Option<Rtc> {
        let mut extensions = ExtensionMap::empty();
        extensions.set(MID_EXTENSION, Extension::RtpMid);
        let mut rtc = Rtc::builder()
            .set_crypto_provider(self.crypto.clone())
            .set_dtls_cert(self.certificate.clone())
            .set_extension_map(extensions)
            .clear_codecs()
            .enable_vp8(true)
            .enable_opus(true, false)
            .set_rtp_mode(true)
            .set_stats_interval(None)
            .set_send_buffer_audio(RESEND_MAX)
            .set_send_buffer_video(RESEND_MAX)
            .set_rtcp_report_interval_audio(REPORT_EVERY)
            .set_rtcp_report_interval_video(REPORT_EVERY)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").ok()?)?;
        Some(rtc)
    }
}

/// A datagram that came.
#[derive(Debug)]
pub(super) struct Datagram<'a>(Input<'a>);

impl<'a> Datagram<'a> {
    /// Reads one that came from `source` to the socket at `address`; `None` when it is none of WebRTC's.
    pub(super) fn read(
        now: Instant,
        source: SocketAddr,
        address: SocketAddr,
        bytes: &'a [u8],
    ) -> Option<Self> {
        let receive = Receive::new(Protocol::Udp, source, address, bytes).ok()?;
        Some(Self(Input::Receive(now, receive)))
    }
}

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Media may flow.
    Connected,
    /// A packet came.
    Came(Came),
    /// The other side needs a key frame.
    WantsKeyFrame,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    rtc: Rtc,
    /// Media that are sent.
    sends: Option<Sends>,
    pending: Option<SdpPendingOffer>,
    /// When it wants to be told that time has passed.
    pub(super) wake: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Sends {
    picture: (Mid, Pt),
    sound: (Mid, Pt),
}

impl Link {
    /// One that sends; with its offer.
    pub(super) fn sender(identity: &Identity, address: SocketAddr) -> Option<(Self, String)> {
        let mut rtc = identity.rtc(address)?;
        let payload_type = |codec: Codec| {
            rtc.codec_config()
                .params()
                .iter()
                .find(|params| params.spec().codec == codec)
                .map(PayloadParams::pt)
        };
        let (vp8, opus) = (payload_type(Codec::Vp8)?, payload_type(Codec::Opus)?);
        let mut changes = rtc.sdp_api();
        let mut send = |kind| changes.add_media(kind, Direction::SendOnly, Some("load".into()), None, None);
        let (sound, picture) = (send(MediaKind::Audio), send(MediaKind::Video));
        let (offer, pending) = changes.apply()?;
        let sends = Some(Sends { picture: (picture, vp8), sound: (sound, opus) });
        let wake = Instant::now();
        let link = Self { rtc, sends, pending: Some(pending), wake };
        Some((link, offer.to_sdp_string()))
    }

    /// One that receives what was offered; with its answer.
    pub(super) fn receiver(identity: &Identity, address: SocketAddr, offer: &str) -> Option<(Self, String)> {
        let mut rtc = identity.rtc(address)?;
        let offer = SdpOffer::from_sdp_string(offer).ok()?;
        let answer = rtc.sdp_api().accept_offer(offer).ok()?;
        let wake = Instant::now();
        let link = Self { rtc, sends: None, pending: None, wake };
        Some((link, answer.to_sdp_string()))
    }

    /// The answer to a sender's offer is there; whether it could be used.
    pub(super) fn accept(&mut self, answer: &str) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        let Ok(answer) = SdpAnswer::from_sdp_string(answer) else { return false };
        self.rtc.sdp_api().accept_answer(pending, answer).is_ok()
    }

    /// A candidate of the other side is there.
    pub(super) fn add_candidate(&mut self, candidate: &str) {
        // One that cannot be read, of a kind that is not known here, is no way to the other side.
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// Whether a datagram is for this connection.
    pub(super) fn accepts(&self, datagram: &Datagram<'_>) -> bool {
        self.rtc.accepts(&datagram.0)
    }

    /// Takes in a datagram.
    pub(super) fn receive(&mut self, datagram: Datagram<'_>) {
        self.input(datagram.0);
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, now: Instant) {
        self.input(Input::Timeout(now));
    }

    /// Sends a packet of the picture.
    pub(super) fn send_picture(&mut self, now: Instant, packet: &Packet) {
        if let Some(sends) = self.sends {
            self.send(now, sends.picture, packet, true);
        }
    }

    /// Sends a packet of sound.
    pub(super) fn send_sound(&mut self, now: Instant, packet: &Packet) {
        if let Some(sends) = self.sends {
            self.send(now, sends.sound, packet, false);
        }
    }

    /// Whether it has not ended.
    pub(super) fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Sends what is to be sent, and tells what happened; sets when to be woken.
    pub(super) fn poll(&mut self, socket: &UdpSocket, meter: &Meter, mut tell: impl FnMut(Told)) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(wake)) => {
                    self.wake = wake;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    // What the kernel does not take now is lost, as on any network.
                    if socket.try_send_to(&transmit.contents, transmit.destination).is_err() {
                        meter.unsent.plus(1);
                    }
                }
                Ok(Output::Event(event)) => self.happened(event, &mut tell),
                Err(_) => return self.rtc.disconnect(),
            }
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "str0m adds events; what is not asked for is not used")]
    fn happened(&mut self, event: Event, tell: &mut impl FnMut(Told)) {
        match event {
            Event::Connected => tell(Told::Connected),
            Event::KeyframeRequest(_) => tell(Told::WantsKeyFrame),
            Event::RtpPacket(packet) => {
                tell(Told::Came(Came {
                    is_picture: self.is_picture(packet.header.payload_type),
                    number: *packet.seq_no,
                    time: packet.header.timestamp,
                    marker: packet.header.marker,
                    bytes: packet.payload.len() as u64,
                }));
            }
            _ => {}
        }
    }

    fn is_picture(&self, payload_type: Pt) -> bool {
        let codecs = self.rtc.codec_config().params();
        codecs.iter().any(|params| params.pt() == payload_type && params.spec().codec == Codec::Vp8)
    }

    fn input(&mut self, input: Input<'_>) {
        if self.rtc.handle_input(input).is_err() {
            self.rtc.disconnect();
        }
    }

    fn send(&mut self, now: Instant, (mid, payload_type): (Mid, Pt), packet: &Packet, nackable: bool) {
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        let number = packet.number.into();
        let write = RtpWrite::new(payload_type, number, packet.time, now, packet.payload.clone());
        stream.write_rtp(write.marker(packet.marker).nackable(nackable));
    }
}
