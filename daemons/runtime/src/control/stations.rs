//! What an operator can do with stations: see them, move one to another munit, unassign one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mobz_core::fsck::ORPHAN_AFTER;
use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::munit::{Assigned, Record, State};
use mobz_core::room::{Input, Record as Room};
use mobz_core::signal::{Code, Detail, Media, Refusal};
use mobz_core::store::{Asked, LoadedMunit};
use mobz_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::munits::READS_AT_ONCE;
use super::reports::Reports;
use super::{Control, ControlError, PAGE_MAX, PAGE_USUAL};
use crate::clock;

/// One line of a station list (OPERATIONS.md, `station list`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct StationLine {
    pub station: StationId,
    pub room: RoomId,
    pub user: UserId,
    pub munit: MunitId,
    pub state: StationState,
    /// How many watch it; `null` where its munit does not say.
    pub viewers: Option<u64>,
}

/// A station in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationInspected {
    /// As in a list.
    #[serde(flatten)]
    pub line: StationLine,
    /// How its media fare; `null` where nothing is published, or its munit does not say.
    pub media: Option<Media>,
}

/// How a station stands, as the records and its munit's heartbeat tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StationState {
    /// Its munit does not say yet that it is ready, or its room does not name it yet.
    Starting,
    /// Its room names it, and its munit is ready.
    Active,
    /// As active, and its munit takes no new one.
    Draining,
    /// Its publisher has another by now, and it runs until that one has taken over.
    Moving,
    /// No room names it: it goes by itself, or by `mobzctl fsck --repair`.
    Orphan,
    /// Its munit is not heard of any more.
    Lost,
}

/// One page of a station list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StationList {
    /// The stations.
    pub stations: Vec<StationLine>,
    /// Where to go on; `null` at the end.
    pub cursor: Option<String>,
}

/// Where a list goes on: the munits not shown yet, and of the first of them the station last shown.
struct Cursor {
    munits: Option<String>,
    after: Option<StationId>,
}

impl Cursor {
    /// Reads what [`Cursor::encode`] wrote; `None` for anything else.
    fn decode(text: &str) -> Option<Self> {
        let (munits, after) = text.rsplit_once('/')?;
        let after = if after.is_empty() { None } else { Some(after.parse().ok()?) };
        Some(Self { munits: (!munits.is_empty()).then(|| munits.to_owned()), after })
    }

    fn encode(&self) -> String {
        let after = self.after.as_ref().map_or("", StationId::as_str);
        format!("{}/{after}", self.munits.as_deref().unwrap_or_default())
    }
}

impl Control {
    /// A page of the stations on munits' records; at most [`PAGE_MAX`] at once. A cursor that this API did not
    /// give is the end.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stations(
        &self,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<StationList, ControlError> {
        let limit = limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
        let start = Cursor { munits: None, after: None };
        let Some(mut at) = cursor.map_or(Some(start), Cursor::decode) else {
            return Ok(StationList { stations: Vec::new(), cursor: None });
        };
        let mut stations = Vec::new();
        let cursor = loop {
            let page = self.node.store().list_munits(at.munits.as_deref(), 1).await?;
            for munit in &page.munits {
                let loaded = self.node.store().load_munit(munit).await?;
                let Some(record) = loaded.record.clone() else { continue };
                let after = at.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                let following = record.stations.range((after, Bound::Unbounded));
                let shown: BTreeMap<_, _> = following.take(limit - stations.len()).collect();
                at.after = shown.keys().next_back().map(|last| (*last).clone());
                stations.extend(self.lines(&record, &loaded, shown).await?);
            }
            match page.cursor {
                _ if stations.len() == limit => break Some(at.encode()),
                Some(next) => at = Cursor { munits: Some(next), after: None },
                None => break None,
            }
        };
        let stations = self.inspected(stations, Detail::Known).await?;
        Ok(StationList { stations: stations.into_iter().map(|station| station.line).collect(), cursor })
    }

