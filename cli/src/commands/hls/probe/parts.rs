//! Media: whether what is listed is there, and holds what the playlist says.

use bytes::Bytes;
use mobz_core::hls::fmp4::{Fragment, Init, read_fragment, read_init};
use reqwest::Url;

use super::super::playlist::{Media, Part, Resource, Segment};
use super::fetch::{ANSWER_MAX, Answer};
use super::renditions::family;
use super::session::{Looked, Session};
use super::tags::ROUNDING;
use super::{http, rules};

/// How far a listed duration may be from the media's, in seconds.
const DURATION_ERROR_MAX: f64 = 0.05;
/// How many segments are fetched whole at most: media is the dear part of a probe.
const SEGMENTS_MAX: u64 = 6;

/// What an initialization section is known by.
fn key(base: &Url, map: &Resource) -> String {
    let url = base.join(&map.uri).map_or_else(|_| map.uri.clone(), String::from);
    format!("{url} {:?}", map.range)
}

/// When a fragment begins, on the media's own timeline, in seconds.
pub(super) fn begins(fragment: &Fragment) -> f64 {
    fragment.decode_time as f64 / 1e6
}

impl Session {
    /// Fetches what must be there; notes when it is not.
    async fn available(&mut self, resource: &Resource, what: &str) -> Option<Answer> {
        match self.fetcher.media(&self.url, resource, ANSWER_MAX).await {
            Ok(answer) if answer.is_ok() => {
                self.judge.check(&rules::AVAILABLE, true, format!("{what}: {}", answer.status));
                http::media(&mut self.judge, &answer);
                super::i_frames::range(self, resource, &answer, what);
                Some(answer)
            }
            Ok(answer) => {
                self.judge.check(&rules::AVAILABLE, false, format!("{what}: {}", answer.status));
                None
            }
            Err(trouble) => {
                self.judge.check(&rules::AVAILABLE, false, format!("{what}: {trouble}"));
                None
            }
        }
    }

    /// An initialization section, read once; `None` when it cannot be.
    pub(super) async fn init(&mut self, base: &Url, map: &Resource) -> Option<Init> {
        let key = key(base, map);
        if let Some(init) = self.maps.get(&key) {
            return Some(init.clone());
        }
        let answer = self.fetcher.media(base, map, ANSWER_MAX).await.ok().filter(Answer::is_ok)?;
        let init = read_init(&answer.body).ok()?;
        self.maps.insert(key, init.clone());
        Some(init)
    }

    /// The initialization section of media that was fetched.
    async fn tracks(&mut self, map: Option<&Resource>, media: &[u8]) -> Option<Init> {
        let is_fragmented =
            media.get(4..8).is_some_and(|kind| matches!(kind, b"moof" | b"styp" | b"prft" | b"sidx"));
        let Some(map) = map else {
            if is_fragmented {
                self.judge.check(
                    &rules::MAP,
                    false,
                    "the media is fragmented MP4, and there is no EXT-X-MAP",
                );
            } else {
                self.judge.absent(&rules::MAP, "the media is not fragmented MP4");
            }
            return None;
        };
        let key = key(&self.url, map);
        if let Some(init) = self.maps.get(&key) {
            let init = init.clone();
            self.judge.check(&rules::MAP, true, format!("{}: {}", map.uri, init.codecs));
            return Some(init);
        }
        let answer = self.available(map, &format!("{} of EXT-X-MAP", map.uri)).await?;
        match read_init(&answer.body) {
            Ok(init) => {
                self.judge.check(&rules::MAP, true, format!("{}: {}", map.uri, init.codecs));
                self.maps.insert(key, init.clone());
                Some(init)
            }
            Err(error) => {
                self.judge.check(&rules::MAP, false, format!("{}: {error}", map.uri));
                None
            }
        }
    }

    /// Fetches a listed part and looks into it.
    pub(super) async fn part(&mut self, media: &Media, msn: u64, number: usize) -> Option<Bytes> {
        let part = media.parts(msn).get(number)?.clone();
        if part.gap {
            return None;
        }
        let answer = self.available(&part.resource, &format!("part {msn}.{number}")).await?;
        self.figures.part_fetch.add(answer.took);
        let map = media.segment(msn).map_or(media.map.as_ref(), |segment| segment.map.as_ref()).cloned();
        self.look_into(&part, map.as_ref(), &answer.body, &format!("part {msn}.{number}")).await;
        self.parts.insert((msn, number), answer.body.clone());
        Some(answer.body)
    }

