//! The end of every decision: succession, one new version, and who is told of what.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::record::{Mode, Participant, Record};
use super::{Close, Effect, Effects, Room, RoomEvent};
use crate::id::{Address, StationId, UserId};
use crate::signal::{
    Ingest, JoinAck, Left, Limits, Moved, MunitSignal, ParticipantView, PublisherView, Refusal, ServerSignal,
};
use crate::store::{Change, KeptChange, MemberChange, RecordChange};
use crate::time::{Timestamp, millis};

/// By how much the version rises at the first change of a room that was given back: changes after what is given back
/// may have been told, and a version that comes twice hides from clients that they missed something.
const RESTORED_LEAP: u64 = 1 << 20;

/// What was decided in one [`Room::apply`], not yet told to anyone.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing that was decided")]
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The record changed, or must seem to.
    pub(super) touched: bool,
    pub(super) members: Vec<MemberChange>,
    pub(super) kept: Vec<KeptChange>,
    pub(super) joined: Vec<ParticipantView>,
    pub(super) left: Vec<Left>,
    pub(super) away: Vec<UserId>,
    pub(super) back: Vec<UserId>,
    pub(super) added: Vec<UserId>,
    pub(super) removed: Vec<UserId>,
    /// Publishers whose station is another.
    pub(super) moved: Vec<Moved>,
    /// A publisher has a station now, or has none any more.
    pub(super) stations_changed: bool,
    pub(super) owner_changed: bool,
    /// Who joined again, and stays the owner if it was.
    pub(super) replaced: Option<UserId>,
    /// Who changed its flags, over which connection, and the `id` of that signal.
    pub(super) updated: Option<(UserId, Address, Option<String>)>,
    pub(super) enter: Option<Entering>,
    pub(super) count_viewers: bool,
    /// Not everything due was done.
    pub(super) look_again: bool,
    /// The room as a whole is looked at: what is wrong with it is put right.
    pub(super) looked_at: bool,
    /// Why an input that no connection sent cannot be.
    pub(super) refused: Option<Refusal>,
    /// Before any news.
    pub(super) first: Vec<Effect>,
    /// After all news.
    pub(super) last: Vec<Effect>,
    pub(super) events: Vec<RoomEvent>,
}

/// A connection that becomes a participant.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) at: Address,
    pub(super) user: UserId,
    pub(super) re: Option<String>,
    pub(super) resumed: bool,
}

impl Turn {
    pub(super) fn refuse(&mut self, to: &Address, refusal: Refusal, re: Option<String>) {
        self.last.push(Effect::Send { to: to.clone(), signal: refusal.into(), re });
    }

    pub(super) fn ack(&mut self, to: &Address, re: Option<&str>) {
        if re.is_some() {
            let re = re.map(str::to_owned);
            self.last.push(Effect::Send { to: to.clone(), signal: ServerSignal::Ack, re });
        }
    }

    /// The munit of `station` is to let it go.
    pub(super) fn unassign(&mut self, station: StationId) {
        self.last.push(Effect::Unassign(station));
    }

    /// Tells the munit of `station` something nobody waits for.
    pub(super) fn tell_munit(&mut self, station: &StationId, signal: MunitSignal) {
        if let Some(munit) = station.munit() {
            self.last.push(Effect::Munit { munit, signal, from: None });
        }
    }

    pub(super) fn first_send(&mut self, to: &Address, signal: ServerSignal) {
        self.first.push(Effect::Send { to: to.clone(), signal, re: None });
    }

    pub(super) fn first_close(&mut self, at: &Address, close: Close) {
        self.first.push(Effect::Close { at: at.clone(), close });
    }

    pub(super) fn event(&mut self, name: &'static str, fill: impl FnOnce(&mut Map<String, Value>)) {
        let mut data = Map::new();
        fill(&mut data);
        self.events.push(RoomEvent { name, data: Value::Object(data) });
    }

