//! Checking what is kept against what munits hold, page by page, and mending it.
//!
//! First all munits, each with the rooms of its stations; then all rooms, each with the munits of its
//! stations. Never more than a few records are in memory. A finding counts once it stands at a second look,
//! and is mended once it does not stand at a further one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mobz_core::fsck::{Finding, Repair, nodes_of, of_munit, of_room, of_stations};
use mobz_core::id::{MunitId, NodeId, RoomId, StationId};
use mobz_core::munit::{BEAT_INTERVAL, BEAT_MISSING_MAX, Input as MunitInput};
use mobz_core::room::{Input, M2M_PUBLISHERS_MAX};
use mobz_core::signal::{Detail, Holding, MunitSignal};
use mobz_core::store::{Asked, Loaded, LoadedMunit, StoreError};
use serde::{Deserialize, Serialize};

use super::munits::READS_AT_ONCE;
use super::reports::Reports;
use super::{Control, ControlError};
use crate::clock;

/// The most munits of one page.
const MUNITS_MAX: usize = 8;
/// The most rooms of one page.
const ROOMS_MAX: usize = 256;
/// How many rooms are in memory at once, with the munits of their stations.
const ROOMS_AT_ONCE: usize = 16;
/// The pause before the second look: a munit whose record is gone writes it back with its next heartbeat.
const SECOND_LOOK: Duration = BEAT_INTERVAL.saturating_add(Duration::from_millis(500));
/// How often a finding that was mended is looked at until it is gone; then it counts as left.
const LOOKS_MAX: usize = 10;
/// The pause between two of these looks.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// One page of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FsckPage {
    /// How many munits were looked at.
    pub munits: usize,
    /// How many stations on their records.
    pub stations: usize,
    /// How many rooms were looked at.
    pub rooms: usize,
    /// What was wrong.
    pub findings: Vec<Found>,
    /// Where to go on; `null` at the end.
    pub cursor: Option<String>,
}

/// Something that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What.
    #[serde(flatten)]
    pub finding: Finding,
    /// The same, for people.
    pub message: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What people can do about it, where a repair does nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Only looked at; a repair would mend it.
    Found,
    /// Mended.
    Mended,
    /// Nothing here mends it, or it stands although it was tried.
    Left,
}

/// Where a check goes on.
enum Cursor {
    Munits(Option<String>),
    Rooms(Option<String>),
}

/// What was looked at.
#[derive(Default)]
struct Looked {
    munits: usize,
    stations: usize,
    rooms: usize,
    findings: BTreeSet<Finding>,
}

/// What munits hold, as far as they say.
type Held = BTreeMap<MunitId, Option<BTreeMap<StationId, Holding>>>;

impl Cursor {
    /// Reads what [`Cursor::encode`] wrote; `None` for anything else.
    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let rest = (!rest.is_empty()).then(|| rest.to_owned());
        match kind {
            "munits" => Some(Self::Munits(rest)),
            "rooms" => Some(Self::Rooms(rest)),
            _ => None,
        }
    }

    fn encode(&self) -> String {
        let (kind, rest) = match self {
            Self::Munits(rest) => ("munits", rest),
            Self::Rooms(rest) => ("rooms", rest),
        };
        format!("{kind}/{}", rest.as_deref().unwrap_or_default())
    }
}

impl Control {
    /// Checks a page, and mends what is found if `repair` says so. A cursor that this API did not give is the
    /// end.
    ///
    /// # Errors
    /// When the store fails; what was mended by then stays so.
    pub async fn fsck(&self, repair: bool, cursor: Option<&str>) -> Result<FsckPage, ControlError> {
        let Some(at) = cursor.map_or(Some(Cursor::Munits(None)), Cursor::decode) else {
            let findings = Vec::new();
            return Ok(FsckPage { munits: 0, stations: 0, rooms: 0, findings, cursor: None });
        };
        let mut reports = Reports::open(self.node.store()).await?;
        let (looked, next) = match at {
            Cursor::Munits(cursor) => self.look_at_munits(&mut reports, cursor).await?,
            Cursor::Rooms(cursor) => {
                let page = self.node.store().list(cursor.as_deref(), ROOMS_MAX).await?;
                let looked = self.look_at_rooms(&page.rooms).await?;
                (looked, page.cursor.map(|cursor| Cursor::Rooms(Some(cursor))))
            }
        };
        let Looked { munits, stations, rooms, findings } = looked;
        let findings = self.see_to(&mut reports, findings, repair).await?;
        Ok(FsckPage { munits, stations, rooms, findings, cursor: next.map(|next| next.encode()) })
    }

