//! Ids as newtypes: parsed once at the edge, believed inside.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest room, user, station, munit, track or node id, in characters (PROTOCOL.md §1, §2).
pub const ID_LENGTH_MAX: usize = 64;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a {kind} id is 1 to {ID_LENGTH_MAX} of {alphabet}")]
pub struct IdError {
    kind: &'static str,
    alphabet: &'static str,
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

const fn is_user(byte: u8) -> bool {
    is_plain(byte) || matches!(byte, b'.' | b'@' | b':')
}

const fn is_node(byte: u8) -> bool {
    is_plain(byte) || byte == b'.'
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $allowed:path, $alphabet:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let fits = (1..=ID_LENGTH_MAX).contains(&text.len()) && text.bytes().all($allowed);
                if fits { Ok(Self(text.into())) } else { Err(IdError { kind: $kind, alphabet: $alphabet }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A room (PROTOCOL.md §1).
    RoomId, "room", is_plain, "A-Z a-z 0-9 _ -"
);
id!(
    /// A user, in one room a participant (PROTOCOL.md §2).
    UserId, "user", is_user, "A-Z a-z 0-9 _ - . @ :"
);
id!(
    /// A station: one publisher's media on one munit.
    StationId, "station", is_plain, "A-Z a-z 0-9 _ -"
);
id!(
    /// A munit: one Janus and its regulator.
    MunitId, "munit", is_plain, "A-Z a-z 0-9 _ -"
);
id!(
    /// One HLS rendition of a p2m room.
    TrackId, "track", is_plain, "A-Z a-z 0-9 _ -"
);
id!(
    /// One daemon process that holds connections or serves playback.
    NodeId, "node", is_node, "A-Z a-z 0-9 _ - ."
);

/// The longest munit id, in characters: a station's id is its munit's with a tail of 13.
pub const MUNIT_ID_LENGTH_MAX: usize = ID_LENGTH_MAX - 13;

impl StationId {
    /// The station number `chance` on `munit`, whose id is at most [`MUNIT_ID_LENGTH_MAX`] long (more is
    /// cut). Of `chance`, any fresh random number, 48 bits count.
    ///
    /// A station never moves: its id names the munit it is on, so none can be on two, and whoever has
    /// the id knows where to send. A publisher that moves gets a new station.
    pub fn on(munit: &MunitId, chance: u64) -> Self {
        let munit = &munit.as_str()[..munit.as_str().len().min(MUNIT_ID_LENGTH_MAX)];
        Self(format!("{munit}-{:012x}", chance & 0xffff_ffff_ffff).into())
    }

    /// The munit it is on; `None` for an id that [`StationId::on`] did not make.
    pub fn munit(&self) -> Option<MunitId> {
        let (munit, tail) = self.0.rsplit_once('-')?;
        let is_tail = tail.len() == 12 && tail.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_tail { munit.parse().ok() } else { None }
    }
}

/// One WebSocket connection of one node; never used twice by a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// Where a participant's live connection is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The node that holds the connection.
    pub node: NodeId,
    /// The connection on that node.
    pub connection: ConnectionId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_their_alphabet_and_nothing_else() {
        assert!("Room_1-a".parse::<RoomId>().is_ok());
        assert!("a".repeat(64).parse::<RoomId>().is_ok());
        assert!("a".repeat(65).parse::<RoomId>().is_err());
        assert!("".parse::<RoomId>().is_err());
        assert!("a.b".parse::<RoomId>().is_err());
        assert!("{a}".parse::<RoomId>().is_err());
        assert!("ann@example.org:8".parse::<UserId>().is_ok());
        assert!("ann lee".parse::<UserId>().is_err());
    }

    #[test]
    fn a_station_names_its_munit() {
        let munit: MunitId = "eu-1".parse().unwrap();
        let station = StationId::on(&munit, u64::MAX - 1);
        assert_eq!((station.as_str(), station.munit()), ("eu-1-fffffffffffe", Some(munit)));
        assert_eq!("anything".parse::<StationId>().unwrap().munit(), None);
        let long: MunitId = "m".repeat(MUNIT_ID_LENGTH_MAX).parse().unwrap();
        assert_eq!(StationId::on(&long, 0).as_str().len(), ID_LENGTH_MAX);
    }

    #[test]
    fn a_bad_id_says_what_an_id_is() {
        let error = "a b".parse::<RoomId>().unwrap_err();
        assert_eq!(error.to_string(), "a room id is 1 to 64 of A-Z a-z 0-9 _ -");
    }
}
