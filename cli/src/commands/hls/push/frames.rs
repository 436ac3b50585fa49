//! Data signals as they go over the wire (PROTOCOL.md §5).

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How much of a frame the JSON before the media may take, in bytes.
pub(super) const ENVELOPE_BYTES_MAX: usize = 1024;

/// A data signal on its way.
pub(super) struct Sent {
    pub(super) id: String,
    /// The place of its track.
    pub(super) track: usize,
    pub(super) kind: Kind,
    pub(super) fields: Value,
    pub(super) media: Bytes,
    pub(super) since: Instant,
}

/// What a data signal carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What media needs to be read.
    Init,
    /// A part or a segment.
    Media,
    /// Nothing: it ends the stream.
    End,
}

/// A data signal as binary frames of at most `frame_max` bytes (PROTOCOL.md §5).
pub(super) fn frames(sent: &Sent, frame_max: usize) -> Vec<Bytes> {
    let most = frame_max.saturating_sub(ENVELOPE_BYTES_MAX).max(1);
    let count = sent.media.len().div_ceil(most).max(1);
    let frame = |index: usize| {
        let mut fields = sent.fields.clone();
        fields["id"] = sent.id.as_str().into();
        if count > 1 {
            fields["chunk"] = json!({"index": index, "count": count});
        }
        let json = fields.to_string();
        let media = &sent.media[index * most..sent.media.len().min((index + 1) * most)];
        let mut frame = BytesMut::with_capacity(4 + json.len() + media.len());
        // The envelope is a few hundred bytes.
        frame.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
        frame.put_slice(json.as_bytes());
        frame.put_slice(media);
        frame.freeze()
    };
    (0..count).map(frame).collect()
}

#[cfg(test)]
mod tests {
    use mobz_core::hls::data::{Assembly, parse_binary};

    use super::*;

    fn sent(bytes: usize) -> Sent {
        Sent {
            id: "0.1".into(),
            track: 0,
            kind: Kind::Media,
            fields: json!({"type": "Data", "kind": "part", "track": "main"}),
            media: (0..bytes).map(|byte| u8::try_from(byte % 251).unwrap()).collect::<Vec<_>>().into(),
            since: Instant::now(),
        }
    }

    #[test]
    fn a_signal_that_fits_is_one_frame() {
        let frames = frames(&sent(100), 2048);
        let signal = parse_binary(frames[0].clone()).unwrap();
        assert_eq!((frames.len(), signal.id.as_deref(), signal.payload.len()), (1, Some("0.1"), 100));
    }

    #[test]
    fn a_signal_over_the_limit_travels_in_pieces_that_come_together_again() {
        let sent = sent(5000);
        let frames = frames(&sent, 2048);
        assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= 2048));
        let mut assembly = Assembly::default();
        let whole = frames.into_iter().find_map(|frame| assembly.feed(parse_binary(frame).unwrap()).unwrap());
        assert_eq!(whole.unwrap().payload, sent.media);
    }
}
