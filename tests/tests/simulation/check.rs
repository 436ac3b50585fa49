//! What must hold once all is mended and quiet: records, munits, Janus and clients say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{self, BEAT_MISSING_MAX};
use mobz_core::room::{self, Participant, ParticipantType};
use mobz_core::store::{Asked, LoadedMunit, Munits as _, Rooms as _};
use mobz_regulator::opaque::Role;
use mobz_runtime::clock;
use mobz_runtime::control::Control;

use crate::client::Client;
use crate::mind::Media as _;
use crate::story::shall_be_empty;
use crate::world::World;

/// The records as they are.
struct Seen<'w> {
    world: &'w World,
    rooms: Vec<Arc<room::Record>>,
    munits: BTreeMap<MunitId, (Arc<munit::Record>, LoadedMunit)>,
    wrong: Vec<String>,
}

/// All that is not as it should be: what is seen here, and what `mobzctl fsck` finds.
pub(crate) async fn quiet(world: &World) -> Vec<String> {
    let wrong = look(world).await;
    if wrong.is_empty() { fsck(world).await } else { wrong }
}

/// What an operator's `fsck` finds, by the very code of its control API.
pub(crate) async fn fsck(world: &World) -> Vec<String> {
    let control = Control::new(world.operator.clone());
    let (mut wrong, mut cursor) = (Vec::new(), None);
    loop {
        match control.fsck(false, cursor.as_deref()).await {
            Ok(page) => {
                wrong.extend(page.findings.into_iter().map(|found| format!("fsck: {}", found.message)));
                cursor = page.cursor;
                if cursor.is_none() {
                    return wrong;
                }
            }
            Err(error) => return vec![format!("fsck cannot look: {error}")],
        }
    }
}

async fn look(world: &World) -> Vec<String> {
    let data = world.redis.data().store;
    let mut seen = Seen { world, rooms: Vec::new(), munits: BTreeMap::new(), wrong: Vec::new() };
    for room in data.list(None, 1000).await.unwrap().rooms {
        seen.rooms.extend(data.load(&room, Asked::Users(Vec::new())).await.unwrap().record);
    }
    for munit in data.list_munits(None, 1000).await.unwrap().munits {
        let loaded = data.load_munit(&munit).await.unwrap();
        if let Some(record) = loaded.record.clone() {
            seen.munits.insert(munit, (record, loaded));
        }
    }
    seen.munits_have_what_their_records_say();
    seen.participants_are_there();
    seen.publishers_are_placed();
    seen.clients_know();
    seen.media_flow();
    seen.wrong
}

