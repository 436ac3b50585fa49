//! The simulated Redis: the memory store, which may be away, lose all it has, answer late or not at all.
//!
//! It also looks at every record that is committed: some things must never be, not for a moment.

use std::sync::{Arc, Mutex};

use mobz_core::store::{Committed, Revision};
use mobz_store::MemoryStore;

use crate::bus::Bus;
use crate::life::Life;
use crate::log::note;
use crate::mistake::Mistake;

/// How the network and the store behave; all but `late` in a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// The most milliseconds one way takes.
    pub(crate) late: u64,
    /// Answers of the store that are lost, although it did what it was asked.
    pub(crate) unanswered: u64,
    /// Messages that are lost.
    pub(crate) lost: u64,
    /// Messages that come twice.
    pub(crate) twice: u64,
    /// Messages that others overtake.
    pub(crate) overtaken: u64,
}

impl Faults {
    pub(crate) const NONE: Self = Self { late: 3, unanswered: 0, lost: 0, twice: 0, overtaken: 0 };
}

/// The store all processes share.
#[derive(Debug)]
pub(crate) struct Redis {
    state: Mutex<State>,
    pub(crate) bus: Bus,
    /// A mistake that is made on purpose, to show that it would be found.
    pub(crate) mistake: Option<Mistake>,
}

#[derive(Debug)]
struct State {
    data: Arc<MemoryStore>,
    /// How often it has lost all it had.
    era: u64,
    away: bool,
    faults: Faults,
}

/// What a process reached of it.
pub(crate) struct Data {
    pub(crate) store: Arc<MemoryStore>,
    era: u64,
}

impl Redis {
    pub(crate) fn new(mistake: Option<Mistake>) -> Arc<Self> {
        let state = State { data: MemoryStore::new(), era: 0, away: false, faults: Faults::NONE };
        Arc::new(Self { state: Mutex::new(state), bus: Bus::new(mistake), mistake })
    }

    /// What it has, whether it is away or not.
    pub(crate) fn data(&self) -> Data {
        let state = self.state.lock().unwrap();
        Data { store: state.data.clone(), era: state.era }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.state.lock().unwrap().faults
    }

    pub(crate) fn behave(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    pub(crate) fn is_away(&self) -> bool {
        self.state.lock().unwrap().away
    }

    pub(crate) fn go_away(&self) {
        note!("redis goes away");
        self.state.lock().unwrap().away = true;
        self.bus.interrupt(|_| true);
    }

    pub(crate) fn come_back(&self) {
        if std::mem::take(&mut self.state.lock().unwrap().away) {
            note!("redis is back");
            self.bus.heal(|life| !life.is_cut());
        }
    }

    /// It restarts with nothing.
    pub(crate) fn lose_all(&self) {
        note!("redis loses all it had");
        let mut state = self.state.lock().unwrap();
        (state.data, state.era) = (MemoryStore::new(), state.era + 1);
        let away = state.away;
        drop(state);
        self.bus.interrupt(|_| true);
        if !away {
            self.bus.heal(|life| !life.is_cut());
        }
    }

    pub(crate) fn cut(&self, life: &Life) {
        note!("{} is cut off", life.name);
        life.cut(true);
        self.bus.interrupt(|other| std::ptr::eq(other, life));
    }

    pub(crate) fn join(&self, life: &Life) {
        if life.is_cut() {
            note!("{} is joined again", life.name);
            life.cut(false);
            if !self.is_away() {
                self.bus.heal(|other| std::ptr::eq(other, life));
            }
        }
    }
}

/// How many revisions one era has.
const ERA: u64 = 1 << 40;

impl Data {
    /// Revisions are never the same again, not even after all was lost: Redis makes them from its clock.
    pub(crate) fn outside(&self, inside: Revision) -> Revision {
        if inside == Revision::default() { inside } else { Revision(inside.0 + self.era * ERA) }
    }

    /// `None` for a revision of another era.
    pub(crate) fn inside(&self, outside: Revision) -> Option<Revision> {
        if outside == Revision::default() {
            return Some(outside);
        }
        (outside.0 / ERA == self.era).then_some(Revision(outside.0 % ERA))
    }

    pub(crate) fn committed(&self, committed: Committed) -> Committed {
        match committed {
            Committed::Done(revision) => Committed::Done(self.outside(revision)),
            Committed::Conflict => Committed::Conflict,
        }
    }
}
