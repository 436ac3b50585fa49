//! Reading fragmented MP4 (ISO/IEC 14496-12, CMAF ISO/IEC 23000-19): just what playlists need to know.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use mp4_atom::{Codec, Decode as _, DecodeAtom as _, FourCC, Header, Moof, Moov, Stsd, Trak};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::data::MediaType;

/// The largest init taken, in bytes; it travels with the stream's state.
pub const INIT_BYTES_MAX: usize = 32 * 1024;
/// The most tracks one init may have.
pub const MEDIA_TRACKS_MAX: usize = 8;
/// The most samples one part may have.
pub const SAMPLES_MAX: usize = 100_000;

/// What an init says.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// RFC 6381 codecs, comma separated, the leading track's first.
    pub codecs: String,
    /// Whether it is a video or an audio rendition.
    pub media_type: MediaType,
    /// Pixels, of the video track.
    pub resolution: Option<(u32, u32)>,
    /// Peak bits a second, where every sample entry has a `btrt`.
    pub bandwidth: Option<u64>,
    /// BCP 47, where the leading track names one.
    pub language: Option<String>,
    /// What is needed to read parts.
    pub tracks: Vec<MediaTrack>,
}

/// One track of an init, and the defaults its fragments fall back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaTrack {
    /// `track_ID`.
    pub id: u32,
    /// Ticks a second; not 0.
    pub timescale: u32,
    /// What it holds; `None` is neither video nor audio.
    pub media_type: Option<MediaType>,
    /// Of `trex`.
    pub default_duration: u32,
    /// Of `trex`.
    pub default_size: u32,
    /// Of `trex`.
    pub default_flags: u32,
}

/// What a part, or a whole segment, says of its leading track: the video, else the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// How long it lasts, in microseconds.
    pub duration: u64,
    /// When its first sample is decoded, in microseconds of the media's own timeline.
    pub decode_time: u64,
    /// Whether its first sample is a sync sample.
    pub independent: bool,
    /// How many samples the leading track has in it.
    pub samples: u32,
    /// Which bytes a player needs to show its first frame alone; `None` where that is no I-frame.
    pub first_frame: Option<ByteRange>,
}

/// Bytes of a larger resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Where they begin.
    pub offset: u32,
    /// How many.
    pub length: u32,
}

/// Why bytes are not the fMP4 they claim to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fmp4Error {
    /// The box structure is broken.
    #[error("broken MP4 box structure: {0}")]
    Broken(String),
    /// A box that has no place here.
    #[error("a {found} box has no place in {place}")]
    Misplaced {
        /// The box.
        found: String,
        /// `an init`, `a part`.
        place: &'static str,
    },
    /// A box that must be there.
    #[error("{place} needs {missing}")]
    Missing {
        /// The box, or what else.
        missing: &'static str,
        /// `an init`, `a part`.
        place: &'static str,
    },
    /// A fragment of a track the init does not have.
    #[error("track {0} is not in the init")]
    UnknownTrack(u32),
    /// Sample sizes, counts or offsets that do not fit the bytes.
    #[error("{0}")]
    Inconsistent(&'static str),
}

const AN_INIT: &str = "an init";
const A_PART: &str = "a part";