impl Seen<'_> {
    fn room(&self, client: &Client) -> Option<&Arc<room::Record>> {
        self.rooms.iter().find(|record| record.room == client.room)
    }

    fn clients(&self) -> Vec<Arc<Client>> {
        self.world.present()
    }

    /// No station without a room, none without its munit, nothing left in Janus.
    fn munits_have_what_their_records_say(&mut self) {
        let named: BTreeMap<StationId, (RoomId, UserId)> = self
            .rooms
            .iter()
            .flat_map(|record| {
                let stations = record.participants.values().flat_map(|there| {
                    there.stations().map(|station| (station.clone(), there.user.clone())).collect::<Vec<_>>()
                });
                stations.map(|(station, user)| (station, (record.room.clone(), user)))
            })
            .collect();
        let mut wrong = Vec::new();
        for (station, (room, user)) in &named {
            let assigned = station.munit().and_then(|munit| self.munits.get(&munit)?.0.stations.get(station));
            if !assigned.is_some_and(|assigned| assigned.room == *room && assigned.user == *user) {
                wrong.push(format!("{user} of {room} has station {station}, and its munit has not"));
            }
        }
        for (munit, (record, _)) in &self.munits {
            let orphans = record.stations.keys().filter(|station| !named.contains_key(*station));
            wrong.extend(orphans.map(|orphan| format!("munit {munit} has {orphan}, which no room names")));
            if shall_be_empty(&record.wanted) && !record.stations.is_empty() && self.free() > 0 {
                wrong.push(format!("munit {munit} is {:?} and has {:?}", record.wanted, record.stations));
            }
        }
        for (munit, machine) in &self.world.machines {
            let rooms = machine.janus.rooms();
            let wanted: BTreeSet<StationId> = self
                .munits
                .get(munit)
                .into_iter()
                .flat_map(|(record, _)| record.stations.keys().cloned())
                .collect();
            if rooms != wanted && machine.janus.is_there() {
                wrong.push(format!("janus of {munit} has {rooms:?} and should have {wanted:?}"));
            }
        }
        self.wrong.extend(wrong);
    }

    /// Nobody is in a record who is not there, and nobody there who is in no record.
    fn participants_are_there(&mut self) {
        let clients = self.clients();
        let mut wrong = Vec::new();
        for record in &self.rooms {
            for there in record.participants.values() {
                let is_it = |client: &&Arc<Client>| {
                    let seat = client.seat.lock().unwrap();
                    client.room == record.room && seat.as_ref() == Some(&there.address)
                };
                let found = clients.iter().filter(|client| client.user == there.user).find(is_it);
                if there.is_away() || found.is_none() {
                    wrong.push(format!("{} is in {} and not there", there.user, record.room));
                }
                if there.previous.is_some() {
                    wrong.push(format!("{} of {} still moves", there.user, record.room));
                }
            }
        }
        for client in &clients {
            let seat = client.seat.lock().unwrap().clone();
            let record = self.room(client);
            let there = record.and_then(|record| record.participants.get(&client.user));
            if seat.is_none() || there.map(|there| &there.address) != seat.as_ref() {
                wrong.push(format!("{} should be in {}: {seat:?}, {there:?}", client.user, client.room));
            }
        }
        self.wrong.extend(wrong);
    }

    /// How many more stations can be placed.
    fn free(&self) -> usize {
        let now = clock::now();
        let live = self
            .munits
            .values()
            .filter(|(record, loaded)| now.since(record.heard_at(loaded.beat.as_ref())) <= BEAT_MISSING_MAX);
        live.map(|(record, loaded)| record.free_by(loaded.beat.as_ref())).sum()
    }

    fn publishers_are_placed(&mut self) {
        if self.free() == 0 {
            return;
        }
        let everyone = self.rooms.iter().flat_map(|record| record.participants.values());
        let publishes = |there: &&Arc<Participant>| there.participant_type == ParticipantType::Publisher;
        let unplaced = everyone.filter(publishes).filter(|there| there.station.is_none());
        let unplaced: Vec<String> = unplaced.map(|there| format!("{} has no station", there.user)).collect();
        self.wrong.extend(unplaced);
    }

    /// Every client knows the room as it is.
    fn clients_know(&mut self) {
        for client in self.clients() {
            let Some(record) = self.room(&client).cloned() else { continue };
            let mind = client.mind.lock().unwrap();
            let kind = |there: &Participant| match there.participant_type {
                ParticipantType::Publisher => "publisher".to_owned(),
                ParticipantType::Viewer => "viewer".to_owned(),
            };
            let everyone = record.participants.iter();
            let participants: BTreeMap<String, String> =
                everyone.map(|(user, there)| (user.to_string(), kind(there))).collect();
            let publishers = record.participants.iter();
            let publishers =
                publishers.filter(|(_, there)| there.participant_type == ParticipantType::Publisher);
            let publishers: BTreeMap<String, Option<String>> = publishers
                .map(|(user, there)| (user.to_string(), there.station.as_ref().map(ToString::to_string)))
                .collect();
            if mind.version != record.version
                || mind.participants != participants
                || mind.publishers != publishers
                || mind.owner != record.owner.as_str()
            {
                self.wrong.push(format!(
                    "{} believes version {} {:?} {:?} {}; {} is at {} {participants:?} {publishers:?} {}",
                    client.user,
                    mind.version,
                    mind.participants,
                    mind.publishers,
                    mind.owner,
                    client.room,
                    record.version,
                    record.owner,
                ));
            }
        }
    }

    /// Every publisher's media flow on its station, and to everybody else in the room; nothing else flows.
    fn media_flow(&mut self) {
        let mut flows = BTreeSet::new();
        for client in self.clients() {
            let Some(record) = self.room(&client).cloned() else { continue };
            let mind = client.mind.lock().unwrap();
            for there in record.participants.values() {
                let Some(station) = &there.station else { continue };
                let link = if there.user == client.user {
                    mind.sends.as_ref().filter(|(its, _)| its == station.as_str()).map(|(_, link)| link)
                } else {
                    mind.watches.get(station.as_str()).and_then(|watch| watch.link())
                };
                match link.filter(|link| self.world.is_up(&link.peer)) {
                    Some(link) => drop(flows.insert(link.peer.clone())),
                    None => self.wrong.push(format!(
                        "no media of {} on {station} for {}: {:?}",
                        there.user,
                        client.user,
                        link.map(|link| &link.peer)
                    )),
                }
            }
        }
        for machine in self.world.machines.values() {
            for (peer, opaque, _) in machine.janus.handles() {
                if !flows.contains(&peer) {
                    let whose = if opaque.role == Role::Publisher { "publishes" } else { "watches" };
                    self.wrong
                        .push(format!("{} {whose} {} over {peer:?} for nobody", opaque.user, opaque.station));
                }
            }
        }
    }
}
