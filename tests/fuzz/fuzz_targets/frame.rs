//! Whatever binary frame a publisher sends, reading it ends in a data signal or in a refusal, and pieces
//! put together never hold more than they may.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mobz_core::hls::data::{
    Assembly, DataError, DataKind, PAYLOAD_BYTES_MAX, SIGNAL_ID_LENGTH_MAX, parse_binary,
};

fuzz_target!(|frames: Vec<Vec<u8>>| {
    let mut assembly = Assembly::default();
    for frame in frames {
        let length = frame.len();
        let signal = match parse_binary(frame.into()) {
            Ok(signal) => signal,
            Err(DataError::Bad { message, .. }) => {
                assert!(!message.is_empty());
                continue;
            }
            Err(DataError::TooLarge) => continue,
        };
        assert!(signal.payload.len() <= length);
        assert!(signal.id.as_ref().is_none_or(|id| id.chars().count() <= SIGNAL_ID_LENGTH_MAX));
        assert_eq!(signal.payload.is_empty(), signal.kind == DataKind::End);
        if let Ok(Some(whole)) = assembly.feed(signal) {
            assert!(whole.chunk.is_none());
            assert!(whole.payload.len() <= PAYLOAD_BYTES_MAX);
        }
        assert!(assembly.held() <= PAYLOAD_BYTES_MAX);
    }
});
