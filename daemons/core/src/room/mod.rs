//! Rooms: who is there, who owns it, what each may do.
//!
//! [`Room::apply`] decides one input on a room as it was loaded. It changes nothing but itself: the
//! driver commits the [`Effects::change`] under the revision it loaded, and performs the rest only then.

mod effect;
mod expire;
mod input;
mod join;
mod leave;
mod media;
mod publish;
mod record;
mod relay;
mod restore;
mod settle;
mod station;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use effect::{Close, Effect, Effects, RoomEvent};
pub use expire::OFFER_WAIT;
pub use input::{Ack, HOPS_MAX, Input, Joining, Placing, Purpose, Relayed};
pub use join::{resume_secret, user_of_secret};
pub use record::{
    Audience, Grants, HEIRS_KNOWN, Heir, M2M_PUBLISHERS_MAX, M2M_VIEWERS_MAX, Mode, Participant,
    ParticipantType, Previous, Record,
};
use settle::Turn;
pub use station::MOVE_WAIT;

use crate::id::{Address, NodeId, RoomId, UserId};
use crate::settings::Settings;
use crate::signal::{Code, Refusal, RoomSignal};
use crate::store::{Loaded, MemberChange};
use crate::time::Timestamp;

/// When to try again where the store has lost a room that its participants are still in.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// A room as loaded, and what is decided about it.
#[derive(Debug)]
pub struct Room<'s> {
    settings: &'s Settings,
    id: RoomId,
    record: Option<Arc<Record>>,
    audience: Audience,
    /// The audience members that were asked for and are there.
    members: BTreeMap<UserId, Participant>,
    audience_nodes: Vec<NodeId>,
}

impl<'s> Room<'s> {
    /// The room `id` as loaded.
    pub fn new(settings: &'s Settings, id: RoomId, loaded: Loaded) -> Self {
        let members = loaded.members.into_iter().map(|member| (member.user.clone(), member)).collect();
        Self {
            settings,
            id,
            record: loaded.record,
            audience: loaded.audience,
            members,
            audience_nodes: loaded.audience_nodes,
        }
    }

    /// Decides `input` at `now`.
    pub fn apply(&mut self, now: Timestamp, input: Input) -> Effects {
        let mut turn = Turn::default();
        match input {
            Input::Join(joining) => self.join(now, *joining, &mut turn),
            Input::Signal { user, address, signal, re } => {
                self.signal(now, &user, &address, signal, re, &mut turn);
            }
            Input::Lost { user, address, unsent } => self.lost(now, &user, &address, unsent, &mut turn),
            Input::Alive { user, address } => self.still_there(&user, &address, &mut turn),
            Input::TimedOut { user, address } => self.timed_out(&user, &address, &mut turn),
            Input::Undelivered(relayed) => self.undelivered(now, relayed, &mut turn),
            Input::Due => self.due(now, &mut turn),
            Input::GiveBack(lost) => self.give_back(&lost, &mut turn),
            Input::NodeLost(node) => self.node_lost(now, &node, &mut turn),
            Input::Close => self.close(&mut turn),
            Input::Remove { user, reason } => self.remove(&user, reason, &mut turn),
            Input::Placed { placing, station } => self.placed(now, *placing, station, &mut turn),
            Input::Move { station, to } => {
                turn.refused = self.move_station(&station, to, &mut turn).err();
            }
            Input::Retire(station) => self.retire(&station, &mut turn),
            Input::StationLost { station, retry } => self.station_lost(&station, retry, &mut turn),
        }
        self.settle(now, turn)
    }

