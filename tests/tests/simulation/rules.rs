//! What must hold of every record that is committed, at every moment.

use std::collections::BTreeSet;

use mobz_core::id::{MunitId, RoomId};
use mobz_core::munit::{self, Wanted};
use mobz_core::room::{self, M2M_PUBLISHERS_MAX, M2M_VIEWERS_MAX, ParticipantType};

use crate::log::wrong;

/// Limits hold, no two publishers share a station, versions only rise.
pub(crate) fn room(id: &RoomId, before: Option<&room::Record>, after: Option<&room::Record>) {
    let Some(record) = after else { return };
    let everyone = || record.participants.values();
    let publishers = everyone().filter(|there| there.participant_type == ParticipantType::Publisher).count();
    let viewers = record.participants.len() - publishers;
    if publishers > M2M_PUBLISHERS_MAX || viewers > M2M_VIEWERS_MAX {
        wrong(format!("room {id} has {publishers} publishers and {viewers} viewers"));
    }
    let mut stations = BTreeSet::new();
    for station in everyone().flat_map(|there| there.stations()) {
        if !stations.insert(station) {
            wrong(format!("room {id} names station {station} twice"));
        }
    }
    if let Some(before) = before
        && before.created_at == record.created_at
        && before.version > record.version
    {
        wrong(format!("room {id} went back from version {} to {}", before.version, record.version));
    }
}

/// It has stations of its own only, no more than fit; a new one only while it is active.
pub(crate) fn munit(id: &MunitId, before: Option<&munit::Record>, after: Option<&munit::Record>) {
    let Some(record) = after else { return };
    for station in record.stations.keys() {
        if station.munit().as_ref() != Some(id) {
            wrong(format!("munit {id} has station {station} of another"));
        }
    }
    if record.stations.len() > record.capacity.stations {
        wrong(format!("munit {id} has {} of {} stations", record.stations.len(), record.capacity.stations));
    }
    let Some(before) = before else { return };
    let takes = matches!(before.wanted, Wanted::Active) && !before.lost;
    for station in record.stations.keys().filter(|station| !before.stations.contains_key(*station)) {
        if !takes {
            wrong(format!(
                "munit {id} is given {station} while it is {:?}, lost {}",
                before.wanted, before.lost
            ));
        }
    }
}
