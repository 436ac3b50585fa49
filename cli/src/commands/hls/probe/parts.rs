//! Media: whether what is listed is there, and holds what the playlist says.

use bytes::Bytes;
use mobz_core::hls::fmp4::{Fragment, MediaTrack, read_fragment, read_init};

use super::super::playlist::{Media, Part, Resource, Segment};
use super::fetch::{ANSWER_MAX, Answer};
use super::http;
use super::rules;
use super::session::Session;

/// How far a listed duration may be from the media's, in seconds.
const DURATION_ERROR_MAX: f64 = 0.05;
/// How many segments are fetched whole at most: media is the dear part of a probe.
const SEGMENTS_MAX: u64 = 6;

impl Session {
    /// Fetches what must be there; notes when it is not.
    async fn available(&mut self, resource: &Resource, what: &str) -> Option<Answer> {
        match self.fetcher.media(&self.url, resource, ANSWER_MAX).await {
            Ok(answer) if answer.is_ok() => {
                self.judge.check(&rules::AVAILABLE, true, format!("{what}: {}", answer.status));
                http::media(&mut self.judge, &answer);
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

    /// The tracks of an initialization section, read once.
    async fn tracks(&mut self, map: Option<&Resource>, media: &[u8]) -> Option<Vec<MediaTrack>> {
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
        let key = format!("{map:?}");
        if let Some(tracks) = self.maps.get(&key) {
            return Some(tracks.clone());
        }
        let answer = self.available(map, &format!("{} of EXT-X-MAP", map.uri)).await?;
        match read_init(&answer.body) {
            Ok(init) => {
                self.judge.check(&rules::MAP, true, format!("{}: {}", map.uri, init.codecs));
                self.maps.insert(key, init.tracks.clone());
                Some(init.tracks)
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
        let Some(tracks) = self.tracks(map, bytes).await else {
            for rule in [&rules::INDEPENDENT, &rules::INDEPENDENT_TOLD, &rules::DURATION_TRUE] {
                self.judge.skip(rule, "the media cannot be read");
            }
            return;
        };
        let fragment = match read_fragment(&tracks, bytes) {
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

    /// Compares a segment that has just been completed with its parts.
    pub(super) async fn whole(&mut self, media: &Media, segment: &Segment) {
        if segment.gap || self.judge.count(&rules::SAME_MEDIA) >= SEGMENTS_MAX {
            return;
        }
        let what = format!("segment {}", segment.msn);
        let Some(answer) = self.available(&segment.resource, &what).await else { return };
        let tracks = self.tracks(segment.map.as_ref(), &answer.body).await;
        let read = |bytes: &[u8]| tracks.as_ref().and_then(|tracks| read_fragment(tracks, bytes).ok());
        let whole = read(&answer.body);
        if let Some(fragment) = whole {
            self.duration(segment.duration, fragment, &what);
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
        let tracks_read = tracks.as_ref().and_then(|tracks| read_fragment(tracks, &together).ok());
        match (whole, tracks_read) {
            (Some(whole), Some(parts)) => {
                let holds = whole == parts;
                let seen = format!("{what}: {} samples, its parts {}", whole.samples, parts.samples);
                self.judge.check(&rules::SAME_MEDIA, holds, seen);
            }
            (_, _) if tracks.is_some() => {
                let seen = format!("{what}: {} bytes, its parts {}", answer.body.len(), together.len());
                self.judge.check(&rules::SAME_MEDIA, false, seen);
            }
            (_, _) => self.judge.skip(&rules::SAME_MEDIA, "the bytes differ, and the media cannot be read"),
        }
    }
}
