//! Mistakes that are made on purpose, each to show that a rule would catch it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mobz_core::id::StationId;
use mobz_core::munit::{Record as Munit, Wanted};
use mobz_core::placement::Candidate;
use mobz_core::room::{ParticipantType, Record as Room};
use mobz_core::store::{LoadedMunit, RecordChange};

use crate::life::Life;

/// How many more stations munits seem to take.
const HIDDEN: usize = 3;

/// A mistake of the store, of the bus or of a Janus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Rooms are committed although they were decided on an older state.
    NoCompare,
    /// Who has left a room stays on record.
    KeepsParticipants,
    /// Two publishers have one station.
    DoublesStations,
    /// Of a room's publishers, one looks like a viewer to who decides.
    HidesPublishers,
    /// A station that was taken off a munit's record is still on it.
    KeepsStations,
    /// A munit has a station of another.
    StraysStations,
    /// A munit looks larger than it is to who decides.
    HidesLimits,
    /// A draining or stopped munit looks active to who decides.
    HidesDrains,
    /// A draining or stopped munit looks active to its regulator.
    KeepsDrainsSecret,
    /// No munit is offered to who looks for one.
    HidesMunits,
    /// What nodes tell each other is lost, and nobody hears that something is.
    LosesNews,
    /// A Janus does not destroy rooms.
    KeepsRooms,
    /// Media begin to flow nowhere.
    BlocksMedia,
}

impl Mistake {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::NoCompare,
        Self::KeepsParticipants,
        Self::DoublesStations,
        Self::HidesPublishers,
        Self::KeepsStations,
        Self::StraysStations,
        Self::HidesLimits,
        Self::HidesDrains,
        Self::KeepsDrainsSecret,
        Self::HidesMunits,
        Self::LosesNews,
        Self::KeepsRooms,
        Self::BlocksMedia,
    ];

    /// What the rules that it breaks say, one of each.
    pub(crate) fn is_told(self) -> &'static [&'static str] {
        match self {
            Self::NoCompare => &["went back from version"],
            Self::KeepsParticipants => &["and not there"],
            Self::DoublesStations => &["names station"],
            Self::HidesPublishers => &["publishers and"],
            Self::KeepsStations => &["which no room names", "fsck: "],
            Self::StraysStations => &["of another"],
            Self::HidesLimits => &[" stations"],
            Self::HidesDrains => &["is given"],
            Self::KeepsDrainsSecret => &["and has {"],
            Self::HidesMunits => &["has no station"],
            Self::LosesNews => &["believes version"],
            Self::KeepsRooms => &["and should have", "fsck: "],
            Self::BlocksMedia => &["no media of"],
        }
    }

    /// How a room looks to who decides.
    pub(crate) fn shown_room(self, room: &mut Option<Arc<Room>>) {
        if self != Self::HidesPublishers {
            return;
        }
        let Some(room) = room.as_mut().map(Arc::make_mut) else { return };
        let owner = room.owner.clone();
        let mut others = room.participants.values_mut().filter(|there| there.user != owner);
        let hidden = others.rfind(|there| there.participant_type == ParticipantType::Publisher);
        if let Some(hidden) = hidden {
            Arc::make_mut(hidden).participant_type = ParticipantType::Viewer;
        }
    }

    /// What becomes of a room instead of what was decided.
    pub(crate) fn kept_room(self, before: Option<&Arc<Room>>, change: &mut RecordChange) {
        let (Some(before), RecordChange::Put(after)) = (before, change) else { return };
        let after = Arc::make_mut(after);
        match self {
            Self::KeepsParticipants => {
                for (user, there) in &before.participants {
                    after.participants.entry(user.clone()).or_insert_with(|| there.clone());
                }
            }
            Self::HidesPublishers => {
                for (user, there) in &before.participants {
                    if there.participant_type == ParticipantType::Publisher
                        && let Some(now) = after.participants.get_mut(user)
                    {
                        Arc::make_mut(now).participant_type = ParticipantType::Publisher;
                    }
                }
            }
            Self::DoublesStations => {
                let station = after.participants.values().find_map(|there| there.station.clone());
                if let Some(other) = after.participants.values_mut().find(|there| there.station.is_none()) {
                    Arc::make_mut(other).station = station;
                }
            }
            Self::NoCompare
            | Self::KeepsStations
            | Self::StraysStations
            | Self::HidesLimits
            | Self::HidesDrains
            | Self::KeepsDrainsSecret
            | Self::HidesMunits
            | Self::LosesNews
            | Self::KeepsRooms
            | Self::BlocksMedia => {}
        }
    }

    /// How a munit looks to a process.
    pub(crate) fn shown_munit(self, life: &Life, munit: &mut LoadedMunit) {
        let Some(record) = munit.record.as_mut().map(Arc::make_mut) else { return };
        if self == Self::HidesLimits {
            record.capacity.stations += HIDDEN;
        }
        if self.hides_drain_from(life) && !matches!(record.wanted, Wanted::Active) {
            record.wanted = Wanted::Active;
        }
    }

    /// What becomes of a munit's record instead of what was decided.
    pub(crate) fn kept_munit(self, life: &Life, before: &Munit, after: &mut Munit) {
        match self {
            Self::KeepsStations => after
                .stations
                .extend(before.stations.iter().map(|(station, there)| (station.clone(), there.clone()))),
            Self::StraysStations => {
                if let Some(there) = after.stations.values().next().cloned() {
                    after.stations.insert(StationId::on(&"elsewhere".parse().unwrap(), 0), there);
                }
            }
            Self::HidesLimits => after.capacity = before.capacity,
            Self::HidesDrains | Self::KeepsDrainsSecret if self.hides_drain_from(life) => {
                after.wanted = before.wanted.clone();
            }
            Self::HidesDrains
            | Self::KeepsDrainsSecret
            | Self::NoCompare
            | Self::KeepsParticipants
            | Self::DoublesStations
            | Self::HidesPublishers
            | Self::HidesMunits
            | Self::LosesNews
            | Self::KeepsRooms
            | Self::BlocksMedia => {}
        }
    }

    /// The munits that are offered to who looks for one, of `all` with their records.
    pub(crate) fn shown_candidates(self, all: &[Munit], candidates: &mut Vec<Candidate>) {
        match self {
            Self::HidesMunits => candidates.clear(),
            Self::HidesLimits | Self::HidesDrains => {
                let offered: BTreeSet<_> = candidates.iter().map(|offered| offered.munit.clone()).collect();
                let hidden = all.iter().filter(|munit| !offered.contains(&munit.munit));
                candidates.extend(hidden.map(|munit| Candidate { munit: munit.munit.clone(), free: HIDDEN }));
            }
            Self::NoCompare
            | Self::KeepsParticipants
            | Self::DoublesStations
            | Self::HidesPublishers
            | Self::KeepsStations
            | Self::StraysStations
            | Self::KeepsDrainsSecret
            | Self::LosesNews
            | Self::KeepsRooms
            | Self::BlocksMedia => {}
        }
    }

    /// Operators are told as it is.
    fn hides_drain_from(self, life: &Life) -> bool {
        let is_regulator = life.name.starts_with('m');
        (self == Self::HidesDrains && life.name.starts_with('n'))
            || (self == Self::KeepsDrainsSecret && is_regulator)
    }
}