/// Reads an initialization section.
///
/// # Errors
///
/// [`Fmp4Error`] says what it lacks.
pub fn read_init(bytes: &[u8]) -> Result<Init, Fmp4Error> {
    let mut moov = None;
    for top in boxes(bytes) {
        let Top { kind, body, .. } = top?;
        match &kind {
            b"ftyp" | b"styp" | b"free" | b"skip" | b"uuid" | b"meta" => {}
            b"moov" if moov.is_none() => moov = Some(decode::<Moov>(body)?),
            _ => return Err(Fmp4Error::Misplaced { found: name(kind), place: AN_INIT }),
        }
    }
    let moov = moov.ok_or(Fmp4Error::Missing { missing: "a moov box", place: AN_INIT })?;
    let mvex = moov.mvex.as_ref().ok_or(Fmp4Error::Missing {
        missing: "an mvex box, without which it is no fragmented MP4",
        place: AN_INIT,
    })?;
    if moov.trak.is_empty() || moov.trak.len() > MEDIA_TRACKS_MAX {
        return Err(Fmp4Error::Inconsistent("an init has 1 to 8 tracks"));
    }
    let mut tracks = Vec::with_capacity(moov.trak.len());
    for trak in &moov.trak {
        let id = trak.tkhd.track_id;
        let timescale = trak.mdia.mdhd.timescale;
        if timescale == 0 {
            return Err(Fmp4Error::Inconsistent("a track's timescale is 0"));
        }
        let trex = mvex.trex.iter().find(|trex| trex.track_id == id);
        let trex =
            trex.ok_or(Fmp4Error::Missing { missing: "a trex box for every track", place: AN_INIT })?;
        tracks.push(MediaTrack {
            id,
            timescale,
            media_type: media_type(trak),
            default_duration: trex.default_sample_duration,
            default_size: trex.default_sample_size,
            default_flags: trex.default_sample_flags,
        });
    }
    let mut order: Vec<(&Trak, MediaType)> =
        moov.trak.iter().filter_map(|trak| Some((trak, media_type(trak)?))).collect();
    order.sort_by_key(|(_, media_type)| *media_type == MediaType::Audio);
    let (leading, media_type) =
        *order.first().ok_or(Fmp4Error::Missing { missing: "a video or an audio track", place: AN_INIT })?;
    let mut codecs: Vec<String> = Vec::new();
    for (trak, _) in &order {
        let entry = sample_entry(trak)
            .ok_or(Fmp4Error::Missing { missing: "a sample entry for every track", place: AN_INIT })?;
        let name = super::codecs::name(entry);
        if !codecs.contains(&name) {
            codecs.push(name);
        }
    }
    let language = Some(leading.mdia.mdhd.language.clone()).filter(|language| {
        language != "und" && language.len() == 3 && language.bytes().all(|b| b.is_ascii_lowercase())
    });
    Ok(Init {
        codecs: codecs.join(","),
        media_type,
        resolution: order
            .iter()
            .find_map(|(trak, _)| sample_entry(trak)?.visual())
            .map(|visual| (visual.width.into(), visual.height.into())),
        bandwidth: order.iter().map(|(trak, _)| super::codecs::peak_bitrate(sample_entry(trak)?)).sum(),
        language,
        tracks,
    })
}

/// Reads one or more `moof`+`mdat` of an init's tracks.
///
/// # Errors
///
/// [`Fmp4Error`] says what does not fit.
pub fn read_fragment(tracks: &[MediaTrack], bytes: &[u8]) -> Result<Fragment, Fmp4Error> {
    let leading = tracks
        .iter()
        .filter(|track| track.media_type.is_some())
        .min_by_key(|track| track.media_type == Some(MediaType::Audio));
    let leading =
        leading.ok_or(Fmp4Error::Missing { missing: "an init with video or audio", place: A_PART })?;
    let mut found: Option<Fragment> = None;
    let mut pending: Option<(Moof, usize)> = None;
    let mut samples = 0;
    for top in boxes(bytes) {
        let Top { kind, body, start, end } = top?;
        match (&kind, pending.take()) {
            (b"moof", None) => pending = Some((decode::<Moof>(body)?, start)),
            (b"mdat", Some((moof, moof_start))) => {
                let mdat = end - body.len() - moof_start..end - moof_start;
                for traf in &moof.traf {
                    let track = tracks.iter().find(|track| track.id == traf.tfhd.track_id);
                    let track = track.ok_or(Fmp4Error::UnknownTrack(traf.tfhd.track_id))?;
                    let mut run = read_run(track, traf, &mdat, &mut samples)?;
                    if let Some(frame) = &mut run.first_frame {
                        frame.offset = u32::try_from(moof_start).unwrap_or(u32::MAX);
                    }
                    if track.id != leading.id || run.samples == 0 {
                        continue;
                    }
                    found = Some(match found {
                        None => run,
                        Some(sum) => Fragment {
                            duration: sum.duration + run.duration,
                            samples: sum.samples.saturating_add(run.samples),
                            ..sum
                        },
                    });
                }
            }
            (b"styp" | b"prft" | b"emsg" | b"sidx" | b"free" | b"skip" | b"uuid", None) => {}
            (_, Some(_)) => {
                return Err(Fmp4Error::Missing {
                    missing: "an mdat box right after its moof",
                    place: A_PART,
                });
            }
            (_, None) => return Err(Fmp4Error::Misplaced { found: name(kind), place: A_PART }),
        }
    }
    if pending.is_some() {
        return Err(Fmp4Error::Missing { missing: "an mdat box after its moof", place: A_PART });
    }
    found.ok_or(Fmp4Error::Missing {
        missing: "samples of the init's video (or else audio) track",
        place: A_PART,
    })
}

