//! What time does to a room: connections lost, grace run out, offers that never came.

use std::sync::Arc;
use std::time::Duration;

use super::record::{Mode, Participant, ParticipantType};
use super::settle::Turn;
use super::{Close, Effect, Relayed, Room};
use crate::id::{Address, NodeId, UserId};
use crate::signal::Reason;
use crate::store::KeptChange;
use crate::time::Timestamp;

/// How long an accepted publisher has for its Offer (PROTOCOL.md §3, `PublishAccept`).
pub const OFFER_WAIT: Duration = Duration::from_secs(30);

impl Room<'_> {
    pub(super) fn lost(
        &mut self,
        now: Timestamp,
        user: &UserId,
        address: &Address,
        unsent: Vec<Arc<str>>,
        turn: &mut Turn,
    ) {
        let Some(participant) = self.find(user).cloned() else { return };
        if participant.address != *address {
            // It goes on elsewhere: what was on its way to it follows.
            for text in unsent {
                let relayed = Relayed { user: user.clone(), to: address.clone(), text, ack: None, hops: 0 };
                self.undelivered(now, relayed, turn);
            }
            return;
        }
        if !participant.is_away() {
            self.mark_away(now, &participant, turn);
        }
        turn.kept.extend(unsent.into_iter().map(|text| KeptChange::Append(user.clone(), text)));
    }

    /// A connection lives. Whose participant was given up meanwhile, or goes on elsewhere, has not heard of
    /// it: it is closed, and its client comes back as one that was cut off.
    pub(super) fn still_there(&mut self, user: &UserId, address: &Address, turn: &mut Turn) {
        match self.find(user) {
            Some(there) if there.address == *address => self.alive(user, address, turn),
            Some(_) => turn.last.push(Effect::Close { at: address.clone(), close: Close::Replaced }),
            // A store that came back empty may yet be given the room back, or its audience.
            None if self.mode().is_none_or(|mode| mode == Mode::P2m) => {}
            None => turn.last.push(Effect::Close { at: address.clone(), close: Close::Restart }),
        }
    }

    pub(super) fn alive(&mut self, user: &UserId, address: &Address, turn: &mut Turn) {
        if self.find(user).is_some_and(|there| there.address == *address && there.is_away()) {
            self.change(user, turn, |participant| {
                participant.away_since = None;
                participant.away_until = None;
            });
            turn.back.push(user.clone());
            turn.first.push(Effect::Replay { at: address.clone(), user: user.clone() });
        }
    }

    pub(super) fn timed_out(&mut self, user: &UserId, address: &Address, turn: &mut Turn) {
        let connected = |there: &&Participant| there.address == *address && !there.is_away();
        let Some(participant) = self.find(user).filter(connected).cloned() else { return };
        self.take_out(&participant, Reason::Timeout, turn);
        turn.last.push(Effect::Close { at: address.clone(), close: Close::TimedOut });
    }

    pub(super) fn due(&mut self, now: Timestamp, turn: &mut Turn) {
        turn.looked_at = true;
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        for participant in self.everyone() {
            if is_due(participant.away_until) {
                let last_known = self.audience.heirs.len() == 1 && self.audience.count > 1;
                if last_known && self.audience.heirs.iter().any(|heir| heir.user == participant.user) {
                    // Who would follow is not loaded; the next look at the room knows more.
                    turn.look_again = true;
                    return;
                }
                if !self.members.contains_key(&participant.user) {
                    // It may be connected all the same: who said that it is away need not be its node.
                    turn.last.push(Effect::Close { at: participant.address.clone(), close: Close::Restart });
                }
                self.take_out(&participant, Reason::Lost, turn);
            } else if is_due(participant.offer_until) {
                self.change(&participant.user, turn, |participant| {
                    participant.participant_type = ParticipantType::Viewer;
                    participant.video = false;
                    participant.audio = false;
                    participant.offer_until = None;
                });
                turn.removed.push(participant.user);
            } else if is_due(participant.previous.as_ref().map(|previous| previous.until)) {
                self.move_is_over(&participant, turn);
            }
        }
    }

    pub(super) fn node_lost(&mut self, now: Timestamp, node: &NodeId, turn: &mut Turn) {
        for participant in self.everyone() {
            if participant.address.node == *node && !participant.is_away() {
                self.mark_away(now, &participant, turn);
            }
        }
    }

    pub(super) fn mark_away(&mut self, now: Timestamp, participant: &Participant, turn: &mut Turn) {
        let until = now.after(self.settings.resume_grace);
        self.change(&participant.user, turn, |participant| {
            participant.away_since = Some(now);
            participant.away_until = Some(until);
        });
        turn.away.push(participant.user.clone());
    }

    /// All listed participants and loaded audience members, as they stand.
    fn everyone(&self) -> Vec<Participant> {
        self.listed().chain(self.members.values()).cloned().collect()
    }
}
