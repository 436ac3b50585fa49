//! What little of a session description the regulator reads.

use crate::plane::{Kind, Stream};

/// The audio and video m-lines of a description with their mids (RFC 8866 §5.14, RFC 8843 §8.1).
/// A refused one (port 0) is none.
pub(crate) fn streams(sdp: &str) -> Vec<Stream> {
    let mut streams = Vec::new();
    let mut kind = None;
    for line in sdp.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            kind = match media.split(' ').take(2).collect::<Vec<_>>()[..] {
                [_, "0"] => None,
                ["audio", _] => Some(Kind::Audio),
                ["video", _] => Some(Kind::Video),
                _ => None,
            };
        } else if let (Some(mid), Some(kind)) = (line.strip_prefix("a=mid:"), kind) {
            let mid = mid.trim_end().to_owned();
            streams.push(Stream { mid, kind, simulcast: false, temporal: false });
        }
    }
    streams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_lines_are_read_with_their_mids_and_refused_ones_are_none() {
        let sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:a\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\nm=application 9 X\r\na=mid:d\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:w\r\n";
        let streams: Vec<_> = streams(sdp).into_iter().map(|stream| (stream.mid, stream.kind)).collect();
        assert_eq!(streams, [("a".to_owned(), Kind::Audio), ("w".to_owned(), Kind::Video)]);
    }
}
