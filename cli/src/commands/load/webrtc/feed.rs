//! One publisher's media at one viewer, counted as they come. Pure.

use std::time::{Duration, Instant};

use super::meter::Meter;

/// How long no picture may come before it stands still.
pub(super) const FREEZE: Duration = Duration::from_millis(500);

/// The clocks of pictures (RFC 7741 §4.1) and of sound (RFC 7587 §4.1), in ticks a second.
pub(super) const PICTURE_HZ: u32 = 90_000;
pub(super) const SOUND_HZ: u32 = 48_000;

/// Packets of one medium, by their numbers.
#[derive(Debug, Default)]
struct Numbers {
    next: Option<u64>,
}

/// How unevenly packets come (RFC 3550 §6.4.1): the first of each picture, or each of sound.
#[derive(Debug, Default)]
struct Jitter {
    last: Option<(Instant, u32)>,
    seconds: f64,
}

impl Jitter {
    fn came(&mut self, now: Instant, time: u32, hz: u32) {
        let Some((at, before)) = self.last else {
            self.last = Some((now, time));
            return;
        };
        // Those of one picture, and those that come late, say nothing.
        let ticks = time.wrapping_sub(before);
        if ticks == 0 || ticks > u32::MAX / 2 {
            return;
        }
        let off = (now - at).as_secs_f64() - f64::from(ticks) / f64::from(hz);
        self.seconds += (off.abs() - self.seconds) / 16.0;
        self.last = Some((now, time));
    }
}

/// How the count of lost packets changes by one that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// So many before it have not come.
    Missing(u64),
    /// It was counted as missing before.
    Late,
}

impl Numbers {
    fn came(&mut self, number: u64) -> Counted {
        match self.next {
            Some(next) if number < next => Counted::Late,
            next => {
                self.next = Some(number + 1);
                Counted::Missing(number - next.unwrap_or(number))
            }
        }
    }
}

/// One packet that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    pub(super) is_picture: bool,
    /// Its extended sequence number.
    pub(super) number: u64,
    /// Its timestamp, in its medium's clock.
    pub(super) time: u32,
    /// Whether a picture ends with it.
    pub(super) marker: bool,
    pub(super) bytes: u64,
}

/// One publisher's media at one viewer.
#[derive(Debug)]
pub(super) struct Feed {
    /// When its offer was there.
    offered: Instant,
    has_begun: bool,
    picture: Numbers,
    sound: Numbers,
    picture_jitter: Jitter,
    sound_jitter: Jitter,
    last_picture: Option<Instant>,
    /// Whether it counts as flowing.
    flows: bool,
}

impl Feed {
    pub(super) fn new(offered: Instant) -> Self {
        Self {
            offered,
            has_begun: false,
            picture: Numbers::default(),
            sound: Numbers::default(),
            picture_jitter: Jitter::default(),
            sound_jitter: Jitter::default(),
            last_picture: None,
            flows: false,
        }
    }

    /// Whether a packet has come yet.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// A packet has come.
    pub(super) fn came(&mut self, now: Instant, packet: Came, meter: &Meter) {
        if !self.has_begun {
            self.has_begun = true;
            meter.first_media.record(now - self.offered);
        }
        let numbers = if packet.is_picture {
            self.picture_jitter.came(now, packet.time, PICTURE_HZ);
            &mut self.picture
        } else {
            self.sound_jitter.came(now, packet.time, SOUND_HZ);
            &mut self.sound
        };
        match numbers.came(packet.number) {
            Counted::Missing(count) => meter.missing.plus(count),
            Counted::Late => meter.recovered.plus(1),
        }
        meter.packets.plus(1);
        meter.bytes.plus(packet.bytes);
        if packet.is_picture && packet.marker {
            self.picture(now, meter);
        }
    }

    fn picture(&mut self, now: Instant, meter: &Meter) {
        meter.pictures.plus(1);
        let gap = self.last_picture.replace(now).map_or(Duration::ZERO, |last| now - last);
        if gap > FREEZE {
            if self.flows {
                meter.freezes.plus(1);
            }
            meter.frozen_micros.plus(u64::try_from(gap.as_micros()).unwrap_or(u64::MAX));
        }
        if !self.flows {
            self.flows = true;
            meter.flowing.plus(1);
        }
    }

    /// Time has passed: a picture that stands still does not wait for the next one to be counted.
    pub(super) fn pass(&mut self, now: Instant, meter: &Meter) {
        if self.flows {
            let jitter = self.picture_jitter.seconds.max(self.sound_jitter.seconds);
            meter.jitter.record(Duration::from_secs_f64(jitter));
        }
        if self.flows && self.last_picture.is_some_and(|last| now - last > FREEZE) {
            meter.freezes.plus(1);
            self.ended(meter);
        }
    }

    /// It does not flow any more.
    pub(super) fn ended(&mut self, meter: &Meter) {
        if std::mem::take(&mut self.flows) {
            meter.flowing.minus(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64) -> Came {
        Came { is_picture: true, number, time: 0, marker: true, bytes: 100 }
    }

    fn lost(meter: &Meter) -> u64 {
        meter.missing.get() - meter.recovered.get()
    }

    #[test]
    fn a_packet_that_comes_late_is_not_lost() {
        let (start, meter) = (Instant::now(), Meter::default());
        let mut feed = Feed::new(start);
        for number in [7, 8, 11] {
            feed.came(start, packet(number), &meter);
        }
        assert_eq!(lost(&meter), 2);
        feed.came(start, packet(9), &meter);
        assert_eq!((lost(&meter), meter.packets.get()), (1, 4));
        let sound = Came { is_picture: false, ..packet(500) };
        feed.came(start, sound, &meter);
        assert_eq!((lost(&meter), meter.pictures.get()), (1, 4));
    }

    #[test]
    fn a_freeze_is_counted_once_whoever_notices_it() {
        let (start, meter) = (Instant::now(), Meter::default());
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut feed = Feed::new(start);
        feed.came(at(0), packet(0), &meter);
        feed.pass(at(400), &meter);
        assert_eq!((meter.freezes.get(), meter.flowing.get()), (0, 1));
        feed.pass(at(600), &meter);
        feed.pass(at(700), &meter);
        assert_eq!((meter.freezes.get(), meter.flowing.get()), (1, 0));
        feed.came(at(900), packet(1), &meter);
        assert_eq!((meter.freezes.get(), meter.flowing.get(), meter.frozen_micros.get()), (1, 1, 900_000));
        feed.came(at(1500), packet(2), &meter);
        assert_eq!((meter.freezes.get(), meter.frozen_micros.get()), (2, 1_500_000));
    }

    #[test]
    fn jitter_is_how_far_packets_are_off_their_own_clock() {
        let start = Instant::now();
        let mut even = Jitter::default();
        let mut late = Jitter::default();
        for number in 0..100_u32 {
            let at = start + Duration::from_millis(20) * number;
            // Across the timestamp's wrap.
            let time = (number * 960).wrapping_sub(48_000);
            even.came(at, time, SOUND_HZ);
            late.came(at + Duration::from_millis(u64::from(number % 2) * 8), time, SOUND_HZ);
        }
        assert!(even.seconds < 1e-6, "{even:?}");
        assert!((0.007..0.009).contains(&late.seconds), "{late:?}");
    }

    #[test]
    fn what_ended_does_not_flow() {
        let (start, meter) = (Instant::now(), Meter::default());
        let mut feed = Feed::new(start);
        feed.came(start, packet(0), &meter);
        feed.ended(&meter);
        feed.ended(&meter);
        assert_eq!((meter.flowing.get(), meter.freezes.get()), (0, 0));
    }
}
