//! Cutting a live fMP4 byte stream, as an encoder writes it, into an init and parts.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The largest top-level box taken, in bytes; a larger one is [`SplitError::TooLarge`].
pub const BOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One piece of a live fMP4 stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `ftyp` and `moov`: what a data signal of kind `init` carries.
    Init(Bytes),
    /// One `moof` and `mdat`, with the `styp`, `prft` and `emsg` boxes before it: what a data signal of
    /// kind `part` carries.
    Part(Bytes),
}

/// Why bytes are no live fMP4 stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SplitError {
    /// No box header where one must be, or a box out of place.
    #[error(
        "no fragmented MP4 at byte {offset}: {reason}; make the encoder write fMP4 (ffmpeg: -movflags +cmaf+empty_moov)"
    )]
    NotFmp4 {
        /// Where, counted from the first byte fed.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A box over [`BOX_BYTES_MAX`].
    #[error("a box of {bytes} bytes at byte {offset}; the most is {BOX_BYTES_MAX}")]
    TooLarge {
        /// Where.
        offset: u64,
        /// How large it says it is.
        bytes: u64,
    },
}

/// Takes bytes as they come and hands out whole pieces. Holds at most one piece and what was fed beyond it.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Fed, and not yet looked at.
    fed: BytesMut,
    /// Boxes of the piece under way.
    piece: BytesMut,
    /// What the piece under way has so far.
    state: State,
    /// The offset of `fed` in the stream.
    offset: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing, or boxes that may precede either kind of piece.
    #[default]
    Between,
    /// `ftyp` is there, `moov` is awaited.
    Init,
    /// `moof` is there, `mdat` is awaited.
    Part,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes to the stream; [`Self::next_piece`] then hands out what they completed.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.fed.extend_from_slice(bytes);
    }

    /// The next whole piece; `None` until more is fed.
    ///
    /// # Errors
    ///
    /// After an error the stream is lost: boxes are only found from the box before them.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, SplitError> {
        while let Some((kind, size)) = self.header()? {
            if self.fed.len() < size {
                return Ok(None);
            }
            let whole = self.fed.split_to(size);
            let offset = self.offset;
            self.offset += size as u64;
            let misplaced = |reason| Err(SplitError::NotFmp4 { offset, reason });
            match (&kind, self.state) {
                // A sidx or mfra index speaks of a file's offsets, which a stream of pieces has not.
                (b"sidx" | b"mfra" | b"free" | b"skip", _) => {}
                (b"ftyp", State::Between) => {
                    self.piece.clear();
                    self.piece.extend_from_slice(&whole);
                    self.state = State::Init;
                }
                (b"moov", State::Between | State::Init) => {
                    self.piece.extend_from_slice(&whole);
                    return Ok(Some(Piece::Init(self.take())));
                }
                (b"styp" | b"prft" | b"emsg", State::Between) => self.piece.extend_from_slice(&whole),
                (b"moof", State::Between) => {
                    self.piece.extend_from_slice(&whole);
                    self.state = State::Part;
                }
                (b"mdat", State::Part) => {
                    self.piece.extend_from_slice(&whole);
                    return Ok(Some(Piece::Part(self.take())));
                }
                (b"mdat", State::Between | State::Init) => {
                    return misplaced("an mdat without a moof before it");
                }
                (_, State::Init) => return misplaced("no moov after the ftyp"),
                (_, State::Part) => return misplaced("no mdat after the moof"),
                // Boxes nobody here knows are skipped, as ISO/IEC 14496-12 §4.2 asks.
                (_, State::Between) => {}
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Bytes {
        self.state = State::Between;
        self.piece.split().freeze()
    }

    /// The kind and whole size of the next box, when its header is there.
    fn header(&self) -> Result<Option<([u8; 4], usize)>, SplitError> {
        let mut head = &self.fed[..];
        if head.remaining() < 8 {
            return Ok(None);
        }
        let size = head.get_u32();
        let kind = head.get_u32().to_be_bytes();
        let not = |reason| SplitError::NotFmp4 { offset: self.offset, reason };
        if !kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return Err(not("no box type"));
        }
        let (size, least) = match size {
            0 => return Err(not("a box that lasts to the end of the file")),
            1 if head.remaining() < 8 => return Ok(None),
            1 => (head.get_u64(), 16),
            size => (u64::from(size), 8),
        };
        if size < least {
            return Err(not("a box shorter than its header"));
        }
        let small = usize::try_from(size).ok().filter(|size| *size <= BOX_BYTES_MAX);
        let size = small.ok_or(SplitError::TooLarge { offset: self.offset, bytes: size })?;
        Ok(Some((kind, size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &str, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_bytes(), body].concat()
    }

    fn all(splitter: &mut Splitter) -> Vec<Piece> {
        std::iter::from_fn(|| splitter.next_piece().unwrap()).collect()
    }

    fn stream() -> (Vec<u8>, Vec<Piece>) {
        let init = [boxed("ftyp", b"iso6"), boxed("moov", b"m")].concat();
        let first = [boxed("styp", b"msdh"), boxed("moof", b"a"), boxed("mdat", b"123")].concat();
        let second = [boxed("moof", b"b"), boxed("mdat", b"")].concat();
        let bytes = [&init[..], &boxed("sidx", b"x"), &first, &second, &boxed("mfra", b"y")].concat();
        (bytes, vec![Piece::Init(init.into()), Piece::Part(first.into()), Piece::Part(second.into())])
    }

    #[test]
    fn pieces_are_the_same_however_the_bytes_arrive() {
        let (bytes, expected) = stream();
        for step in 1..bytes.len() {
            let mut splitter = Splitter::new();
            let mut pieces = Vec::new();
            for chunk in bytes.chunks(step) {
                splitter.feed(chunk);
                pieces.append(&mut all(&mut splitter));
            }
            assert_eq!(pieces, expected, "fed {step} bytes at a time");
        }
    }

    #[test]
    fn a_new_init_in_mid_stream_is_a_piece_of_its_own() {
        let (bytes, expected) = stream();
        let mut splitter = Splitter::new();
        splitter.feed(&[&bytes[..], &bytes[..]].concat());
        assert_eq!(all(&mut splitter), [&expected[..], &expected[..]].concat());
    }

    #[test]
    fn what_is_no_box_is_refused_with_its_place() {
        let mut splitter = Splitter::new();
        splitter.feed(&[&boxed("ftyp", b"")[..], b"\0\0\0\x09\0\0\0\0x"].concat());
        let error = splitter.next_piece().unwrap_err();
        assert_eq!(error, SplitError::NotFmp4 { offset: 8, reason: "no box type" });
    }

    #[test]
    fn an_unfragmented_file_is_refused() {
        let mut splitter = Splitter::new();
        splitter.feed(&[boxed("ftyp", b""), boxed("mdat", b"12")].concat());
        assert!(matches!(splitter.next_piece(), Err(SplitError::NotFmp4 { offset: 8, .. })));
    }

    #[test]
    fn a_box_beyond_the_limit_is_refused_before_it_is_held() {
        let mut splitter = Splitter::new();
        splitter.feed(b"\xff\xff\xff\xffmoof");
        assert!(matches!(splitter.next_piece(), Err(SplitError::TooLarge { offset: 0, bytes: 0xffff_ffff })));
    }
}
