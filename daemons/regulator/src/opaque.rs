//! What a handle was attached for, written on the handle itself, or on what it has subscribed to: a regulator that
//! lost its memory reads it there.

use std::fmt;
use std::str::FromStr;

use mobz_core::id::{RoomId, StationId, UserId};

/// The first word, by which our handles are known among others.
const OURS: &str = "mobz";

/// What a handle was attached for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque {
    /// What it does.
    pub role: Role,
    /// In which room.
    pub room: RoomId,
    /// For which station.
    pub station: StationId,
    /// For whom.
    pub user: UserId,
}

/// What a handle does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It sends a station's media to Janus.
    Publisher,
    /// It gets a station's media from Janus.
    Watcher,
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, room, station, user } = self;
        let role = match role {
            Role::Publisher => "publisher",
            Role::Watcher => "watcher",
        };
        // No id has a slash.
        write!(f, "{OURS}/{role}/{room}/{station}/{user}")
    }
}

impl FromStr for Opaque {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split('/');
        let mut word = || words.next().ok_or(());
        if word()? != OURS {
            return Err(());
        }
        let role = match word()? {
            "publisher" => Role::Publisher,
            "watcher" => Role::Watcher,
            _ => return Err(()),
        };
        let room = word()?.parse().map_err(drop)?;
        let station = word()?.parse().map_err(drop)?;
        let user = word()?.parse().map_err(drop)?;
        Ok(Self { role, room, station, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_on_a_handle_is_read_again() {
        let text = "mobz/watcher/demo/m1-0000000000ab/ann@example.org:8";
        let opaque: Opaque = text.parse().unwrap();
        assert_eq!((opaque.role, opaque.user.as_str()), (Role::Watcher, "ann@example.org:8"));
        assert_eq!(opaque.to_string(), text);
    }

    #[test]
    fn a_handle_of_somebody_else_is_not_ours() {
        for other in ["", "mobz", "videoroomtest-abc", "mobz/owner/demo/s/ann", "mobz/watcher/demo/s/a b"] {
            assert_eq!(other.parse::<Opaque>(), Err(()), "{other}");
        }
    }
}