    async fn look_into(&mut self, part: &Part, map: Option<&Resource>, bytes: &[u8], what: &str) {
        let Some(init) = self.tracks(map, bytes).await else {
            for rule in [&rules::INDEPENDENT, &rules::INDEPENDENT_TOLD, &rules::DURATION_TRUE] {
                self.judge.skip(rule, "the media cannot be read");
            }
            return;
        };
        let fragment = match read_fragment(&init.tracks, bytes) {
            Ok(fragment) => fragment,
            Err(error) => return self.judge.skip(&rules::INDEPENDENT, format!("{what}: {error}")),
        };
        let is_told = if part.independent { "INDEPENDENT" } else { "not INDEPENDENT" };
        let truth = if fragment.independent { "a sync sample" } else { "no sync sample" };
        let seen = format!("{what} is {is_told} and begins with {truth}");
        if part.independent {
            self.judge.check(&rules::INDEPENDENT, fragment.independent, &*seen);
        }
        if fragment.independent {
            self.judge.check(&rules::INDEPENDENT_TOLD, part.independent, seen);
        }
        self.duration(part.duration, fragment, what);
    }

    fn duration(&mut self, listed: f64, fragment: Fragment, what: &str) {
        let real = fragment.duration as f64 / 1_000_000.0;
        let seen = format!("{what}: {listed:.3} s listed, {real:.3} s of media");
        self.judge.check(&rules::DURATION_TRUE, (real - listed).abs() <= DURATION_ERROR_MAX, seen);
    }

    /// What a segment's bit rate is held against.
    fn rate(&mut self, segment: &Segment, bytes: usize) {
        let rate = bytes as f64 * 8.0 / segment.duration.max(ROUNDING);
        if let Some(told) = segment.bitrate.filter(|_| segment.resource.range.is_none()) {
            let told = told as f64 * 1000.0;
            let holds = told >= rate * 0.9 - 1000.0 && told <= rate * 1.1 + 1000.0;
            let seen =
                format!("segment {}: {:.0} kbit/s told, {:.0} real", segment.msn, told / 1e3, rate / 1e3);
            self.judge.check(&rules::BITRATE, holds, seen);
        } else {
            self.judge.absent(&rules::BITRATE, "there is no EXT-X-BITRATE");
        }
        let Some((base, multivariant)) = &self.multivariant else { return };
        let is_it = |uri: &String| base.join(uri).is_ok_and(|url| url == self.url);
        let mut own = multivariant.variants.iter().filter(|(_, uri)| uri.as_ref().is_some_and(is_it));
        let Some(most) = own.find_map(|(variant, _)| variant.get("BANDWIDTH")?.parse::<f64>().ok()) else {
            return self.judge.absent(&rules::BANDWIDTH_TRUE, "the rendition is none of a variant's own");
        };
        // A live server knows the future no better than by a tenth.
        let seen = format!("segment {}: {rate:.0} bit/s, BANDWIDTH is {most:.0}", segment.msn);
        self.judge.check(&rules::BANDWIDTH_TRUE, rate <= most * 1.1, seen);
    }

    /// Whether a segment goes on where the one before it ended, or says that it does not.
    fn goes_on(&mut self, media: &Media, segment: &Segment, init: &Init, fragment: &Fragment) {
        let is_promised = media.independent_segments
            || self.multivariant.as_ref().is_some_and(|(_, playlist)| playlist.independent_segments);
        if is_promised {
            let begins = if fragment.independent { "with" } else { "without" };
            let seen = format!("segment {} begins {begins} a sync sample", segment.msn);
            self.judge.check(&rules::INDEPENDENT_SEGMENTS, fragment.independent, seen);
        } else {
            self.judge.absent(&rules::INDEPENDENT_SEGMENTS, "there is no EXT-X-INDEPENDENT-SEGMENTS");
        }
        let map = segment.map.as_ref().map(|map| key(&self.url, map)).unwrap_or_default();
        let begins = begins(fragment);
        let before = self.last.replace(Looked {
            msn: segment.msn,
            map: map.clone(),
            ends: begins + fragment.duration as f64 / 1e6,
        });
        let Some(before) = before.filter(|before| before.msn + 1 == segment.msn) else { return };
        if segment.discontinuity {
            for rule in [&rules::TIMESTAMPS, &rules::FORMAT_CHANGE] {
                self.judge.check(rule, true, format!("segment {} says so", segment.msn));
            }
            return;
        }
        let apart = begins - before.ends;
        let seen = format!("segment {} begins {apart:+.3} s from where the one before it ends", segment.msn);
        self.judge.check(&rules::TIMESTAMPS, apart.abs() <= media.target_duration, seen);
        let formats = |init: &Init| -> Vec<_> {
            init.codecs
                .split(',')
                .map(family)
                .chain(init.tracks.iter().map(|track| track.id.to_string()))
                .collect()
        };
        let was = self.maps.get(&before.map).map(formats);
        let holds = before.map == map || was.is_none_or(|was| was == formats(init));
        let seen = format!("segment {} has {}", segment.msn, init.codecs);
        self.judge.check(&rules::FORMAT_CHANGE, holds, seen);
    }

