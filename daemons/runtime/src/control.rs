//! What an operator can do with rooms, munits and stations: the operations behind the control API and `mobzctl`.

mod fsck;
mod hls;
mod munits;
mod reports;
mod stations;

use std::sync::Arc;

use mobz_core::id::{MunitId, RoomId, StationId, UserId};
use mobz_core::room::{Input, Mode, Participant, ParticipantType, Record};
use mobz_core::signal::{Detail, Media, Refusal};
use mobz_core::store::{Asked, Event, Loaded, StoreError};
use mobz_core::time::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

pub use fsck::{Found, FsckPage, Outcome};
pub use hls::{HlsDetail, TrackDetail};
pub use munits::{
    AssignedStation, Draining, MunitDetail, MunitLine, MunitList, STOP_GRACE, STOP_GRACE_MAX, Stopping,
};
pub use stations::{StationInspected, StationLine, StationList, StationState};

use crate::clock;
use crate::node::{Node, NodeError};
use crate::streams::load;

/// The most rooms of one page, and how many when nothing is said.
pub const PAGE_MAX: usize = 1000;
/// How many rooms a page has when nothing is said.
pub const PAGE_USUAL: usize = 100;
/// The most audience members that are listed by [`Control::room`].
pub const AUDIENCE_LISTED_MAX: usize = 1000;

/// Why an operation was not done.
#[derive(Debug, Error)]
pub enum ControlError {
    /// There is no such room.
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    /// There is no such participant.
    #[error("{user} is not in room {room}")]
    NoSuchUser {
        /// The room.
        room: RoomId,
        /// Who was looked for.
        user: UserId,
    },
    /// There is no such munit.
    #[error("there is no munit {0}")]
    NoSuchMunit(MunitId),
    /// There is no such station, or none any more.
    #[error("there is no station {0}")]
    NoSuchStation(StationId),
    /// The rules say no.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The store failed, or others kept changing the room or the munit.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::Node(error.into())
    }
}

/// One line of a room list (PROTOCOL.md §7).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub struct RoomLine {
    pub room: RoomId,
    pub mode: Mode,
    pub owner: UserId,
    pub participants: u64,
    pub publishers: u64,
    pub viewers: u64,
    pub stations: u64,
    pub created_at: Time,
}

/// One page of a room list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomList {
    /// The rooms.
    pub rooms: Vec<RoomLine>,
    /// Where to go on; `null` at the end.
    pub cursor: Option<String>,
}

/// A room in detail (OPERATIONS.md, `room inspect`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct RoomDetail {
    pub room: RoomId,
    pub mode: Mode,
    pub owner: UserId,
    pub created_at: Time,
    pub participants: Vec<ParticipantDetail>,
    pub stations: Vec<StationDetail>,
    pub hls: Option<HlsDetail>,
}

/// A participant in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct ParticipantDetail {
    pub user: UserId,
    pub name: Option<String>,
    pub participant_type: ParticipantType,
    pub video: bool,
    pub audio: bool,
    pub away: bool,
    pub since: Time,
}

/// A station in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the operator's contract")]
pub struct StationDetail {
    pub station: StationId,
    pub user: UserId,
    pub munit: MunitId,
    pub state: StationState,
    /// How many watch it; `null` where its munit does not say.
    pub viewers: Option<u64>,
    /// How its media fare; `null` where nothing is published, or its munit does not say.
    pub media: Option<Media>,
}

impl From<StationInspected> for StationDetail {
    fn from(StationInspected { line, media }: StationInspected) -> Self {
        let StationLine { station, room: _, user, munit, state, viewers } = line;
        Self { station, user, munit, state, viewers, media }
    }
}

/// A moment, on the wire as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(time) => time.fmt(f),
            Err(_) => f.write_str("the far future"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let millis = u64::try_from(time.as_millisecond()).map_err(serde::de::Error::custom)?;
        Ok(Self(Timestamp::from_millis(millis)))
    }
}

/// The operations, on the store of a node.
#[derive(Clone, Debug)]
pub struct Control {
    node: Arc<Node>,
}

impl Control {
    /// Operates on the rooms in `node`'s store. The node need not run.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// A page of rooms, of one mode if asked for; at most [`PAGE_MAX`] at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rooms(
        &self,
        mode: Option<Mode>,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<RoomList, ControlError> {
        let limit = limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
        let mut rooms = Vec::new();
        let mut cursor = cursor.map(str::to_owned);
        loop {
            let page = self.node.store().list(cursor.as_deref(), limit - rooms.len()).await?;
            for room in page.rooms {
                let loaded = self.node.store().load(&room, Asked::Users(Vec::new())).await?;
                let line = loaded.record.as_deref().map(|record| line(record, loaded.audience.count));
                rooms.extend(line.filter(|line| mode.is_none_or(|mode| line.mode == mode)));
            }
            cursor = page.cursor;
            if cursor.is_none() || rooms.len() >= limit {
                return Ok(RoomList { rooms, cursor });
            }
        }
    }

