//! What is read of fragmented MP4, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::hls::testing::{Encoder, audio_init, video_init};

#[test]
fn an_init_says_what_players_need() {
    let init = read_init(&video_init()).unwrap();
    assert_eq!((init.codecs.as_str(), init.media_type), ("avc1.42c01f", MediaType::Video));
    assert_eq!((init.resolution, init.language, init.bandwidth), (Some((320, 240)), None, None));
    let audio = read_init(&audio_init()).unwrap();
    assert_eq!((audio.codecs.as_str(), audio.media_type), ("opus", MediaType::Audio));
}

#[test]
fn a_few_hostile_bytes_reserve_no_memory() {
    // Version 0, a kind of group nobody knows, and 1,532,713,819 entries of it.
    let sgpd = b"\0\0\0\x14sgpd\0\0\0\0[[[[[[[[";
    let wrap = |kind: &[u8; 4], body: &[u8]| {
        [&u32::try_from(body.len() + 8).unwrap().to_be_bytes()[..], kind, body].concat()
    };
    for hostile in [wrap(b"moof", sgpd), wrap(b"moof", &wrap(b"traf", sgpd))] {
        let part = [hostile, wrap(b"mdat", b"x")].concat();
        assert!(read_fragment(&[], &part).is_err());
    }
}

#[test]
fn a_part_says_how_long_it_is_and_whether_a_decoder_may_start_with_it() {
    let tracks = read_init(&video_init()).unwrap().tracks;
    let mut encoder = Encoder::default();
    let part = encoder.part(333, true);
    let first = read_fragment(&tracks, &part).unwrap();
    let second = read_fragment(&tracks, &encoder.part(200, false)).unwrap();
    let whole = ByteRange { offset: 0, length: u32::try_from(part.len()).unwrap() };
    let said =
        |read: Fragment| (read.duration, read.decode_time, read.independent, read.samples, read.first_frame);
    assert_eq!(said(first), (333_000, 0, true, 1, Some(whole)));
    assert_eq!(said(second), (200_000, 333_000, false, 1, None));
}

#[test]
fn several_fragments_are_one() {
    let tracks = read_init(&video_init()).unwrap().tracks;
    let mut encoder = Encoder::default();
    let both = [encoder.part(300, true), encoder.part(200, false)].concat();
    let read = read_fragment(&tracks, &both).unwrap();
    assert_eq!((read.duration, read.decode_time, read.independent, read.samples), (500_000, 0, true, 2));
    let first = u32::try_from(both.len() / 2).unwrap();
    assert_eq!(read.first_frame, Some(ByteRange { offset: 0, length: first }));
}

#[test]
fn the_first_frame_begins_at_its_moof_and_ends_with_its_sample() {
    let tracks = read_init(&video_init()).unwrap().tracks;
    let styp = b"\0\0\0\x08styp";
    let part = Encoder::default().part_of(&[(40, 5), (40, 9)], true);
    let read = read_fragment(&tracks, &[&styp[..], &part].concat()).unwrap();
    let length = u32::try_from(part.len() - 9).unwrap();
    assert_eq!((read.samples, read.first_frame), (2, Some(ByteRange { offset: 8, length })));
    let audio = read_init(&audio_init()).unwrap().tracks;
    assert_eq!(read_fragment(&audio, &part).unwrap().first_frame, None);
}

#[test]
fn what_is_not_what_it_claims_is_refused() {
    let tracks = read_init(&video_init()).unwrap().tracks;
    let part = Encoder::default().part(333, true);
    let misplaced = |found: &str, place| Fmp4Error::Misplaced { found: found.to_owned(), place };
    assert_eq!(read_init(&part).unwrap_err(), misplaced("moof", AN_INIT));
    assert_eq!(read_fragment(&tracks, &video_init()).unwrap_err(), misplaced("ftyp", A_PART));
    assert_eq!(
        read_fragment(&[], &part).unwrap_err(),
        Fmp4Error::Missing { missing: "an init with video or audio", place: A_PART }
    );
    let other = [MediaTrack { id: 7, ..tracks[0].clone() }];
    assert_eq!(read_fragment(&other, &part).unwrap_err(), Fmp4Error::UnknownTrack(1));
    let cut = &part[..part.len() - 2];
    assert!(matches!(read_fragment(&tracks, cut), Err(Fmp4Error::Broken(_))));
    let without_mdat = &part[..part.len() - 12];
    assert!(matches!(read_fragment(&tracks, without_mdat), Err(Fmp4Error::Missing { .. })));
    assert!(matches!(read_fragment(&tracks, b"<html>no media</html>"), Err(Fmp4Error::Broken(_))));
}

#[test]
fn samples_that_the_mdat_does_not_hold_are_refused() {
    let tracks = read_init(&video_init()).unwrap().tracks;
    let part = Encoder::default().part(333, true);
    let mut short = part[..part.len() - 1].to_vec();
    let mdat_size = short.len() - 11;
    short[mdat_size + 3] -= 1;
    assert_eq!(
        read_fragment(&tracks, &short).unwrap_err(),
        Fmp4Error::Inconsistent("samples lie outside the mdat")
    );
}

proptest! {
    #[test]
    fn broken_inits_are_read_or_refused(at in 0usize..600, byte in any::<u8>(), cut in 0usize..600) {
        let mut init = video_init().to_vec();
        let place = at % init.len();
        init[place] = byte;
        let _ = read_init(&init);
        let _ = read_init(&init[..cut.min(init.len())]);
    }

    #[test]
    fn broken_parts_are_read_or_refused(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        let tracks = read_init(&video_init()).unwrap().tracks;
        let mut part = Encoder::default().part(333, true).to_vec();
        let place = at % part.len();
        part[place] = byte;
        let _ = read_fragment(&tracks, &part);
        let _ = read_fragment(&tracks, &part[..cut.min(part.len())]);
    }
}
