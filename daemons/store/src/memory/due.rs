//! When which room must be looked at, and who is looking at it.

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::RoomId;
use mobz_core::store::DUE_CLAIM;
use mobz_core::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Due {
    rooms: BTreeMap<RoomId, Deadline>,
    ready: BTreeSet<(Timestamp, RoomId)>,
}

#[derive(Debug)]
struct Deadline {
    /// When it is handed out next.
    ready: Timestamp,
    /// Whether somebody has it and has not settled yet.
    claimed: bool,
    /// The deadline that was set while it was claimed.
    meanwhile: Option<Timestamp>,
}

impl Due {
    /// The room is due at `at` unless it is earlier; while it is claimed that counts once the claimer
    /// has settled.
    pub(super) fn set(&mut self, room: &RoomId, at: Timestamp) {
        match self.rooms.get_mut(room) {
            Some(deadline) if deadline.claimed => {
                deadline.meanwhile = Some(deadline.meanwhile.map_or(at, |stands| stands.min(at)));
            }
            Some(deadline) if deadline.ready <= at => {}
            Some(_) | None => self.place(room, Some(at)),
        }
    }

    /// Hands out one room that is due at `now`.
    pub(super) fn claim(&mut self, now: Timestamp) -> Option<RoomId> {
        let room = self.ready.first().filter(|(ready, _)| *ready <= now)?.1.clone();
        let meanwhile = self.rooms.get(&room).and_then(|deadline| deadline.meanwhile);
        self.place(&room, Some(now.after(DUE_CLAIM)));
        if let Some(deadline) = self.rooms.get_mut(&room) {
            (deadline.claimed, deadline.meanwhile) = (true, meanwhile);
        }
        Some(room)
    }

    /// A claimer is done: the earlier of what it says and what was set meanwhile counts.
    pub(super) fn settle(&mut self, room: &RoomId, next: Option<Timestamp>) {
        let stands = self
            .rooms
            .get(room)
            .and_then(|deadline| if deadline.claimed { deadline.meanwhile } else { Some(deadline.ready) });
        self.place(room, next.into_iter().chain(stands).min());
    }

    fn place(&mut self, room: &RoomId, ready: Option<Timestamp>) {
        if let Some(old) = self.rooms.remove(room) {
            self.ready.remove(&(old.ready, room.clone()));
        }
        if let Some(ready) = ready {
            self.ready.insert((ready, room.clone()));
            self.rooms.insert(room.clone(), Deadline { ready, claimed: false, meanwhile: None });
        }
    }
}