    /// The record after what was applied; `None` when there is no room.
    pub fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()
    }

    /// The participant `user` after what was applied, if it was loaded or listed.
    pub fn participant(&self, user: &UserId) -> Option<&Participant> {
        self.find(user)
    }

    /// When the room must be looked at next, as far as is known.
    pub fn due_next(&self) -> Option<Timestamp> {
        let known = self.listed().chain(self.members.values()).filter_map(Participant::due);
        known.chain(self.audience.due).min()
    }

    fn signal(
        &mut self,
        now: Timestamp,
        user: &UserId,
        address: &Address,
        signal: RoomSignal,
        re: Option<String>,
        turn: &mut Turn,
    ) {
        if self.record.is_none() {
            // A store that came back empty is given its rooms back; a closed room closes its connections.
            let lost = Refusal::new(Code::Internal, "the room is not there at the moment; try again");
            return turn.refuse(address, lost.retry_after(ROOM_RETRY), re);
        }
        let Some(sender) = self.shared(user).filter(|sender| sender.address == *address) else {
            let gone = Refusal::new(Code::NotJoined, "this connection is no longer in a room; send Join");
            return turn.refuse(address, gone, re);
        };
        // Who speaks is there, whatever was thought of it.
        self.alive(user, address, turn);
        let decided = match signal {
            RoomSignal::Leave => {
                self.leave(&sender, re.as_deref(), turn);
                Ok(())
            }
            RoomSignal::UpdateVideo(update) => self.update_video(&sender, &update, re.as_deref(), turn),
            RoomSignal::Sync => {
                self.sync(&sender, re.clone(), turn);
                Ok(())
            }
            RoomSignal::Offer(offer) => self.offer(&sender, offer, re.as_deref(), turn),
            RoomSignal::Answer(answer) => self.answer(&sender, answer, re.as_deref(), turn),
            RoomSignal::IceCandidate(candidate) => {
                self.ice_candidate(&sender, candidate, re.as_deref(), turn)
            }
            RoomSignal::Kick(kick) => self.kick(&sender, kick, re.as_deref(), turn),
            RoomSignal::Watch(watch) => self.watch(&sender, watch, re.as_deref(), turn),
            RoomSignal::Unwatch(unwatch) => self.unwatch(&sender, unwatch, re.as_deref(), turn),
            RoomSignal::SimulcastUpdate(update) => self.choose_layer(&sender, update, re.as_deref(), turn),
            RoomSignal::PublishRequest => self.publish_request(&sender, re.as_deref(), turn),
            RoomSignal::PublishAccept(accept) => {
                self.publish_accept(now, &sender, accept, re.as_deref(), turn)
            }
            RoomSignal::PublishReject(reject) => self.publish_reject(&sender, &reject, re.as_deref(), turn),
        };
        if let Err(refusal) = decided {
            turn.refuse(address, refusal, re);
        }
    }

    /// The participant, listed or of the loaded audience.
    fn find(&self, user: &UserId) -> Option<&Participant> {
        let listed = self.record.as_ref().and_then(|record| record.participants.get(user)).map(Arc::as_ref);
        listed.or_else(|| self.members.get(user))
    }

    /// The participant as it is now, to be kept while the room changes.
    fn shared(&self, user: &UserId) -> Option<Arc<Participant>> {
        let listed = self.record.as_ref().and_then(|record| record.participants.get(user));
        listed.cloned().or_else(|| self.members.get(user).cloned().map(Arc::new))
    }

    /// Changes a participant where it stands.
    fn change(&mut self, user: &UserId, turn: &mut Turn, change: impl FnOnce(&mut Participant)) {
        if let Some(record) = &mut self.record
            && record.participants.contains_key(user)
        {
            turn.touched = true;
            if let Some(participant) = Arc::make_mut(record).participants.get_mut(user) {
                change(Arc::make_mut(participant));
            }
        } else if let Some(member) = self.members.get_mut(user) {
            let was = Some(member.resume.clone());
            change(member);
            turn.members.push(MemberChange::Put { was, now: Box::new(member.clone()) });
        }
    }

    fn mode(&self) -> Option<Mode> {
        self.record.as_ref().map(|record| record.mode)
    }

    fn listed(&self) -> impl Iterator<Item = &Participant> {
        self.record.iter().flat_map(|record| record.participants.values()).map(Arc::as_ref)
    }

    fn publishers(&self) -> impl Iterator<Item = &Participant> {
        self.listed().filter(|participant| participant.participant_type == ParticipantType::Publisher)
    }

    /// Whether `participant` may do what an owner may.
    fn is_owner(&self, participant: &Participant) -> bool {
        let owns = self.record.as_ref().is_some_and(|record| record.owner == participant.user);
        owns || participant.grants.owner
    }
}
