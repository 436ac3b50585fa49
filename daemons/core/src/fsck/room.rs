//! Rooms: each by itself, and beside the munits of its stations.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, OVERDUE_AFTER};
use crate::id::{MunitId, NodeId, RoomId, StationId};
use crate::room::{Mode, Participant, ParticipantType, Record};
use crate::store::{Loaded, LoadedMunit};
use crate::time::Timestamp;

/// What is wrong with a room, as read, with the munits that its stations are on (those that were not read
/// are not judged) and the nodes that are gone.
pub fn of_room(
    now: Timestamp,
    id: &RoomId,
    room: &Loaded,
    munits: &BTreeMap<MunitId, LoadedMunit>,
    gone: &BTreeSet<NodeId>,
) -> Vec<Finding> {
    let Some(record) = &room.record else { return Vec::new() };
    let room_id = || id.clone();
    if record.participants.is_empty() && room.audience.count == 0 {
        return vec![Finding::EmptyRoom { room: room_id() }];
    }
    let mut found = Vec::new();
    if is_overfull(record) {
        found.push(Finding::OverfullRoom { room: room_id() });
    }
    // Of an audience nobody is listed: its owner may be one of it.
    if record.mode != Mode::P2m && !record.participants.contains_key(&record.owner) {
        found.push(Finding::OwnerlessRoom { room: room_id() });
    }
    let due = everyone(record).filter_map(Participant::due).chain(room.audience.due).min();
    if due.is_some_and(|due| now.since(due) > OVERDUE_AFTER) {
        found.push(Finding::OverdueRoom { room: room_id() });
    }
    found.extend(
        nodes_of(room)
            .into_iter()
            .filter(|node| gone.contains(node))
            .map(|node| Finding::StrandedRoom { room: room_id(), node }),
    );
    let mut owned: BTreeSet<&StationId> = BTreeSet::new();
    for (publisher, station) in
        everyone(record).flat_map(|there| there.stations().map(move |its| (there, its)))
    {
        let (room, user) = (room_id(), publisher.user.clone());
        if owned.insert(station) {
            found.extend(of_station(room, publisher, station, munits));
        } else {
            found.push(Finding::SharedStation { station: station.clone(), room, user });
        }
    }
    found
}

/// The nodes that hold participants of the room which are not away.
pub fn nodes_of(room: &Loaded) -> BTreeSet<NodeId> {
    let listed = room.record.iter().flat_map(|record| everyone(record));
    let listed = listed.filter(|there| !there.is_away()).map(|there| there.address.node.clone());
    listed.chain(room.audience_nodes.iter().cloned()).collect()
}

fn everyone(record: &Record) -> impl Iterator<Item = &Participant> {
    record.participants.values().map(AsRef::as_ref)
}

fn is_overfull(record: &Record) -> bool {
    let publishers =
        everyone(record).filter(|there| there.participant_type == ParticipantType::Publisher).count();
    let viewers = record.participants.len() - publishers;
    // The viewers of a p2m room are its audience, of which there may be any number.
    publishers > record.mode.publishers_max() || record.mode.viewers_max().is_some_and(|max| viewers > max)
}

fn of_station(
    room: RoomId,
    publisher: &Participant,
    station: &StationId,
    munits: &BTreeMap<MunitId, LoadedMunit>,
) -> Option<Finding> {
    let (station_id, user) = (station.clone(), publisher.user.clone());
    let Some(munit) = station.munit() else {
        return Some(Finding::NowhereStation { station: station_id, room, user });
    };
    let loaded = munits.get(&munit)?;
    match &loaded.record {
        None => Some(Finding::NowhereStation { station: station_id, room, user }),
        Some(record) if record.stations.contains_key(station) => None,
        Some(_) => Some(Finding::MissingStation { munit, station: station_id, room, user }),
    }
}