    /// Looks at findings a second time, and mends those that stand where that is asked for.
    async fn see_to(
        &self,
        reports: &mut Reports,
        findings: BTreeSet<Finding>,
        repair: bool,
    ) -> Result<Vec<Found>, ControlError> {
        if findings.is_empty() {
            return Ok(Vec::new());
        }
        tokio::time::sleep(SECOND_LOOK).await;
        let standing = self.look_again(reports, &findings).await?;
        if !repair {
            return Ok(standing.into_iter().map(|finding| Found::new(finding, Outcome::Found)).collect());
        }
        let repairs: BTreeSet<Repair> = standing.iter().filter_map(Finding::repair).collect();
        for repair in &repairs {
            self.mend(repair).await?;
        }
        let (mended, mut left): (BTreeSet<_>, BTreeSet<_>) =
            standing.iter().cloned().partition(|finding| finding.repair().is_some());
        let mut waited_for = mended;
        for _ in 0..LOOKS_MAX {
            waited_for = self.look_again(reports, &waited_for).await?;
            if waited_for.is_empty() {
                break;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        left.extend(waited_for);
        let outcome =
            |finding: &Finding| if left.contains(finding) { Outcome::Left } else { Outcome::Mended };
        Ok(standing.into_iter().map(|finding| Found::new(finding.clone(), outcome(&finding))).collect())
    }

    /// Those of the findings that stand.
    async fn look_again(
        &self,
        reports: &mut Reports,
        findings: &BTreeSet<Finding>,
    ) -> Result<BTreeSet<Finding>, ControlError> {
        let (mut munits, mut rooms) = (BTreeSet::new(), BTreeSet::new());
        for finding in findings {
            match subject(finding) {
                Subject::Munit(munit) => drop(munits.insert(munit.clone())),
                Subject::Room(room) => drop(rooms.insert(room.clone())),
            }
        }
        let mut found = BTreeSet::new();
        for munit in &munits {
            let mut held = reports.of_munits(vec![munit.clone()], Detail::Rooms).await?;
            let mut looked = Looked::default();
            self.look_at_munit(munit, held.remove(munit).flatten().as_ref(), &mut looked).await?;
            found.extend(looked.findings);
        }
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        found.extend(self.look_at_rooms(&rooms).await?.findings);
        Ok(findings.intersection(&found).cloned().collect())
    }

    async fn look_at_munits(
        &self,
        reports: &mut Reports,
        cursor: Option<String>,
    ) -> Result<(Looked, Option<Cursor>), ControlError> {
        let mut looked = Looked::default();
        let page = self.node.store().list_munits(cursor.as_deref(), MUNITS_MAX).await?;
        let held: Held = reports.of_munits(page.munits.clone(), Detail::Rooms).await?;
        for munit in &page.munits {
            let held = held.get(munit).and_then(Option::as_ref);
            self.look_at_munit(munit, held, &mut looked).await?;
        }
        let next = page.cursor.map_or(Cursor::Rooms(None), |cursor| Cursor::Munits(Some(cursor)));
        Ok((looked, Some(next)))
    }

    /// Looks at one munit, with the rooms of its stations.
    async fn look_at_munit(
        &self,
        id: &MunitId,
        held: Option<&BTreeMap<StationId, Holding>>,
        looked: &mut Looked,
    ) -> Result<(), ControlError> {
        looked.munits += 1;
        let Some(munit) = readable(self.node.store().load_munit(id).await)? else {
            looked.findings.insert(Finding::UnreadableMunit { munit: id.clone() });
            return Ok(());
        };
        let Some(record) = munit.record.clone() else { return Ok(()) };
        let now = clock::now();
        let is_heard = now.since(record.heard_at(munit.beat.as_ref())) <= BEAT_MISSING_MAX;
        if is_heard && !record.lost && held.is_none() {
            looked.findings.insert(Finding::MuteMunit { munit: id.clone() });
        }
        looked.findings.extend(of_munit(now, id, &munit, held));
        looked.stations += record.stations.len();
        let named: BTreeSet<&RoomId> = record.stations.values().map(|assigned| &assigned.room).collect();
        let named: Vec<RoomId> = named.into_iter().cloned().collect();
        for named in named.chunks(ROOMS_AT_ONCE) {
            let rooms = self.read_rooms(named).await?;
            let rooms = rooms.into_iter().filter_map(|(id, room)| Some((id, room?))).collect();
            looked.findings.extend(of_stations(clock::now(), id, &munit, &rooms));
        }
        Ok(())
    }

    /// Looks at rooms, with the munits of their stations.
    async fn look_at_rooms(&self, ids: &[RoomId]) -> Result<Looked, ControlError> {
        let mut looked = Looked::default();
        let mut gone: BTreeMap<NodeId, bool> = BTreeMap::new();
        for ids in ids.chunks(ROOMS_AT_ONCE) {
            let rooms = self.read_rooms(ids).await?;
            // The munits after the rooms: a station is on its munit's record before its room names it.
            let stations = rooms.values().flatten().filter_map(|room| room.record.as_ref());
            let stations = stations.flat_map(|room| room.participants.values());
            let munits: BTreeSet<MunitId> =
                stations.flat_map(|there| there.stations()).filter_map(StationId::munit).collect();
            let munits = self.read_munits(munits).await?;
            for node in rooms.values().flatten().flat_map(nodes_of) {
                if let Entry::Vacant(unknown) = gone.entry(node) {
                    let is_gone = !self.node.is_heard(unknown.key(), &ids[0]).await?;
                    unknown.insert(is_gone);
                }
            }
            let gone = gone.iter().filter(|(_, is_gone)| **is_gone).map(|(node, _)| node.clone()).collect();
            for (id, room) in rooms {
                looked.rooms += 1;
                match room {
                    Some(room) => looked.findings.extend(of_room(clock::now(), &id, &room, &munits, &gone)),
                    None => drop(looked.findings.insert(Finding::UnreadableRoom { room: id })),
                }
            }
        }
        Ok(looked)
    }

    /// Rooms as they are; `None` for one that cannot be read.
    async fn read_rooms(&self, ids: &[RoomId]) -> Result<BTreeMap<RoomId, Option<Loaded>>, ControlError> {
        let reads = ids.iter().cloned().map(|id| async move {
            let loaded = readable(self.node.store().load(&id, Asked::Users(Vec::new())).await)?;
            Ok::<_, StoreError>((id, loaded))
        });
        let reads: Vec<_> = reads.collect();
        Ok(stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?)
    }

    /// Munits as they are; those that cannot be read are left out.
    async fn read_munits(
        &self,
        ids: BTreeSet<MunitId>,
    ) -> Result<BTreeMap<MunitId, LoadedMunit>, ControlError> {
        let reads = ids.into_iter().map(|id| async move {
            let loaded = readable(self.node.store().load_munit(&id).await)?;
            Ok::<_, StoreError>(loaded.map(|loaded| (id, loaded)))
        });
        let reads: Vec<_> = reads.collect();
        let read: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn mend(&self, repair: &Repair) -> Result<(), ControlError> {
        tracing::info!(?repair, "mending");
        match repair.clone() {
            Repair::Unassign { munit, station } => {
                let done = self.node.change_munit(&munit, MunitInput::Unassign(station.clone())).await?;
                done.map_err(ControlError::Refused)?;
                self.node.wake_munit(&munit, MunitSignal::Unassign { station }).await;
            }
            Repair::Lose { room, station } => {
                // Several may have it; each is told.
                for _ in 0..M2M_PUBLISHERS_MAX {
                    let record = self.room_record(&room).await?;
                    if record.and_then(|record| record.publisher_on(&station).map(drop)).is_none() {
                        break;
                    }
                    let lost = Input::StationLost { station: station.clone(), retry: true };
                    self.node.submit(&room, lost).await?;
                }
            }
            Repair::GiveUp(munit) => self.node.give_up_silent_munit(&munit).await?,
            Repair::Wake(munit) => self.node.wake_munit(&munit, MunitSignal::Reconcile).await,
            Repair::Look(room) => drop(self.node.submit(&room, Input::Due).await?),
            Repair::Away { room, node } => self.node.lose(&node, &room).await?,
        }
        Ok(())
    }
}

impl Found {
    fn new(finding: Finding, outcome: Outcome) -> Self {
        let outcome = if finding.repair().is_none() { Outcome::Left } else { outcome };
        let (message, advice) = (finding.to_string(), finding.advice().map(str::to_owned));
        Self { finding, message, outcome, advice }
    }
}

/// What was looked at when a finding was found.
enum Subject<'a> {
    Munit(&'a MunitId),
    Room(&'a RoomId),
}

fn subject(finding: &Finding) -> Subject<'_> {
    match finding {
        Finding::OrphanStation { munit, .. }
        | Finding::ForeignStation { munit, .. }
        | Finding::DisputedStation { munit, .. }
        | Finding::UnheldStation { munit, .. }
        | Finding::UnrecordedStation { munit, .. }
        | Finding::SilentMunit { munit }
        | Finding::LostMunit { munit }
        | Finding::OverfullMunit { munit }
        | Finding::MuteMunit { munit }
        | Finding::UnreadableMunit { munit } => Subject::Munit(munit),
        Finding::MissingStation { room, .. }
        | Finding::NowhereStation { room, .. }
        | Finding::SharedStation { room, .. }
        | Finding::OverfullRoom { room }
        | Finding::OwnerlessRoom { room }
        | Finding::EmptyRoom { room }
        | Finding::OverdueRoom { room }
        | Finding::StrandedRoom { room, .. }
        | Finding::UnreadableRoom { room } => Subject::Room(room),
    }
}

/// What was read; `None` where it cannot be understood.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error @ StoreError::Unreachable { .. }) => Err(error),
    }
}
