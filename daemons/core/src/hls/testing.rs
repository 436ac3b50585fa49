//! Media for tests, made here: fMP4 whose samples hold nothing, and whose boxes are right.

#![allow(clippy::missing_panics_doc, reason = "what is encoded here is known to encode")]
#![allow(clippy::unwrap_used, reason = "what is encoded here is known to encode")]

use bytes::Bytes;
use mp4_atom::{
    Audio, Avc1, Avcc, Codec, Dops, Encode as _, FourCC, Ftyp, Hdlr, Mdat, Mdhd, Mdia, Mfhd, Minf, Moof,
    Moov, Mvex, Opus, Smhd, Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Visual, Vmhd,
};

/// Ticks a second of what is made here.
const TIMESCALE: u32 = 90_000;
/// Sample flags: depends on no other.
const SYNC: u32 = 0x0200_0000;
/// Sample flags: depends on others, no sync sample.
const NOT_SYNC: u32 = 0x0101_0000;

/// The init of a 320×240 H.264 track.
pub fn video_init() -> Bytes {
    init_of(*b"vide", 0x1f)
}

/// The same with another level, so that its bytes differ.
pub fn other_video_init() -> Bytes {
    init_of(*b"vide", 0x28)
}

/// The init of an Opus track.
pub fn audio_init() -> Bytes {
    init_of(*b"soun", 0)
}

/// An encoder of one track, whose timeline goes on from part to part.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    /// Where its timeline is, in ticks of 1/90,000 s.
    pub decode_time: u64,
    /// How many parts it has made.
    pub parts: u32,
}

impl Encoder {
    /// A part of `millis` milliseconds, one sample of 4 bytes, that a decoder may, or may not, start with.
    pub fn part(&mut self, millis: u32, independent: bool) -> Bytes {
        self.part_of(&[(millis, 4)], independent)
    }

    /// A part of samples of so many milliseconds and bytes, of which a decoder may, or may not, start with
    /// the first.
    pub fn part_of(&mut self, samples: &[(u32, u32)], independent: bool) -> Bytes {
        let mut media = Vec::new();
        let mut entries = Vec::new();
        let mut duration = 0;
        for (number, (millis, bytes)) in samples.iter().enumerate() {
            let ticks = millis * (TIMESCALE / 1000);
            let flags = if independent && number == 0 { SYNC } else { NOT_SYNC };
            entries.push(TrunEntry {
                duration: Some(ticks),
                size: Some(*bytes),
                flags: Some(flags),
                cts: None,
            });
            // Bytes of its own, so that no two parts are the same.
            media.extend(self.parts.to_be_bytes().iter().cycle().take(*bytes as usize));
            duration += ticks;
        }
        let moof = |data_offset: usize| Moof {
            mfhd: Mfhd { sequence_number: self.parts + 1 },
            traf: vec![Traf {
                tfhd: Tfhd { track_id: 1, default_base_is_moof: true, ..Tfhd::default() },
                tfdt: Some(Tfdt { base_media_decode_time: self.decode_time }),
                trun: vec![Trun {
                    data_offset: Some(i32::try_from(data_offset).unwrap()),
                    samples: entries.clone().into(),
                }],
                ..Traf::default()
            }],
        };
        let mut measured = Vec::new();
        moof(0).encode(&mut measured).unwrap();
        let mut part = Vec::new();
        moof(measured.len() + 8).encode(&mut part).unwrap();
        Mdat { data: media }.encode(&mut part).unwrap();
        self.decode_time += u64::from(duration);
        self.parts += 1;
        part.into()
    }
}

fn init_of(handler: [u8; 4], level: u8) -> Bytes {
    let is_video = handler == *b"vide";
    let codec: Codec = if is_video {
        let avcc = Avcc {
            configuration_version: 1,
            avc_profile_indication: 0x42,
            profile_compatibility: 0xc0,
            avc_level_indication: level,
            length_size: 4,
            ..Avcc::default()
        };
        let visual = Visual { width: 320, height: 240, ..Visual::default() };
        Avc1 { visual, avcc, ..Avc1::default() }.into()
    } else {
        let audio =
            Audio { data_reference_index: 1, channel_count: 2, sample_size: 16, sample_rate: 48_000.into() };
        let dops = Dops {
            output_channel_count: 2,
            pre_skip: 312,
            input_sample_rate: 48_000,
            output_gain: 0,
            channel_mapping: None,
        };
        Opus { audio, dops, btrt: None }.into()
    };
    let minf = Minf {
        vmhd: is_video.then(Vmhd::default),
        smhd: (!is_video).then(Smhd::default),
        stbl: Stbl { stsd: Stsd { codecs: vec![codec] }, ..Stbl::default() },
        ..Minf::default()
    };
    let moov = Moov {
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex { track_id: 1, default_sample_description_index: 1, ..Trex::default() }],
        }),
        trak: vec![Trak {
            tkhd: Tkhd { track_id: 1, enabled: true, ..Tkhd::default() },
            mdia: Mdia {
                mdhd: Mdhd { timescale: TIMESCALE, language: "und".to_owned(), ..Mdhd::default() },
                hdlr: Hdlr { handler: FourCC::new(&handler), name: String::new() },
                minf,
            },
            ..Trak::default()
        }],
        ..Moov::default()
    };
    let mut init = Vec::new();
    Ftyp { major_brand: b"iso6".into(), minor_version: 0, compatible_brands: vec![b"cmfc".into()] }
        .encode(&mut init)
        .unwrap();
    moov.encode(&mut init).unwrap();
    init.into()
}
