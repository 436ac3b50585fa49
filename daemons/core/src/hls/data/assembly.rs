//! Data signals that travel in pieces, put together again.

use bytes::BytesMut;

use super::{Chunk, DataError, DataSignal, PAYLOAD_BYTES_MAX};

/// The most tracks one connection may have in pieces at the same time; together they hold no more than
/// [`PAYLOAD_BYTES_MAX`].
pub const ASSEMBLIES_MAX: usize = 8;

/// Puts data signals that travel in pieces together again; one for each connection.
///
/// Holds at most [`ASSEMBLIES_MAX`] signals and [`PAYLOAD_BYTES_MAX`] bytes in all; what would go beyond
/// is [`DataError::TooLarge`], and the pieces of its signal are forgotten.
#[derive(Debug, Default)]
pub struct Assembly {
    under_way: Vec<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    first: DataSignal,
    count: u32,
    next: u32,
    payload: BytesMut,
}

impl Assembly {
    /// Takes a signal as it came: a whole one is handed back, a piece is kept until its last.
    /// Fields of a signal in pieces are those of its first piece.
    ///
    /// # Errors
    ///
    /// A piece out of order, or anything else of a track that has pieces under way: the pieces are
    /// forgotten, the publisher sends the signal again from its first piece.
    pub fn feed(&mut self, signal: DataSignal) -> Result<Option<DataSignal>, DataError> {
        let place = self.under_way.iter().position(|under_way| under_way.first.track == signal.track);
        let Some(chunk) = signal.chunk else {
            return match place {
                None => Ok(Some(signal)),
                Some(place) => {
                    self.under_way.swap_remove(place);
                    Err(DataError::bad(
                        "chunk",
                        "came between the pieces of another signal of this track; send that again",
                    ))
                }
            };
        };
        if self.held() + signal.payload.len() > PAYLOAD_BYTES_MAX {
            if let Some(place) = place {
                self.under_way.swap_remove(place);
            }
            return Err(DataError::TooLarge);
        }
        match place {
            Some(place) => self.go_on(place, &signal, chunk),
            None if chunk.index != 0 => Err(DataError::bad(
                "chunk.index",
                "no piece before this one; send the signal again from index 0",
            )),
            None if chunk.count == 1 => Ok(Some(DataSignal { chunk: None, ..signal })),
            None if self.under_way.len() >= ASSEMBLIES_MAX => Err(DataError::bad(
                "chunk",
                format!("at most {ASSEMBLIES_MAX} tracks may have pieces under way at once"),
            )),
            None => {
                let payload = BytesMut::from(&signal.payload[..]);
                self.under_way.push(UnderWay { first: signal, count: chunk.count, next: 1, payload });
                Ok(None)
            }
        }
    }

    /// How many bytes of media are held.
    pub fn held(&self) -> usize {
        self.under_way.iter().map(|under_way| under_way.payload.len()).sum()
    }

    fn go_on(
        &mut self,
        place: usize,
        piece: &DataSignal,
        chunk: Chunk,
    ) -> Result<Option<DataSignal>, DataError> {
        let under_way = &mut self.under_way[place];
        let fits = piece.id == under_way.first.id
            && chunk.count == under_way.count
            && chunk.index == under_way.next
            && std::mem::discriminant(&piece.kind) == std::mem::discriminant(&under_way.first.kind);
        if !fits {
            let (next, count) = (under_way.next, under_way.count);
            self.under_way.swap_remove(place);
            return Err(DataError::bad(
                "chunk.index",
                format!("piece {next} of {count} was next on this track; send the signal again from index 0"),
            ));
        }
        under_way.payload.extend_from_slice(&piece.payload);
        under_way.next += 1;
        if under_way.next < under_way.count {
            return Ok(None);
        }
        let whole = self.under_way.swap_remove(place);
        Ok(Some(DataSignal { chunk: None, payload: whole.payload.freeze(), ..whole.first }))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::hls::data::{parse_binary, parse_json};

    fn frame(json: &str, media: &[u8]) -> Bytes {
        let length = u32::try_from(json.len()).unwrap();
        [&length.to_be_bytes(), json.as_bytes(), media].concat().into()
    }

    fn path_of(error: DataError) -> String {
        match error {
            DataError::Bad { path, .. } => path,
            DataError::TooLarge => "too large".to_owned(),
        }
    }

    fn piece(id: &str, index: u32, count: u32, media: &[u8]) -> DataSignal {
        let json = format!(
            r#"{{"type":"Data","kind":"part","id":"{id}","track":"main","chunk":{{"index":{index},"count":{count}}}}}"#
        );
        parse_binary(frame(&json, media)).unwrap()
    }

    #[test]
    fn pieces_in_order_make_the_signal() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.feed(piece("a", 0, 3, b"12")), Ok(None));
        assert_eq!(assembly.feed(piece("a", 1, 3, b"3")), Ok(None));
        let whole = assembly.feed(piece("a", 2, 3, b"45")).unwrap().unwrap();
        assert_eq!((&whole.payload[..], whole.chunk), (&b"12345"[..], None));
    }

    #[test]
    fn a_missing_piece_forgets_the_signal_and_it_can_be_sent_again() {
        let mut assembly = Assembly::default();
        assembly.feed(piece("a", 0, 3, b"1")).unwrap();
        assert_eq!(path_of(assembly.feed(piece("a", 2, 3, b"3")).unwrap_err()), "chunk.index");
        assert_eq!(assembly.feed(piece("a", 0, 2, b"1")), Ok(None));
        assert!(assembly.feed(piece("a", 1, 2, b"2")).unwrap().is_some());
    }

    #[test]
    fn nothing_else_of_the_track_comes_between_pieces() {
        let mut assembly = Assembly::default();
        assembly.feed(piece("a", 0, 2, b"1")).unwrap();
        let whole = parse_json(r#"{"type":"Data","kind":"part","data":"AA=="}"#).unwrap();
        assert_eq!(path_of(assembly.feed(whole).unwrap_err()), "chunk");
    }

    #[test]
    fn pieces_beyond_the_limit_are_refused_and_forgotten() {
        let mut assembly = Assembly::default();
        let half = vec![0; PAYLOAD_BYTES_MAX / 2 + 1];
        assembly.feed(piece("a", 0, 2, &half)).unwrap();
        assert_eq!(assembly.feed(piece("a", 1, 2, &half)), Err(DataError::TooLarge));
        assert!(assembly.under_way.is_empty());
    }
}
