//! Leaving: by one's own will, kicked, or with the room.

use std::sync::Arc;

use super::record::{Participant, ParticipantType};
use super::settle::Turn;
use super::station::let_go;
use super::{Close, Effect, Room};
use crate::id::UserId;
use crate::signal::{Code, Left, Reason, Reasoned, Refusal, ServerSignal};
use crate::store::{KeptChange, MemberChange};

impl Room<'_> {
    pub(super) fn leave(&mut self, sender: &Participant, re: Option<&str>, turn: &mut Turn) {
        self.take_out(sender, Reason::Left, turn);
        turn.ack(&sender.address, re);
        turn.last.push(Effect::Exit { at: sender.address.clone() });
    }

    pub(super) fn kick(
        &mut self,
        sender: &Participant,
        kick: Reasoned,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        if !self.is_owner(sender) && !sender.grants.kick {
            return Err(Refusal::new(
                Code::Forbidden,
                "only the owner, or who has the grant `kick`, may kick",
            ));
        }
        if self.find(&kick.user).is_none() {
            return Err(no_such_user(&kick.user));
        }
        turn.ack(&sender.address, re);
        self.remove(&kick.user, kick.reason, turn);
        Ok(())
    }

    /// Takes a participant out and closes its connection; does nothing where there is no such one.
    pub(super) fn remove(&mut self, user: &UserId, reason: Option<String>, turn: &mut Turn) {
        let Some(target) = self.find(user).cloned() else { return };
        if !target.is_away() {
            let reason = reason.unwrap_or_else(|| Reason::Kicked.as_str().to_owned());
            turn.first_send(&target.address, ServerSignal::Kick { reason });
            turn.last.push(Effect::Close { at: target.address.clone(), close: Close::Policy });
        }
        self.take_out(&target, Reason::Kicked, turn);
    }

    pub(super) fn close(&mut self, turn: &mut Turn) {
        let Some(record) = self.record.clone() else { return };
        let kick = ServerSignal::Kick { reason: Reason::Closed.as_str().to_owned() };
        for participant in record.participants.values() {
            turn.kept.push(KeptChange::Clear(participant.user.clone()));
            participant.stations().for_each(|station| let_go(participant, station, turn));
            if !participant.is_away() {
                turn.first_send(&participant.address, kick.clone());
                turn.first_close(&participant.address, Close::Policy);
            }
        }
        if !self.audience_nodes.is_empty() {
            let nodes = self.audience_nodes.clone();
            turn.last.push(Effect::TellAudience { nodes, signal: kick, close: Some(Close::Policy) });
        }
        self.record = None;
        turn.touched = true;
    }

    /// Takes a participant out of the room, whatever becomes of its connection.
    pub(super) fn take_out(&mut self, participant: &Participant, reason: Reason, turn: &mut Turn) {
        let user = &participant.user;
        if self.members.remove(user).is_some() {
            turn.touched |= self.audience.heirs.iter().any(|heir| heir.user == *user);
            self.audience.heirs.retain(|heir| heir.user != *user);
            self.audience.count = self.audience.count.saturating_sub(1);
            turn.count_viewers = true;
            turn.members.push(MemberChange::Remove { was: participant.resume.clone(), user: user.clone() });
            turn.event("participant.left", |data| {
                data.insert("user".into(), user.as_str().into());
                data.insert("reason".into(), reason.as_str().into());
            });
        } else if let Some(record) = &mut self.record
            && Arc::make_mut(record).participants.remove(user).is_some()
        {
            turn.touched = true;
            turn.left.push(Left { user: user.clone(), reason });
            self.release(participant, turn);
            if participant.participant_type == ParticipantType::Publisher {
                turn.removed.push(user.clone());
            }
        }
        if participant.is_away() {
            turn.kept.push(KeptChange::Clear(user.clone()));
        }
    }
}

/// The refusal for a user who is not there.
pub(super) fn no_such_user(user: &UserId) -> Refusal {
    Refusal::new(Code::NoSuchUser, format!("{user} is not in the room"))
}