    /// Compares a segment that has just been completed with its parts.
    pub(super) async fn whole(&mut self, media: &Media, segment: &Segment) {
        if segment.gap || self.judge.count(&rules::SAME_MEDIA) >= SEGMENTS_MAX {
            return;
        }
        let what = format!("segment {}", segment.msn);
        let Some(answer) = self.available(&segment.resource, &what).await else { return };
        let init = self.tracks(segment.map.as_ref(), &answer.body).await;
        let read = |bytes: &[u8]| init.as_ref().and_then(|init| read_fragment(&init.tracks, bytes).ok());
        let whole = read(&answer.body);
        self.rate(segment, answer.body.len());
        if let (Some(fragment), Some(init)) = (whole, &init) {
            self.duration(segment.duration, fragment, &what);
            self.goes_on(media, segment, init, &fragment);
        }
        if segment.parts.is_empty() {
            return self.judge.absent(&rules::SAME_MEDIA, "the playlist lists no parts");
        }
        let mut together = Vec::new();
        for number in 0..segment.parts.len() {
            let bytes = match self.parts.get(&(segment.msn, number)) {
                Some(bytes) => Some(bytes.clone()),
                None => self.part(media, segment.msn, number).await,
            };
            let Some(bytes) = bytes else { return };
            together.extend_from_slice(&bytes);
        }
        self.parts.retain(|(msn, _), _| *msn > segment.msn);
        if answer.body == together {
            return self.judge.check(
                &rules::SAME_MEDIA,
                true,
                format!("{what}: {} bytes either way", together.len()),
            );
        }
        let parts_read = init.as_ref().and_then(|init| read_fragment(&init.tracks, &together).ok());
        match (whole, parts_read) {
            (Some(whole), Some(parts)) => {
                let holds = is_same_media(&whole, &parts, segment.parts.len());
                let seen = format!("{what}: {} samples, its parts {}", whole.samples, parts.samples);
                self.judge.check(&rules::SAME_MEDIA, holds, seen);
            }
            (_, _) if init.is_some() => {
                let seen = format!("{what}: {} bytes, its parts {}", answer.body.len(), together.len());
                self.judge.check(&rules::SAME_MEDIA, false, seen);
            }
            (_, _) => self.judge.skip(&rules::SAME_MEDIA, "the bytes differ, and the media cannot be read"),
        }
    }
}

/// Whether a segment and its `count` parts hold the same samples, however many fragments either is written as. Each
/// part's duration is rounded to a microsecond.
fn is_same_media(whole: &Fragment, parts: &Fragment, count: usize) -> bool {
    let Fragment { duration, decode_time, independent, samples, first_frame: _ } = whole;
    (decode_time, independent, samples) == (&parts.decode_time, &parts.independent, &parts.samples)
        && duration.abs_diff(parts.duration) <= count as u64
}

#[cfg(test)]
mod tests {
    use mobz_core::hls::fmp4::ByteRange;

    use super::*;

    #[test]
    fn a_segment_in_one_fragment_holds_the_same_as_its_parts_in_many() {
        let frame = |length| Some(ByteRange { offset: 0, length });
        let parts = Fragment {
            duration: 1_999_998,
            decode_time: 0,
            independent: true,
            samples: 60,
            first_frame: frame(900),
        };
        let whole = Fragment { duration: 2_000_000, first_frame: frame(1_400), ..parts };
        assert!(is_same_media(&whole, &parts, 6));

        for other in [
            Fragment { samples: 59, ..parts },
            Fragment { decode_time: 33_333, ..parts },
            Fragment { independent: false, ..parts },
            Fragment { duration: 1_966_665, ..parts },
        ] {
            assert!(!is_same_media(&whole, &other, 6), "{other:?}");
        }
    }
}
