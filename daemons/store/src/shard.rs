//! Which part of a split index something belongs to: the same in every process, for ever.

use mobz_core::id::RoomId;

/// FNV-1a (draft-eastlake-fnv): short ids, no secret to keep, the same everywhere.
pub(crate) fn shard_of(room: &RoomId, shards: usize) -> usize {
    let hash = room.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV-1a mix worst.
    let folded = (hash >> 32) ^ hash;
    usize::try_from(folded % shards as u64).unwrap_or_default()
}

/// Where a listing goes on: the shard, and the room it last showed there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) shard: usize,
    pub(crate) after: Option<RoomId>,
}

impl Cursor {
    pub(crate) const START: Self = Self { shard: 0, after: None };

    /// Reads what [`Cursor::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let (shard, after) = text.split_once('.')?;
        let after = if after.is_empty() { None } else { Some(after.parse().ok()?) };
        Some(Self { shard: shard.parse().ok()?, after })
    }

    pub(crate) fn encode(&self) -> String {
        format!("{}.{}", self.shard, self.after.as_ref().map_or("", RoomId::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_spread_evenly_over_the_shards() {
        let mut counts = [0_u32; 16];
        for number in 0..16_000 {
            counts[shard_of(&format!("room-{number}").parse().unwrap(), counts.len())] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_does() {
        for cursor in [Cursor::START, Cursor { shard: 9, after: Some("demo".parse().unwrap()) }] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        assert_eq!(Cursor::decode("9"), None);
        assert_eq!(Cursor::decode("9.a b"), None);
        assert_eq!(Cursor::decode("x.demo"), None);
    }
}