    /// One station, with what goes to each of its viewers.
    ///
    /// # Errors
    /// [`ControlError::NoSuchStation`], or when the store fails.
    pub async fn station(&self, station: &StationId) -> Result<StationInspected, ControlError> {
        let line = self.line(station).await?;
        let mut inspected = self.inspected(vec![line], Detail::Viewers).await?;
        inspected.pop().ok_or_else(|| ControlError::NoSuchStation(station.clone()))
    }

    async fn line(&self, station: &StationId) -> Result<StationLine, ControlError> {
        let (record, loaded) = self.munit_of(station).await?;
        let shown = record.stations.get_key_value(station).into_iter().collect();
        let mut lines = self.lines(&record, &loaded, shown).await?;
        lines.pop().ok_or_else(|| ControlError::NoSuchStation(station.clone()))
    }

    /// Moves the publisher of a station to another munit, the one named or the one that placement chooses:
    /// make before break, as that one Offers again. Returns the station it moves to; the same where it is
    /// there already.
    ///
    /// # Errors
    /// [`ControlError::NoSuchStation`], [`ControlError::NoSuchMunit`], [`ControlError::Refused`] where no munit
    /// takes it, or when the store fails.
    pub async fn assign(
        &self,
        station: &StationId,
        to: Option<MunitId>,
    ) -> Result<StationLine, ControlError> {
        let line = self.line(station).await?;
        if to.as_ref() == Some(&line.munit) {
            return Ok(line);
        }
        if let Some(to) = &to {
            self.munit(to).await?;
        }
        let input = Input::Move { station: station.clone(), to: to.clone() };
        match self.node.submit(&line.room, input).await? {
            None => {}
            Some(Code::NoSuchStation | Code::NoSuchRoom) => {
                return Err(ControlError::NoSuchStation(station.clone()));
            }
            Some(code) => {
                let where_to =
                    to.map_or_else(|| "no other munit".to_owned(), |to| format!("munit {to} does not"));
                let message = format!("{where_to} takes station {station} now; see mobzctl munit list");
                return Err(ControlError::Refused(Refusal::new(code, message)));
            }
        }
        let room = self.room_record(&line.room).await?;
        let publisher = room.as_ref().and_then(|room| room.publisher_on(station));
        match publisher.and_then(|publisher| publisher.station.clone()) {
            Some(now) => self.line(&now).await,
            None => Err(ControlError::NoSuchStation(station.clone())),
        }
    }

    /// Takes a station from its munit; its publisher stays in the room without one.
    ///
    /// # Errors
    /// [`ControlError::NoSuchStation`], or when the store fails.
    pub async fn unassign(&self, station: &StationId) -> Result<(), ControlError> {
        let (record, _) = self.munit_of(station).await?;
        let assigned = record.stations.get(station);
        let Some(Assigned { room, .. }) = assigned else {
            return Err(ControlError::NoSuchStation(station.clone()));
        };
        self.node.submit(room, Input::StationLost { station: station.clone(), retry: false }).await?;
        // Where its room does not name it, nobody else does this.
        self.node.unassign(station.clone()).await;
        Ok(())
    }

    /// The stations of a room, as `room inspect` shows them.
    pub(super) async fn stations_of(&self, room: &Room) -> Result<Vec<StationLine>, ControlError> {
        let now = clock::now();
        let named =
            room.participants.values().flat_map(|there| there.stations().map(move |its| (there, its)));
        let named: Vec<_> = named.map(|(there, station)| (there.user.clone(), station.clone())).collect();
        let looks = named.into_iter().filter_map(|(user, station)| Some((user, station.munit()?, station)));
        let looks = looks.map(|(user, munit, station)| async move {
            let loaded = self.node.store().load_munit(&munit).await?;
            let record = loaded.record.as_deref().filter(|record| record.stations.contains_key(&station));
            let state = record.map_or(StationState::Lost, |record| {
                state(
                    record,
                    &loaded,
                    room.publisher_on(&station).is_some_and(|there| there.station.as_ref() != Some(&station)),
                    now,
                )
            });
            Ok(StationLine { station, room: room.room.clone(), user, munit, state, viewers: None })
        });
        stream::iter(looks).buffered(READS_AT_ONCE).try_collect().await
    }