    /// A room in detail; of an audience the first [`AUDIENCE_LISTED_MAX`].
    ///
    /// # Errors
    /// [`ControlError::NoSuchRoom`], or when the store fails.
    pub async fn room(&self, room: &RoomId) -> Result<RoomDetail, ControlError> {
        let Loaded { record, members, .. } =
            self.node.store().load(room, Asked::First(AUDIENCE_LISTED_MAX)).await?;
        let record = record.ok_or_else(|| ControlError::NoSuchRoom(room.clone()))?;
        let stations = self.inspected(self.stations_of(&record).await?, Detail::Media).await?;
        Ok(RoomDetail {
            room: record.room.clone(),
            mode: record.mode,
            owner: record.owner.clone(),
            created_at: Time(record.created_at),
            participants: record.participants.values().map(Arc::as_ref).chain(&members).map(detail).collect(),
            stations: stations.into_iter().map(Into::into).collect(),
            hls: if record.mode == Mode::P2m { self.stream(room).await? } else { None },
        })
    }

    /// The stream of a room: its tracks and their edges. It may outlive its room, and be played on.
    ///
    /// # Errors
    /// [`ControlError::NoSuchRoom`] where there is neither stream nor p2m room, or when the store fails.
    pub async fn hls(&self, room: &RoomId) -> Result<HlsDetail, ControlError> {
        match self.stream(room).await? {
            Some(stream) => Ok(stream),
            None => Err(ControlError::NoSuchRoom(room.clone())),
        }
    }

    /// The stream of a room with media, or what is known of one that has none yet.
    async fn stream(&self, room: &RoomId) -> Result<Option<HlsDetail>, ControlError> {
        let now = clock::now();
        let (_, stream) = load(&**self.node.store(), room).await?;
        let playback_url = self.node.settings().playback_url(room, now);
        if let Some(stream) = stream.filter(|stream| !stream.is_gone(now)) {
            return Ok(Some(HlsDetail::of(&stream, playback_url, now)));
        }
        let loaded = self.node.store().load(room, Asked::Users(Vec::new())).await?;
        let is_p2m = loaded.record.is_some_and(|record| record.mode == Mode::P2m);
        Ok(is_p2m.then_some(HlsDetail { playback_url, tracks: Vec::new() }))
    }

    /// Closes a room: everyone gets `Kick` with reason `closed`.
    ///
    /// # Errors
    /// [`ControlError::NoSuchRoom`], or when the store fails.
    pub async fn close(&self, room: &RoomId) -> Result<(), ControlError> {
        self.exists(room, Vec::new()).await?;
        self.node.submit(room, Input::Close).await?;
        Ok(())
    }

    /// Kicks a participant.
    ///
    /// # Errors
    /// [`ControlError::NoSuchRoom`], [`ControlError::NoSuchUser`], or when the store fails.
    pub async fn kick(
        &self,
        room: &RoomId,
        user: &UserId,
        reason: Option<String>,
    ) -> Result<(), ControlError> {
        let loaded = self.exists(room, vec![user.clone()]).await?;
        let listed = loaded.record.is_some_and(|record| record.participants.contains_key(user));
        if !listed && loaded.members.is_empty() {
            return Err(ControlError::NoSuchUser { room: room.clone(), user: user.clone() });
        }
        self.node.submit(room, Input::Remove { user: user.clone(), reason }).await?;
        Ok(())
    }

    /// Events after `seq` ([`mobz_core::store::Events::after`]).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events(
        &self,
        seq: Option<u64>,
        limit: usize,
        wait: std::time::Duration,
    ) -> Result<(Vec<Event>, u64), ControlError> {
        Ok(self.node.store().after(seq, limit, wait).await?)
    }

    async fn exists(&self, room: &RoomId, users: Vec<UserId>) -> Result<Loaded, ControlError> {
        let loaded = self.node.store().load(room, Asked::Users(users)).await?;
        if loaded.record.is_none() {
            return Err(ControlError::NoSuchRoom(room.clone()));
        }
        Ok(loaded)
    }
}

fn line(record: &Record, audience: u64) -> RoomLine {
    let listed = record.participants.len() as u64;
    let publisher = |there: &&Arc<Participant>| there.participant_type == ParticipantType::Publisher;
    let publishers = record.participants.values().filter(publisher).count() as u64;
    let stations = record.participants.values().filter(|there| there.station.is_some()).count() as u64;
    RoomLine {
        room: record.room.clone(),
        mode: record.mode,
        owner: record.owner.clone(),
        participants: listed + audience,
        publishers,
        viewers: listed - publishers + audience,
        stations,
        created_at: Time(record.created_at),
    }
}

fn detail(participant: &Participant) -> ParticipantDetail {
    ParticipantDetail {
        user: participant.user.clone(),
        name: participant.name.clone(),
        participant_type: participant.participant_type,
        video: participant.video,
        audio: participant.audio,
        away: participant.is_away(),
        since: Time(participant.joined_at),
    }
}