/// Reads one track's fragment; `mdat` is where the media lies, from the start of the `moof`. So does the
/// first frame it tells of: from there to the end of its sample, as an I-frame playlist has it.
fn read_run(
    track: &MediaTrack,
    traf: &mp4_atom::Traf,
    mdat: &std::ops::Range<usize>,
    samples_so_far: &mut usize,
) -> Result<Fragment, Fmp4Error> {
    let tfhd = &traf.tfhd;
    if tfhd.base_data_offset.is_some() {
        return Err(Fmp4Error::Inconsistent(
            "offsets from a file's start (tfhd base-data-offset); write them from the moof: default-base-is-moof",
        ));
    }
    let tfdt = traf
        .tfdt
        .as_ref()
        .ok_or(Fmp4Error::Missing { missing: "a tfdt box for every track", place: A_PART })?;
    let default_duration = tfhd.default_sample_duration.unwrap_or(track.default_duration);
    let default_size = tfhd.default_sample_size.unwrap_or(track.default_size);
    let default_flags = tfhd.default_sample_flags.unwrap_or(track.default_flags);
    let (mut ticks, mut count) = (0u64, 0usize);
    let mut first: Option<(u32, usize)> = None;
    let mut at = 0usize;
    for trun in &traf.trun {
        let samples = &trun.samples;
        *samples_so_far = samples_so_far.saturating_add(samples.len());
        if *samples_so_far > SAMPLES_MAX {
            return Err(Fmp4Error::Inconsistent("more samples than a part can have"));
        }
        if let Some(offset) = trun.data_offset {
            at = usize::try_from(offset)
                .map_err(|_| Fmp4Error::Inconsistent("a trun's data offset lies before its moof"))?;
        }
        let start = at;
        for sample in samples {
            ticks += u64::from(sample.duration.unwrap_or(default_duration));
            at = at.saturating_add(sample.size.unwrap_or(default_size) as usize);
            first.get_or_insert((sample.flags.unwrap_or(default_flags), at));
        }
        count += samples.len();
        // Without an offset the run's data follows what came before it, which only the first run can lack.
        if trun.data_offset.is_some() && !samples.is_empty() && (start < mdat.start || at > mdat.end) {
            return Err(Fmp4Error::Inconsistent("samples lie outside the mdat"));
        }
        if at - start > mdat.len() {
            return Err(Fmp4Error::Inconsistent("samples are larger than the mdat"));
        }
    }
    let is_video = track.media_type == Some(MediaType::Video);
    let first_frame = first.filter(|(flags, _)| is_video && is_sync(*flags));
    let in_mdat = |end: &usize| *end > mdat.start && *end <= mdat.end;
    let whole = |(_, end)| Some(ByteRange { offset: 0, length: u32::try_from(end).ok()? });
    Ok(Fragment {
        duration: micros(ticks, track.timescale),
        decode_time: micros(tfdt.base_media_decode_time, track.timescale),
        independent: !is_video || first_frame.is_some(),
        samples: u32::try_from(count).unwrap_or(u32::MAX),
        first_frame: first_frame.filter(|(_, end)| in_mdat(end)).and_then(whole),
    })
}

