//! Whatever bytes claim to be fMP4, reading them ends in what they say or in a refusal, and cutting them
//! into pieces loses none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mobz_core::hls::data::MediaType;
use mobz_core::hls::fmp4::{MediaTrack, read_fragment, read_init};
use mobz_core::hls::split::{Piece, Splitter};

fuzz_target!(|bytes: &[u8]| {
    let mut tracks = vec![MediaTrack {
        id: 1,
        timescale: 90_000,
        media_type: Some(MediaType::Video),
        default_duration: 3_000,
        default_size: 0,
        default_flags: 0,
    }];
    if let Ok(init) = read_init(bytes) {
        assert!(!init.codecs.is_empty());
        tracks = init.tracks;
    }
    let _ = read_fragment(&tracks, bytes);
    let mut splitter = Splitter::new();
    let mut handed = 0;
    for chunk in bytes.chunks(7) {
        splitter.feed(chunk);
        while let Ok(Some(piece)) = splitter.next_piece() {
            match piece {
                Piece::Init(piece) => handed += piece.len(),
                Piece::Part(piece) => {
                    handed += piece.len();
                    let _ = read_fragment(&tracks, &piece);
                }
            }
        }
    }
    assert!(handed <= bytes.len());
});
