//! Munits: each by itself, beside what it holds, and beside the rooms of its stations.

use std::collections::BTreeMap;

use super::{Finding, ORPHAN_AFTER, SILENT_AFTER, UNHELD_AFTER};
use crate::id::{MunitId, RoomId, StationId};
use crate::munit::{BEAT_MISSING_MAX, Record, STATIONS_MAX};
use crate::signal::Holding;
use crate::store::{Loaded, LoadedMunit};
use crate::time::Timestamp;

/// What is wrong with a munit, as read and by what it says that it holds, if it was asked.
pub fn of_munit(
    now: Timestamp,
    id: &MunitId,
    munit: &LoadedMunit,
    held: Option<&BTreeMap<StationId, Holding>>,
) -> Vec<Finding> {
    let Some(record) = &munit.record else { return Vec::new() };
    let munit_id = || id.clone();
    let mut found = Vec::new();
    let silent = now.since(record.heard_at(munit.beat.as_ref()));
    if silent > SILENT_AFTER && !record.lost {
        found.push(Finding::SilentMunit { munit: munit_id() });
    }
    if record.lost && !record.stations.is_empty() {
        found.push(Finding::LostMunit { munit: munit_id() });
    }
    if record.stations.len() > record.capacity.stations.min(STATIONS_MAX) {
        found.push(Finding::OverfullMunit { munit: munit_id() });
    }
    let foreign = record.stations.keys().filter(|station| station.munit().as_ref() != Some(id));
    found.extend(
        foreign.map(|station| Finding::ForeignStation { munit: munit_id(), station: station.clone() }),
    );
    // Of one that is not heard, and of one that has been given up, nothing is expected.
    if let Some(held) = held.filter(|_| silent <= BEAT_MISSING_MAX && !record.lost) {
        found.extend(beside_held(now, id, record, held));
    }
    found
}

/// A munit's record beside what it holds.
fn beside_held(
    now: Timestamp,
    id: &MunitId,
    record: &Record,
    held: &BTreeMap<StationId, Holding>,
) -> Vec<Finding> {
    let is_held = |station: &StationId| held.get(station).is_some_and(is_really);
    let unheld = record.stations.iter().filter(|(station, assigned)| {
        let is_own = station.munit().as_ref() == Some(id);
        is_own && now.since(assigned.at) > UNHELD_AFTER && !is_held(station)
    });
    let unheld =
        unheld.map(|(station, _)| Finding::UnheldStation { munit: id.clone(), station: station.clone() });
    let unrecorded = held.keys().filter(|station| !record.stations.contains_key(station));
    let unrecorded =
        unrecorded.map(|station| Finding::UnrecordedStation { munit: id.clone(), station: station.clone() });
    unheld.chain(unrecorded).collect()
}

/// Whether the regulator knows the station, and its Janus has it, as far as that one was asked.
fn is_really(holding: &Holding) -> bool {
    holding.of.is_some() && holding.made != Some(false)
}

/// What is wrong with a munit's stations by their rooms; those whose rooms were not read are not judged.
pub fn of_stations(
    now: Timestamp,
    id: &MunitId,
    munit: &LoadedMunit,
    rooms: &BTreeMap<RoomId, Loaded>,
) -> Vec<Finding> {
    let stations = munit.record.iter().flat_map(|record| &record.stations);
    let judged = stations.filter_map(|(station, assigned)| {
        let room = rooms.get(&assigned.room)?;
        let publisher = room.record.as_ref().and_then(|room| room.publisher_on(station));
        let (munit, station, room) = (id.clone(), station.clone(), assigned.room.clone());
        match publisher {
            None if now.since(assigned.at) > ORPHAN_AFTER => {
                Some(Finding::OrphanStation { munit, station, room })
            }
            Some(publisher) if publisher.user != assigned.user => {
                let user = publisher.user.clone();
                Some(Finding::DisputedStation { munit, station, room, user })
            }
            None | Some(_) => None,
        }
    });
    judged.collect()
}
