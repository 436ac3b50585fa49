//! Signals between participants: p2p media negotiation, and everything else that must not be lost.

use std::sync::Arc;

use super::leave::no_such_user;
use super::record::{Mode, Participant, ParticipantType};
use super::settle::Turn;
use super::{Ack, Effect, HOPS_MAX, Relayed, Room};
use crate::id::UserId;
use crate::signal::{Code, Description, IceCandidate, Refusal, ServerSignal, UpdateVideo};
use crate::store::KeptChange;
use crate::time::Timestamp;

impl Room<'_> {
    pub(super) fn offer(
        &self,
        sender: &Participant,
        offer: Description,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        match self.mode() {
            Some(Mode::P2p) => {
                let signal = ServerSignal::Offer { from: sender.user.clone(), sdp: offer.sdp };
                self.relay_to_peer(sender, offer.to.as_ref(), &signal, re, turn)
            }
            Some(Mode::M2m) => self.publish(sender, offer.sdp, re, turn),
            Some(Mode::P2m) | None => Err(self.mode_mismatch("Offer")),
        }
    }

    pub(super) fn answer(
        &self,
        sender: &Participant,
        answer: Description,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        match self.mode() {
            Some(Mode::P2p) => {
                let from = Some(sender.user.clone());
                let signal = ServerSignal::Answer { from, sdp: answer.sdp, station: None };
                self.relay_to_peer(sender, answer.to.as_ref(), &signal, re, turn)
            }
            Some(Mode::M2m) => self.answer_station(sender, answer, re, turn),
            Some(Mode::P2m) | None => Err(self.mode_mismatch("Answer")),
        }
    }

    pub(super) fn ice_candidate(
        &self,
        sender: &Participant,
        candidate: IceCandidate,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        match self.mode() {
            Some(Mode::P2p) => {
                let signal = ServerSignal::IceCandidate {
                    from: Some(sender.user.clone()),
                    candidate: candidate.candidate,
                    sdp_mid: candidate.sdp_mid,
                    sdp_m_line_index: candidate.sdp_m_line_index,
                    station: None,
                };
                self.relay_to_peer(sender, candidate.to.as_ref(), &signal, re, turn)
            }
            Some(Mode::M2m) => self.trickle(sender, candidate, re, turn),
            Some(Mode::P2m) | None => Err(self.mode_mismatch("iceCandidate")),
        }
    }

    pub(super) fn update_video(
        &mut self,
        sender: &Participant,
        update: &UpdateVideo,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        if sender.participant_type == ParticipantType::Viewer {
            return Err(Refusal::new(Code::NotPublisher, "only a publisher has video and audio to switch"));
        }
        self.change(&sender.user, turn, |participant| {
            participant.video = update.video.unwrap_or(participant.video);
            participant.audio = update.audio.unwrap_or(participant.audio);
        });
        turn.updated = Some((sender.user.clone(), sender.address.clone(), re.map(str::to_owned)));
        self.mute(sender, turn);
        Ok(())
    }

    /// A relayed signal found no connection where it was sent: on to where the participant is now.
    pub(super) fn undelivered(&mut self, now: Timestamp, relayed: Relayed, turn: &mut Turn) {
        let Some(target) = self.find(&relayed.user).cloned() else {
            if let Some(Ack { to, re }) = relayed.ack {
                turn.refuse(&to, no_such_user(&relayed.user), Some(re));
            }
            return;
        };
        if !target.is_away() && target.address == relayed.to {
            // Its node is the first to notice that the connection is gone.
            self.mark_away(now, &target, turn);
        }
        if target.is_away() || target.address == relayed.to || relayed.hops >= HOPS_MAX {
            turn.kept.push(KeptChange::Append(relayed.user, relayed.text));
            if let Some(Ack { to, re }) = relayed.ack {
                turn.ack(&to, Some(&re));
            }
        } else {
            let hops = relayed.hops + 1;
            turn.last.push(Effect::Relay(Relayed { to: target.address, hops, ..relayed }));
        }
    }

    /// Hands `signal` to `target`, or keeps it while that one is away; acknowledged when done.
    #[allow(clippy::unused_self, reason = "a verb of rooms")]
    pub(super) fn relay(
        &self,
        target: &Participant,
        signal: &ServerSignal,
        sender: &Participant,
        re: Option<&str>,
        turn: &mut Turn,
    ) {
        let text: Arc<str> = signal.to_json(None).into();
        let user = target.user.clone();
        if target.is_away() {
            turn.kept.push(KeptChange::Append(user, text));
            turn.ack(&sender.address, re);
        } else {
            let ack = re.map(|re| Ack { to: sender.address.clone(), re: re.to_owned() });
            turn.last.push(Effect::Relay(Relayed { user, to: target.address.clone(), text, ack, hops: 0 }));
        }
    }

    pub(super) fn mode_mismatch(&self, signal: &str) -> Refusal {
        let mode = self.mode().map_or("", Mode::as_str);
        Refusal::new(Code::ModeMismatch, format!("there is no {signal} in a {mode} room"))
    }

    fn relay_to_peer(
        &self,
        sender: &Participant,
        to: Option<&UserId>,
        signal: &ServerSignal,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let peer = self.listed().find(|other| other.user != sender.user);
        match (peer, to) {
            (Some(peer), None) => self.relay(peer, signal, sender, re, turn),
            (Some(peer), Some(to)) if peer.user == *to => self.relay(peer, signal, sender, re, turn),
            (Some(_) | None, Some(to)) => return Err(no_such_user(to)),
            (None, None) => {
                let message = "nobody else is in the room; wait for ParticipantChange";
                return Err(Refusal::new(Code::NoSuchUser, message));
            }
        }
        Ok(())
    }
}