    /// Stations with what their munits say of them.
    pub(super) async fn inspected(
        &self,
        lines: Vec<StationLine>,
        detail: Detail,
    ) -> Result<Vec<StationInspected>, ControlError> {
        let is_asked = |line: &&StationLine| line.state != StationState::Lost;
        let asked: Vec<StationId> = lines.iter().filter(is_asked).map(|line| line.station.clone()).collect();
        let mut held = if asked.is_empty() {
            BTreeMap::new()
        } else {
            Reports::open(self.node.store()).await?.of_stations(asked, detail).await?
        };
        let inspected = lines.into_iter().map(|mut line| {
            let holding = held.remove(&line.station);
            line.viewers = holding.as_ref().map(|holding| holding.viewers as u64);
            StationInspected { line, media: holding.and_then(|holding| holding.media) }
        });
        Ok(inspected.collect())
    }

    async fn munit_of(&self, station: &StationId) -> Result<(Arc<Record>, LoadedMunit), ControlError> {
        let missing = || ControlError::NoSuchStation(station.clone());
        let munit = station.munit().ok_or_else(missing)?;
        let loaded = self.node.store().load_munit(&munit).await?;
        Ok((loaded.record.clone().ok_or_else(missing)?, loaded))
    }

    /// Stations of a munit, each looked up in its room.
    async fn lines(
        &self,
        record: &Record,
        loaded: &LoadedMunit,
        shown: BTreeMap<&StationId, &Assigned>,
    ) -> Result<Vec<StationLine>, ControlError> {
        let mut rooms: BTreeMap<RoomId, Option<Arc<Room>>> =
            shown.values().map(|assigned| (assigned.room.clone(), None)).collect();
        let reads = rooms
            .keys()
            .cloned()
            .map(|room| async move { Ok::<_, ControlError>((self.room_record(&room).await?, room)) });
        let read: Vec<_> =
            stream::iter(reads.collect::<Vec<_>>()).buffered(READS_AT_ONCE).try_collect().await?;
        rooms.extend(read.into_iter().map(|(record, room)| (room, record)));
        let now = clock::now();
        let lines = shown.into_iter().map(|(station, assigned)| {
            let room = rooms.get(&assigned.room).and_then(Option::as_deref);
            let state = match room.and_then(|room| room.publisher_on(station)) {
                Some(publisher) => state(record, loaded, publisher.station.as_ref() != Some(station), now),
                None if now.since(assigned.at) > ORPHAN_AFTER => StationState::Orphan,
                None => StationState::Starting,
            };
            StationLine {
                station: station.clone(),
                room: assigned.room.clone(),
                user: assigned.user.clone(),
                munit: record.munit.clone(),
                state,
                viewers: None,
            }
        });
        Ok(lines.collect())
    }

    pub(super) async fn room_record(&self, room: &RoomId) -> Result<Option<Arc<Room>>, ControlError> {
        Ok(self.node.store().load(room, Asked::Users(Vec::new())).await?.record)
    }
}

fn state(record: &Record, loaded: &LoadedMunit, is_previous: bool, now: Timestamp) -> StationState {
    match record.state(loaded.beat.as_ref(), now) {
        State::Lost | State::Stopped => StationState::Lost,
        State::Starting | State::Active | State::Draining | State::Drained if is_previous => {
            StationState::Moving
        }
        State::Starting => StationState::Starting,
        State::Active => StationState::Active,
        State::Draining | State::Drained => StationState::Draining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_does() {
        for text in ["/", "m1/", "/m1-0000000000ab", "m1/m2-0000000000ab"] {
            assert_eq!(Cursor::decode(text).map(|cursor| cursor.encode()).as_deref(), Some(text));
        }
        assert!(Cursor::decode("m1").is_none() && Cursor::decode("m1/a b").is_none());
    }
}