/// Sample flags of ISO/IEC 14496-12 §8.8.3.1: neither `sample_is_non_sync_sample`, nor said to depend on others.
fn is_sync(flags: u32) -> bool {
    flags & 0x0001_0000 == 0 && (flags >> 24) & 0b11 != 1
}

fn micros(ticks: u64, timescale: u32) -> u64 {
    let micros = u128::from(ticks) * 1_000_000 / u128::from(timescale.max(1));
    u64::try_from(micros).unwrap_or(u64::MAX)
}

fn media_type(trak: &Trak) -> Option<MediaType> {
    if trak.mdia.hdlr.handler == FourCC::new(b"vide") {
        Some(MediaType::Video)
    } else if trak.mdia.hdlr.handler == FourCC::new(b"soun") {
        Some(MediaType::Audio)
    } else {
        None
    }
}

fn sample_entry(trak: &Trak) -> Option<&Codec> {
    let Stsd { codecs } = &trak.mdia.minf.stbl.stsd;
    codecs.first()
}

/// One top-level box.
struct Top<'a> {
    kind: [u8; 4],
    body: &'a [u8],
    start: usize,
    end: usize,
}

fn boxes(bytes: &[u8]) -> impl Iterator<Item = Result<Top<'_>, Fmp4Error>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        let read = (|| {
            let mut cursor = rest;
            let header = Header::decode(&mut cursor).map_err(|error| Fmp4Error::Broken(error.to_string()))?;
            let size = header.size.ok_or_else(|| Fmp4Error::Broken("a box without a size".to_owned()))?;
            let body =
                cursor.get(..size).ok_or_else(|| Fmp4Error::Broken("a box beyond the end".to_owned()))?;
            let head = rest.len() - cursor.len();
            let end = start + head + size;
            Ok(Top { kind: header.kind.into(), body, start, end })
        })();
        at = read.as_ref().map_or(bytes.len(), |top: &Top<'_>| top.end);
        Some(read)
    })
}

/// Boxes that hold boxes, down to what is read of them.
const CONTAINERS: [&[u8; 4]; 5] = [b"traf", b"trak", b"mdia", b"minf", b"stbl"];
/// How deep they lie: `stbl` in `minf` in `mdia` in `trak`.
const CONTAINERS_DEPTH_MAX: u32 = 4;
/// Boxes that say nothing that is used here. They are cut out unread: the decoder would reserve what
/// they ask for, and a hundred hostile bytes in an `sgpd` ask for gigabytes.
const UNREAD: [&[u8; 4]; 8] = [b"sgpd", b"sbgp", b"subs", b"saiz", b"saio", b"senc", b"udta", b"meta"];

fn decode<A: mp4_atom::Atom>(body: &[u8]) -> Result<A, Fmp4Error> {
    let read = without_unread(body, CONTAINERS_DEPTH_MAX)?;
    let header = Header { kind: A::KIND, size: Some(read.len()) };
    let mut body = &read[..];
    A::decode_atom(&header, &mut body).map_err(|error| Fmp4Error::Broken(error.to_string()))
}

fn without_unread(body: &[u8], depth: u32) -> Result<Vec<u8>, Fmp4Error> {
    let mut read = Vec::with_capacity(body.len());
    for child in boxes(body) {
        let Top { kind, body, .. } = child?;
        if UNREAD.contains(&&kind) {
            continue;
        }
        let body = if depth > 0 && CONTAINERS.contains(&&kind) {
            Cow::Owned(without_unread(body, depth - 1)?)
        } else {
            Cow::Borrowed(body)
        };
        let size =
            u32::try_from(body.len() + 8).map_err(|_| Fmp4Error::Broken("a box of gigabytes".to_owned()))?;
        read.extend(size.to_be_bytes());
        read.extend(kind);
        read.extend(&*body);
    }
    Ok(read)
}

fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}