    /// Takes back the removal of a member who joins again in the same turn; its old secret.
    pub(super) fn removed_member(&mut self, user: &UserId) -> Option<String> {
        let at = self.members.iter().position(
            |change| matches!(change, MemberChange::Remove { user: removed, .. } if removed == user),
        )?;
        match self.members.remove(at) {
            MemberChange::Remove { was, .. } => Some(was),
            MemberChange::Put { was, .. } => was,
        }
    }

    fn is_news(&self) -> bool {
        let people = !(self.joined.is_empty() && self.left.is_empty());
        let links = !(self.away.is_empty() && self.back.is_empty());
        people || links || self.is_publish_news() || self.owner_changed || self.updated.is_some()
    }

    fn is_publish_news(&self) -> bool {
        let set = !(self.added.is_empty() && self.removed.is_empty());
        set || self.stations_changed || !self.moved.is_empty()
    }
}

impl Room<'_> {
    pub(super) fn settle(&mut self, now: Timestamp, mut turn: Turn) -> Effects {
        let existed = self.record.clone();
        if existed.as_ref().is_some_and(|record| self.audience.count == 0 && record.participants.is_empty()) {
            self.record = None;
            turn.touched = true;
        }
        let mut effects = Effects { list: std::mem::take(&mut turn.first), ..Effects::default() };
        if self.record.is_some() {
            self.succeed(&mut turn);
            self.only_listed(&mut turn);
            if turn.is_news() {
                self.next_version();
                turn.touched = true;
            }
            let entered = self.welcome(now, &mut turn, &mut effects.list);
            self.announce(&turn, entered.as_ref(), &mut effects.list);
        }
        self.tell_events(&mut turn);
        if turn.count_viewers && self.record.is_some() {
            effects.list.push(Effect::CountViewers);
        }
        effects.change = self.changed(now, &mut turn);
        effects.list.append(&mut turn.last);
        effects.events = turn.events;
        effects.refused = turn.refused;
        effects
    }

    /// Where the owner has gone, the next in order follows: the longest-present with the grant, else
    /// the longest-present publisher, else viewer (PROTOCOL.md §1).
    fn succeed(&mut self, turn: &mut Turn) {
        let Some(record) = &self.record else { return };
        let rejoined = turn.replaced.as_ref() == Some(&record.owner);
        let gone = turn.left.iter().any(|left| left.user == record.owner)
            || turn
                .members
                .iter()
                .any(|change| matches!(change, MemberChange::Remove { user, .. } if *user == record.owner));
        // Of an audience nobody is listed: its owner may be one of it.
        let is_listed = record.mode == Mode::P2m || record.participants.contains_key(&record.owner);
        if rejoined || !(gone || turn.looked_at && !is_listed) {
            return;
        }
        let listed = record.participants.values().map(|there| {
            let kind = u8::from(there.participant_type == super::ParticipantType::Viewer);
            let kind = if there.grants.owner { 0 } else { 1 + kind };
            (kind, there.order, &there.user)
        });
        let audience = self
            .audience
            .heirs
            .iter()
            .map(|heir| (if heir.by_grant { 0 } else { 2 }, heir.order, &heir.user));
        let Some((kind, _, heir)) = listed.chain(audience).min() else { return };
        let (owner, by_grant) = (heir.clone(), kind == 0);
        if let Some(record) = &mut self.record {
            let record = Arc::make_mut(record);
            record.owner = owner;
            record.owner_by_grant = by_grant;
            turn.owner_changed = true;
        }
    }

    /// The audience of a p2m room is counted: nobody is told that one of it is away or back.
    fn only_listed(&self, turn: &mut Turn) {
        let members = &self.members;
        for (name, users) in [("participant.away", &mut turn.away), ("participant.back", &mut turn.back)] {
            let (audience, listed) = users.drain(..).partition(|user| members.contains_key(user));
            *users = listed;
            let audience: Vec<UserId> = audience;
            turn.events.extend(audience.into_iter().map(|user| RoomEvent {
                name,
                data: Value::Object(Map::from_iter([("user".to_owned(), Value::from(user.as_str()))])),
            }));
        }
    }

    fn next_version(&mut self) {
        if let Some(record) = &mut self.record {
            let record = Arc::make_mut(record);
            record.version += if std::mem::take(&mut record.restored) { RESTORED_LEAP } else { 1 };
        }
    }

    /// Tells who entered what it entered; returns who that is.
    fn welcome(&self, now: Timestamp, turn: &mut Turn, list: &mut Vec<Effect>) -> Option<UserId> {
        let Entering { at, user, re, resumed } = turn.enter.take()?;
        let (record, participant) = (self.record.as_ref()?, self.find(&user)?);
        let ack = Box::new(self.join_ack(now, record, participant));
        let member = self.members.get(&user).cloned().map(Arc::new);
        let watch = self.to_watch(participant, resumed);
        list.push(Effect::Enter { at, user: user.clone(), ack, re, resumed, member, watch });
        Some(user)
    }

    pub(super) fn sync(&self, sender: &Participant, re: Option<String>, turn: &mut Turn) {
        let Some(record) = &self.record else { return };
        let signal = ServerSignal::RoomState {
            participants: self.participants_for(sender),
            publishers: self.publishers().map(Into::into).collect(),
            owner: record.owner.clone(),
            version: record.version,
        };
        turn.last.push(Effect::Send { to: sender.address.clone(), signal, re });
    }

    /// Everybody; in p2m the publisher and oneself.
    fn participants_for(&self, viewer: &Participant) -> Vec<ParticipantView> {
        let oneself = self.members.get(&viewer.user);
        self.listed().chain(oneself).map(Into::into).collect()
    }

    fn join_ack(&self, now: Timestamp, record: &Record, participant: &Participant) -> JoinAck {
        let settings = self.settings;
        let p2m = record.mode == Mode::P2m;
        let publishes = participant.participant_type == super::ParticipantType::Publisher;
        let turn = settings.turn.as_ref().map(|turn| turn.ice_server(&participant.user, now));
        JoinAck {
            room: record.room.clone(),
            mode: record.mode,
            user: participant.user.clone(),
            participant_type: participant.participant_type,
            owner: record.owner.clone(),
            resume: participant.resume.clone(),
            ice_servers: settings.ice_servers.iter().cloned().chain(turn).collect(),
            version: record.version,
            participants: self.participants_for(participant),
            publishers: self.publishers().map(Into::into).collect(),
            playback_url: p2m.then(|| settings.playback_url(&record.room, now)).flatten(),
            ingest: (p2m && publishes).then_some(Ingest {
                max_frame: settings.frame_max,
                part_target: settings.part_target.as_secs_f64(),
            }),
            heartbeat_interval: millis(settings.heartbeat_interval),
            heartbeat_timeout: millis(settings.heartbeat_timeout),
            limits: Limits { publishers: record.mode.publishers_max(), viewers: record.mode.viewers_max() },
            viewers: p2m.then_some(self.audience.count),
            missed: false,
        }
    }

    /// Tells everyone in the room of what changed; who entered just now knows it from its `JoinAck`.
    fn announce(&self, turn: &Turn, entered: Option<&UserId>, list: &mut Vec<Effect>) {
        let Some(record) = &self.record else { return };
        if !turn.is_news() {
            return;
        }
        let others = |but: Option<&UserId>| -> Vec<Address> {
            let told = |there: &&Arc<Participant>| !there.is_away() && Some(&there.user) != but;
            record.participants.values().filter(told).map(|there| there.address.clone()).collect()
        };
        let mut tell = |signal: ServerSignal, but: Option<&UserId>| {
            let to = others(but);
            if !to.is_empty() {
                list.push(Effect::Tell { to, signal: signal.clone() });
            }
            if !self.audience_nodes.is_empty() {
                let nodes = self.audience_nodes.clone();
                list.push(Effect::TellAudience { nodes, signal, close: None });
            }
        };
        let version = record.version;
        let people = !(turn.joined.is_empty() && turn.left.is_empty());
        if people || !turn.away.is_empty() || !turn.back.is_empty() || turn.owner_changed {
            let change = ServerSignal::ParticipantChange {
                joined: turn.joined.clone(),
                left: turn.left.clone(),
                away: turn.away.clone(),
                back: turn.back.clone(),
                owner: record.owner.clone(),
                version,
            };
            tell(change, entered);
        }
        if turn.is_publish_news() {
            let publishers: Vec<PublisherView> = self.publishers().map(Into::into).collect();
            let change = ServerSignal::PublishListChangeAck {
                publishers,
                added: turn.added.clone(),
                removed: turn.removed.clone(),
                moved: turn.moved.clone(),
                version,
            };
            tell(change, entered);
        }
        if let Some((user, address, re)) = &turn.updated
            && let Some(there) = record.participants.get(user)
        {
            let (video, audio) = (there.video, there.audio);
            let signal = ServerSignal::UpdateVideo { from: user.clone(), video, audio, version };
            tell(signal.clone(), Some(user));
            list.push(Effect::Send { to: address.clone(), signal, re: re.clone() });
        }
    }

    fn tell_events(&self, turn: &mut Turn) {
        let mut events = std::mem::take(&mut turn.events);
        let mut tell = |name, user: &UserId, more: &[(&str, Value)]| {
            let user = [("user", Value::from(user.as_str()))];
            let pairs = user.iter().chain(more).map(|(key, value)| ((*key).to_owned(), value.clone()));
            events.push(RoomEvent { name, data: Value::Object(pairs.collect()) });
        };
        for left in &turn.left {
            tell("participant.left", &left.user, &[("reason", left.reason.as_str().into())]);
        }
        for joined in &turn.joined {
            let kind = serde_json::to_value(joined.participant_type).unwrap_or_default();
            tell("participant.joined", &joined.user, &[("participantType", kind)]);
        }
        turn.away.iter().for_each(|user| tell("participant.away", user, &[]));
        turn.back.iter().for_each(|user| tell("participant.back", user, &[]));
        turn.added.iter().for_each(|user| tell("publisher.added", user, &[]));
        turn.removed.iter().for_each(|user| tell("publisher.removed", user, &[]));
        if let Some((user, ..)) = &turn.updated
            && let Some(there) = self.find(user)
        {
            let flags = [("video", there.video.into()), ("audio", there.audio.into())];
            tell("participant.updated", user, &flags);
        }
        if turn.owner_changed
            && let Some(record) = &self.record
        {
            tell("owner.changed", &record.owner, &[]);
        }
        if turn.touched && self.record.is_none() {
            events.push(RoomEvent { name: "room.ended", data: Value::Object(Map::new()) });
        }
        for event in &mut events {
            if let Value::Object(data) = &mut event.data {
                data.insert("room".to_owned(), Value::from(self.id.as_str()));
            }
        }
        turn.events = events;
    }

    fn changed(&self, now: Timestamp, turn: &mut Turn) -> Change {
        let record = match (&self.record, turn.touched) {
            (_, false) => RecordChange::Same,
            (Some(record), true) => RecordChange::Put(record.clone()),
            (None, true) => {
                // With the room goes everything of it.
                return Change { record: RecordChange::Remove, ..Change::default() };
            }
        };
        let members = std::mem::take(&mut turn.members);
        let put = members.iter().filter_map(|change| match change {
            MemberChange::Put { now, .. } => now.due(),
            MemberChange::Remove { .. } => None,
        });
        let listed = self.listed().filter_map(Participant::due);
        let due = put.chain(listed).chain(turn.look_again.then_some(now)).min();
        let changes_nothing = record == RecordChange::Same && members.is_empty();
        Change {
            record,
            members,
            kept: std::mem::take(&mut turn.kept),
            due: if changes_nothing { None } else { due.into_iter().chain(self.audience.due).min() },
        }
    }
}
