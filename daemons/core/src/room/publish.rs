//! Asking to publish, and the owner's answer.

use super::Room;
use super::expire::OFFER_WAIT;
use super::leave::no_such_user;
use super::record::{Mode, Participant, ParticipantType};
use super::settle::Turn;
use crate::signal::{Code, Reasoned, Refusal, ServerSignal};
use crate::time::Timestamp;

impl Room<'_> {
    pub(super) fn publish_request(
        &self,
        sender: &Participant,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        self.in_group("PublishRequest")?;
        if sender.participant_type == ParticipantType::Publisher {
            return Err(Refusal::new(Code::Forbidden, "you are a publisher already; send Offer"));
        }
        self.free_publisher()?;
        let owner = self.record.as_ref().and_then(|record| record.participants.get(&record.owner));
        if let Some(owner) = owner {
            let signal = ServerSignal::PublishRequest { user: sender.user.clone() };
            self.relay(owner, &signal, sender, re, turn);
        }
        Ok(())
    }

    pub(super) fn publish_accept(
        &mut self,
        now: Timestamp,
        sender: &Participant,
        accept: Reasoned,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let target = self.answered("PublishAccept", sender, &accept)?.clone();
        if target.participant_type == ParticipantType::Viewer {
            self.free_publisher()?;
            self.change(&target.user, turn, |participant| {
                participant.participant_type = ParticipantType::Publisher;
                participant.video = true;
                participant.audio = true;
                participant.offer_until = Some(now.after(OFFER_WAIT));
            });
            turn.added.push(target.user.clone());
        }
        let signal = ServerSignal::PublishAccept { user: accept.user, reason: accept.reason };
        self.relay(&target, &signal, sender, re, turn);
        Ok(())
    }

    pub(super) fn publish_reject(
        &self,
        sender: &Participant,
        reject: &Reasoned,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let target = self.answered("PublishReject", sender, reject)?;
        let signal = ServerSignal::PublishReject { user: reject.user.clone(), reason: reject.reason.clone() };
        self.relay(target, &signal, sender, re, turn);
        Ok(())
    }

    fn answered(
        &self,
        signal: &str,
        sender: &Participant,
        answer: &Reasoned,
    ) -> Result<&Participant, Refusal> {
        self.in_group(signal)?;
        if !self.is_owner(sender) {
            return Err(Refusal::new(Code::Forbidden, "only the owner answers publish requests"));
        }
        self.find(&answer.user).ok_or_else(|| no_such_user(&answer.user))
    }

    pub(super) fn in_group(&self, signal: &str) -> Result<(), Refusal> {
        if self.mode() == Some(Mode::M2m) { Ok(()) } else { Err(self.mode_mismatch(signal)) }
    }

    fn free_publisher(&self) -> Result<(), Refusal> {
        let most = Mode::M2m.publishers_max();
        if self.publishers().count() < most {
            return Ok(());
        }
        let message = format!("{most} publish already; ask again when one has stopped");
        Err(Refusal::new(Code::PublishersFull, message))
    }
}
