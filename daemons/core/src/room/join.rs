//! Joining: first, again, and with a resume secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{Mode, Participant, ParticipantType, Record};
use super::settle::{Entering, Turn};
use super::{Close, Joining, Room};
use crate::id::UserId;
use crate::signal::{Code, Reason, Refusal, ServerSignal};
use crate::store::MemberChange;
use crate::time::Timestamp;

/// A secret for `user` from 128 random bits. It names the user, so that a Join needs nothing else.
pub fn resume_secret(user: &UserId, random: u128) -> String {
    format!("{user}~{random:032x}")
}

/// Whose secret it says it is; the rest is for the room to check.
pub fn user_of_secret(secret: &str) -> Option<UserId> {
    secret.rsplit_once('~')?.0.parse().ok()
}

impl Room<'_> {
    pub(super) fn join(&mut self, now: Timestamp, joining: Joining, turn: &mut Turn) {
        let address = joining.address.clone();
        let re = joining.re.clone();
        let joined = if joining.resume.is_some() {
            self.resume(joining, turn)
        } else {
            self.enter(now, joining, turn)
        };
        if let Err(refusal) = joined {
            turn.refuse(&address, refusal, re);
        }
    }

    fn resume(&mut self, joining: Joining, turn: &mut Turn) -> Result<(), Refusal> {
        let failed = || {
            Refusal::new(
                Code::ResumeFailed,
                "there is nothing to resume with this secret: too late, used, or kicked; send Join without `resume`",
            )
        };
        let participant = self.find(&joining.user).ok_or_else(failed)?.clone();
        if joining.resume.as_ref() != Some(&participant.resume) {
            return Err(failed());
        }
        if participant.is_away() {
            turn.back.push(participant.user.clone());
        } else {
            turn.first_close(&participant.address, Close::Replaced);
        }
        self.change(&participant.user, turn, |participant| {
            participant.address = joining.address.clone();
            participant.resume = joining.secret;
            participant.away_since = None;
            participant.away_until = None;
        });
        let user = participant.user;
        turn.enter = Some(Entering { at: joining.address, user, re: joining.re, resumed: true });
        Ok(())
    }

    fn enter(&mut self, now: Timestamp, joining: Joining, turn: &mut Turn) -> Result<(), Refusal> {
        let mode = joining.mode.ok_or_else(|| Refusal::bad("mode", "say which mode: p2p, p2m or m2m"))?;
        if let Some(other) = self.mode().filter(|other| *other != mode) {
            let message =
                format!("room {} is {}; join it as that, or choose another id", self.id, other.as_str());
            return Err(Refusal::new(Code::ModeMismatch, message));
        }
        let participant_type = self.place(mode, &joining)?;
        if let Some(old) = self.find(&joining.user).cloned() {
            self.replace(&old, turn);
        }
        self.insert(now, mode, participant_type, &joining, turn);
        let Joining { address: at, user, re, .. } = joining;
        turn.enter = Some(Entering { at, user, re, resumed: false });
        Ok(())
    }

    /// Publisher or viewer, counted as if an earlier connection of the same user were gone already.
    fn place(&self, mode: Mode, joining: &Joining) -> Result<ParticipantType, Refusal> {
        let old_member = u64::from(self.members.contains_key(&joining.user));
        let others = self.listed().filter(|other| other.user != joining.user);
        let (mut publishing, mut viewing) = (0, 0);
        for other in others {
            match other.participant_type {
                ParticipantType::Publisher => publishing += 1,
                ParticipantType::Viewer => viewing += 1,
            }
            // Who was accepted and has not offered may yet be a viewer again: its place is kept.
            viewing += usize::from(other.offer_until.is_some());
        }
        let first = publishing + viewing == 0 && self.audience.count == old_member;
        let insists = joining.publish == Some(true) || (mode == Mode::P2p && joining.publish.is_none());
        if insists && !joining.grants.publish {
            return Err(Refusal::new(
                Code::Forbidden,
                "the token does not grant `publish`; get one that does",
            ));
        }
        let publishes = joining.publish.unwrap_or(mode == Mode::P2p || first) && joining.grants.publish;
        if publishes && publishing < mode.publishers_max() {
            return Ok(ParticipantType::Publisher);
        }
        if let Some(most) = mode.viewers_max().filter(|most| viewing >= *most) {
            let message = format!(
                "room {} is full: {} publishers and {most} viewers; try again when somebody left",
                self.id,
                mode.publishers_max()
            );
            return Err(Refusal::new(Code::RoomFull, message));
        }
        if mode == Mode::P2m && !joining.grants.watch {
            return Err(Refusal::new(Code::Forbidden, "the token does not grant `watch`; get one that does"));
        }
        Ok(ParticipantType::Viewer)
    }

    /// The same user joined again: its earlier connection and all it held goes.
    fn replace(&mut self, old: &Participant, turn: &mut Turn) {
        if !old.is_away() {
            let kick = ServerSignal::Kick { reason: Reason::Replaced.as_str().to_owned() };
            turn.first_send(&old.address, kick);
            turn.first_close(&old.address, Close::Replaced);
        }
        turn.replaced = Some(old.user.clone());
        self.take_out(old, Reason::Replaced, turn);
    }

    fn insert(
        &mut self,
        now: Timestamp,
        mode: Mode,
        participant_type: ParticipantType,
        joining: &Joining,
        turn: &mut Turn,
    ) {
        let publishes = participant_type == ParticipantType::Publisher;
        let mut participant = Participant {
            user: joining.user.clone(),
            name: joining.name.clone(),
            participant_type,
            grants: joining.grants,
            video: publishes,
            audio: publishes,
            address: joining.address.clone(),
            away_since: None,
            away_until: None,
            offer_until: None,
            joined_at: now,
            order: now.as_millis(),
            resume: joining.secret.clone(),
            station: None,
            previous: None,
        };
        if self.record.is_none() {
            turn.event("room.created", |data| {
                data.insert("mode".into(), mode.as_str().into());
                data.insert("owner".into(), joining.user.as_str().into());
            });
            self.record = Some(Arc::new(Record {
                room: self.id.clone(),
                mode,
                owner: joining.user.clone(),
                owner_by_grant: joining.grants.owner,
                // The first version is 1, also where an uncounted change makes the room.
                version: u64::from(mode == Mode::P2m && !publishes),
                restored: false,
                created_at: now,
                next_order: 0,
                participants: BTreeMap::new(),
            }));
            turn.touched = true;
        }
        if mode == Mode::P2m && !publishes {
            self.insert_member(participant, turn);
        } else if let Some(record) = &mut self.record {
            let record = Arc::make_mut(record);
            participant.order = participant.order.max(record.next_order);
            record.next_order = participant.order + 1;
            turn.joined.push((&participant).into());
            if publishes {
                turn.added.push(participant.user.clone());
            }
            turn.touched = true;
            record.participants.insert(participant.user.clone(), Arc::new(participant));
        }
        self.take_over_by_grant(joining, turn);
    }

    fn insert_member(&mut self, participant: Participant, turn: &mut Turn) {
        // Whoever changes the known heirs changes the record's revision, so that nobody decides a
        // succession on heirs that are no longer the first.
        let follows = self.audience.heirs.len() >= super::HEIRS_KNOWN
            && !(participant.grants.owner && self.audience.heirs.iter().any(|heir| !heir.by_grant));
        turn.touched |= !follows;
        self.audience.count += 1;
        turn.count_viewers = true;
        turn.event("participant.joined", |data| {
            data.insert("user".into(), participant.user.as_str().into());
            data.insert("participantType".into(), "viewer".into());
        });
        let was = turn.removed_member(&participant.user);
        self.members.insert(participant.user.clone(), participant.clone());
        turn.members.push(MemberChange::Put { was, now: Box::new(participant) });
    }

    /// The first who arrives with the grant `owner` takes the room over from an owner without it.
    fn take_over_by_grant(&mut self, joining: &Joining, turn: &mut Turn) {
        let Some(record) = &mut self.record else { return };
        let is_owner = record.owner == joining.user;
        let takes_over = joining.grants.owner && !record.owner_by_grant;
        if takes_over || (is_owner && record.owner_by_grant != joining.grants.owner) {
            let record = Arc::make_mut(record);
            record.owner_by_grant = joining.grants.owner;
            turn.touched = true;
            if !is_owner {
                record.owner = joining.user.clone();
                turn.owner_changed = true;
            }
        }
    }
}
