//! Watching: what a watcher asks of stations, and of the room's state.

use super::leave::no_such_user;
use super::record::{Mode, Participant};
use super::relay::no_such_station;
use super::settle::Turn;
use super::{Effect, Room};
use crate::id::StationId;
use crate::signal::{Code, ParticipantView, Refusal, ServerSignal, Watch};

impl Room<'_> {
    pub(super) fn watch(&self, sender: &Participant, watch: &Watch) -> Result<(), Refusal> {
        if self.mode() != Some(Mode::M2m) {
            return Err(self.mode_mismatch("Watch"));
        }
        if !sender.grants.watch {
            return Err(Refusal::new(Code::Forbidden, "the token does not grant `watch`; get one that does"));
        }
        if let Some(user) = &watch.user
            && self.find(user).is_none()
        {
            return Err(no_such_user(user));
        }
        Err(no_such_station(watch.station.as_ref()))
    }

    /// `Unwatch` and `SimulcastUpdate` need a station that is watched.
    pub(super) fn with_station(&self, station: &StationId) -> Result<(), Refusal> {
        if self.mode() != Some(Mode::M2m) {
            return Err(self.mode_mismatch("watching of stations"));
        }
        Err(no_such_station(Some(station)))
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
    pub(super) fn participants_for(&self, viewer: &Participant) -> Vec<ParticipantView> {
        let oneself = self.members.get(&viewer.user);
        self.listed().chain(oneself).map(Into::into).collect()
    }
}
