//! What a publisher sends: pictures and sound that no decoder is needed for, in valid RTP payloads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{PICTURE_HZ, SOUND_HZ};
use super::link::Link;

/// The most payload in one packet, in bytes: what browsers send.
const PAYLOAD_MAX: usize = 1100;
/// How often a picture is a key frame, if none is asked for.
const KEY_EVERY: Duration = Duration::from_secs(10);
/// How far behind its rhythm a publisher may be before it begins it anew.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// The bit rate of sound, in bit/s: speech.
const SOUND_BITS: u64 = 24_000;
/// The VP8 payload descriptor of a picture's first packet, and of the others (RFC 7741 §4.2).
const FIRST: u8 = 0x10;
const FURTHER: u8 = 0x00;
/// The beginning of a VP8 key frame of 320x240 (RFC 6386 §9.1), and of another frame.
const KEY_FRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
const OTHER_FRAME: [u8; 10] = [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The first byte of an Opus packet: one stereo frame of 20 ms, CELT (RFC 6716 §3.1).
const OPUS: u8 = 0xfc;

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Of the picture, in bit/s.
    pub(super) bits: u64,
    /// Pictures a second.
    pub(super) fps: u32,
    /// How long a packet of sound lasts; `None` sends none.
    pub(super) sound_every: Option<Duration>,
}

impl Rates {
    /// The time between two pictures.
    pub(super) fn picture_every(self) -> Duration {
        Duration::from_secs(1) / self.fps
    }
}

/// What one publisher sends, and when.
#[derive(Debug)]
pub(super) struct Source {
    rates: Rates,
    pictures: Pictures,
    next_picture: Instant,
    sound: Option<(Sound, Instant)>,
}

impl Source {
    pub(super) fn new(rates: Rates) -> Self {
        let now = Instant::now();
        let sound = rates.sound_every.map(|every| (Sound::new(every), now));
        Self { rates, pictures: Pictures::new(rates), next_picture: now, sound }
    }

    /// It sends from now on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next_picture = now;
        if let Some((_, next)) = &mut self.sound {
            *next = now;
        }
    }

    /// Somebody needs a key frame.
    pub(super) fn want_key_frame(&mut self) {
        self.pictures.want_key_frame();
    }

    /// When there is something to send next.
    pub(super) fn next(&self) -> Instant {
        self.sound.as_ref().map_or(self.next_picture, |(_, next)| self.next_picture.min(*next))
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, now: Instant, link: &mut Link) {
        while self.next_picture <= now {
            self.next_picture = after(self.next_picture, self.rates.picture_every(), now);
            for packet in self.pictures.next() {
                link.send_picture(now, &packet);
            }
        }
        if let Some((sound, next)) = &mut self.sound {
            while *next <= now {
                *next = after(*next, sound.every, now);
                link.send_sound(now, &sound.next());
            }
        }
    }
}

/// The next of a rhythm; what a machine that stood still missed is not sent all at once.
fn after(due: Instant, every: Duration, now: Instant) -> Instant {
    let next = due + every;
    if next + BEHIND_MAX < now { now } else { next }
}

/// One packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) number: u64,
    /// In its medium's clock.
    pub(super) time: u32,
    /// Whether a picture ends with it.
    pub(super) marker: bool,
    pub(super) payload: Arc<[u8]>,
}

/// The pictures of one publisher.
#[derive(Debug)]
pub(super) struct Pictures {
    rates: Rates,
    packets: u64,
    begun: u64,
    /// Whether the next is a key frame.
    key: bool,
}

impl Pictures {
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, packets: 0, begun: 0, key: true }
    }

    /// Somebody needs a key frame.
    pub(super) fn want_key_frame(&mut self) {
        self.key = true;
    }

    /// The packets of the next picture.
    pub(super) fn next(&mut self) -> Vec<Packet> {
        let fps = u64::from(self.rates.fps);
        self.key |= self.begun.is_multiple_of(KEY_EVERY.as_secs() * fps);
        let head = if std::mem::take(&mut self.key) { KEY_FRAME } else { OTHER_FRAME };
        let length = usize::try_from(self.rates.bits / 8 / fps).unwrap_or(usize::MAX).max(head.len());
        let mut picture = head.to_vec();
        picture.resize(length, 0);
        let time = wrapped(self.begun * u64::from(PICTURE_HZ) / fps);
        self.begun += 1;
        let pieces = length.div_ceil(PAYLOAD_MAX);
        let packets = picture.chunks(length.div_ceil(pieces)).enumerate().map(|(index, piece)| {
            let descriptor = if index == 0 { FIRST } else { FURTHER };
            let payload = [&[descriptor], piece].concat().into();
            Packet { number: self.packets + index as u64, time, marker: index + 1 == pieces, payload }
        });
        let packets: Vec<Packet> = packets.collect();
        self.packets += packets.len() as u64;
        packets
    }
}

/// The sound of one publisher.
#[derive(Debug)]
pub(super) struct Sound {
    every: Duration,
    payload: Arc<[u8]>,
    packets: u64,
}

impl Sound {
    pub(super) fn new(every: Duration) -> Self {
        let length = u64::try_from(every.as_millis()).unwrap_or(u64::MAX) * SOUND_BITS / 8000;
        let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX).clamp(3, PAYLOAD_MAX)];
        payload[0] = OPUS;
        Self { every, payload: payload.into(), packets: 0 }
    }

    pub(super) fn next(&mut self) -> Packet {
        let millis = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX);
        let number = self.packets;
        self.packets += 1;
        let time = wrapped(number * millis * u64::from(SOUND_HZ) / 1000);
        Packet { number, time, marker: number == 0, payload: self.payload.clone() }
    }
}

/// An RTP timestamp: it starts anew at 2^32 (RFC 3550 §5.1).
#[allow(clippy::cast_possible_truncation, reason = "that is how it starts anew")]
fn wrapped(time: u64) -> u32 {
    time as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { bits: 150_000, fps: 10, sound_every: None };

    #[test]
    fn a_picture_is_packets_of_one_time_and_the_last_is_marked() {
        let mut pictures = Pictures::new(RATES);
        let first = pictures.next();
        assert_eq!(first.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [false, true]);
        assert_eq!(first.iter().map(|packet| packet.payload[0]).collect::<Vec<_>>(), [FIRST, FURTHER]);
        assert_eq!(first.iter().map(|packet| packet.payload.len() - 1).sum::<usize>(), 150_000 / 8 / 10);
        let second = pictures.next();
        assert_eq!((second[0].number, second[0].time), (2, 9000));
    }

    #[test]
    fn a_key_frame_comes_when_it_is_wanted() {
        let mut pictures = Pictures::new(RATES);
        // RFC 7741 §4.3: the inverse key frame flag of the payload header.
        let mut is_key = || pictures.next()[0].payload[1] & 1 == 0;
        assert_eq!([is_key(), is_key()], [true, false]);
        pictures.want_key_frame();
        assert_eq!([pictures.next()[0].payload[1] & 1, pictures.next()[0].payload[1] & 1], [0, 1]);
    }

    #[test]
    fn sound_goes_on_by_its_own_clock() {
        let mut sound = Sound::new(Duration::from_millis(20));
        let (first, second) = (sound.next(), sound.next());
        assert_eq!((second.number, second.time - first.time, second.payload.len()), (1, 960, 60));
    }
}
