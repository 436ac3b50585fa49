//! The multivariant playlist: a stream's renditions, as a value and as text.

use std::fmt;

use super::data::MediaType;
use super::stream::{Stream, Track};
use crate::id::TrackId;

/// The group that all audio renditions beside video are in.
const AUDIO_GROUP: &str = "audio";

/// The multivariant playlist of one moment.
#[derive(Clone, Copy, Debug)]
pub struct MultivariantPlaylist<'a> {
    stream: &'a Stream,
}

impl<'a> MultivariantPlaylist<'a> {
    /// The playlist; `None` while no track has media, and for the first segment of a stream also while a
    /// track that has its init has none.
    pub fn new(stream: &'a Stream) -> Option<Self> {
        stream.listed().next()?;
        (!stream.awaits_renditions()).then_some(Self { stream })
    }

    fn of_type(self, wanted: MediaType) -> impl Iterator<Item = (&'a TrackId, &'a Track)> {
        self.stream
            .listed()
            .filter(move |(_, track)| track.info.media_type.unwrap_or(MediaType::Video) == wanted)
    }

    /// Whether every listed segment begins with an independent part, as far as is remembered.
    fn is_independent(self) -> bool {
        let mut segments =
            self.stream.listed().flat_map(|(_, track)| track.segments.iter().chain(&track.open));
        segments.all(|segment| segment.parts.first().is_none_or(|part| part.independent))
    }
}

impl fmt::Display for MultivariantPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:9")?;
        if self.is_independent() {
            writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        let has_video = self.of_type(MediaType::Video).next().is_some();
        let beside = || self.of_type(MediaType::Audio).filter(|_| has_video);
        for (place, (name, track)) in beside().enumerate() {
            write!(f, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"{name}\"")?;
            if let Some(language) = &track.info.language {
                write!(f, ",LANGUAGE=\"{language}\"")?;
            }
            let default = if place == 0 { "YES" } else { "NO" };
            writeln!(f, ",DEFAULT={default},AUTOSELECT=YES,URI=\"{name}/media.m3u8\"")?;
        }
        let audio_peak = beside().map(|(_, track)| peak(track)).max().unwrap_or(0);
        let audio_average = beside().map(|(_, track)| average(track)).max().unwrap_or(0);
        let variants = if has_video { MediaType::Video } else { MediaType::Audio };
        for (name, track) in self.of_type(variants) {
            let info = &track.info;
            write!(f, "#EXT-X-STREAM-INF:BANDWIDTH={}", peak(track) + audio_peak)?;
            write!(f, ",AVERAGE-BANDWIDTH={}", average(track) + audio_average)?;
            let mut codecs: Vec<&str> = info.codecs.split(',').map(str::trim).collect();
            for (_, audio) in beside() {
                codecs.extend(audio.info.codecs.split(',').map(str::trim));
            }
            let mut known = Vec::new();
            codecs.retain(|codec| {
                !known.contains(codec) && {
                    known.push(codec);
                    true
                }
            });
            write!(f, ",CODECS=\"{}\"", codecs.join(","))?;
            if let Some((width, height)) = info.resolution {
                write!(f, ",RESOLUTION={width}x{height}")?;
            }
            if let Some(frame_rate) = info.frame_rate {
                write!(f, ",FRAME-RATE={frame_rate:.3}")?;
            }
            if beside().next().is_some() {
                write!(f, ",AUDIO=\"{AUDIO_GROUP}\"")?;
            }
            writeln!(f, "\n{name}/media.m3u8")?;
        }
        for (name, track) in self.of_type(MediaType::Video).filter(|(_, track)| track.has_iframes()) {
            let (peak, average) = iframe_bitrates(track);
            write!(f, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}")?;
            write!(f, ",CODECS=\"{}\"", video_codecs(&track.info.codecs))?;
            if let Some((width, height)) = track.info.resolution {
                write!(f, ",RESOLUTION={width}x{height}")?;
            }
            writeln!(f, ",URI=\"{name}/iframes.m3u8\"")?;
        }
        Ok(())
    }
}

/// Those codecs that are not of sound: I-frames have none.
fn video_codecs(codecs: &str) -> String {
    let is_sound = |codec: &&str| {
        let codec = codec.to_ascii_lowercase();
        ["mp4a", "opus", "flac", "ac-3", "ec-3"].iter().any(|sound| codec.starts_with(sound))
    };
    codecs.split(',').map(str::trim).filter(|codec| !is_sound(codec)).collect::<Vec<_>>().join(",")
}

/// Peak and average bits a second of a track's I-frames, as measured.
fn iframe_bitrates(track: &Track) -> (u64, u64) {
    let listed = || track.segments.iter().filter(|segment| !segment.gap);
    let frames = listed().flat_map(|segment| &segment.iframes);
    let bytes: u64 = frames.map(|frame| u64::from(frame.range.length)).sum();
    let duration: u64 = listed().map(|segment| segment.duration).sum();
    let average = (bytes * 8_000_000).checked_div(duration).unwrap_or(0);
    (track.iframe_peak_bitrate.max(average).max(1), average)
}

/// Peak bits a second: as measured, or as stated where that is more; before anything is measured, what the
/// media's header says (which is an encoder's limit, often far above what it needs).
fn peak(track: &Track) -> u64 {
    let before_any = || track.info.nominal_bandwidth.unwrap_or(0);
    let told = track.info.bandwidth.unwrap_or_else(|| if track.peak_bitrate > 0 { 0 } else { before_any() });
    told.max(track.peak_bitrate).max(average(track)).max(1)
}

/// Average bits a second over what is listed.
fn average(track: &Track) -> u64 {
    let listed = track.segments.iter().chain(&track.open).filter(|segment| !segment.gap);
    let (bytes, duration) = listed.fold((0u64, 0u64), |(bytes, duration), segment| {
        (bytes + segment.bytes, duration + segment.duration)
    });
    (bytes * 8_000_000).checked_div(duration).unwrap_or(0)
}
