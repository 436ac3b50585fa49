//! Stations as the room knows them: placed, moved, lost, let go.

use std::collections::BTreeSet;
use std::time::Duration;

use super::media::offered;
use super::record::{Participant, ParticipantType, Previous};
use super::settle::Turn;
use super::{Effect, Placing, Purpose, Room};
use crate::id::{Address, MunitId, StationId};
use crate::signal::{Code, Moved, MunitSignal, Refusal, ServerSignal};
use crate::time::Timestamp;

/// How long a publisher that is moved has for its new Offer before the station it moves from goes.
pub const MOVE_WAIT: Duration = Duration::from_secs(30);

impl Room<'_> {
    /// A munit has the station on record: it is its publisher's, or goes again if that one has no use for it.
    pub(super) fn placed(&mut self, now: Timestamp, placing: Placing, station: StationId, turn: &mut Turn) {
        let Placing { user, order, address, purpose, .. } = placing;
        let there = self.find(&user).filter(|there| there.order == order).cloned();
        match (there, purpose) {
            (Some(there), Purpose::Publish { sdp, re }) => {
                self.first_station(&there, station, sdp, re, turn);
            }
            (Some(there), Purpose::Move { from })
                if there.station.as_ref() == Some(&from) && there.previous.is_none() =>
            {
                self.next_station(now, &there, from, station, turn);
            }
            (None, Purpose::Publish { re, .. }) => {
                turn.unassign(station);
                let gone = "you have left or joined again since this Offer; Offer again";
                turn.refuse(&address, Refusal::new(Code::NotJoined, gone), re);
            }
            (Some(_) | None, Purpose::Move { .. }) => turn.unassign(station),
        }
    }

    fn first_station(
        &mut self,
        there: &Participant,
        station: StationId,
        sdp: String,
        re: Option<String>,
        turn: &mut Turn,
    ) {
        if there.participant_type == ParticipantType::Viewer {
            turn.unassign(station);
            let late = "you are no publisher any more; send PublishRequest first";
            return turn.refuse(&there.address, Refusal::new(Code::NotPublisher, late), re);
        }
        let station = if let Some(earlier) = there.station.clone() {
            // It has offered twice at once: the first to be placed counts.
            turn.unassign(station);
            earlier
        } else {
            self.change(&there.user, turn, |publisher| {
                publisher.station = Some(station.clone());
                publisher.offer_until = None;
            });
            turn.stations_changed = true;
            self.assign(there, &station, turn);
            station
        };
        let offer = offered(there, &station, sdp);
        // A station's munit is known: `StationId::on` made it.
        let _ = self.ask(there, &station, offer, re.as_deref(), turn);
    }

    fn next_station(
        &mut self,
        now: Timestamp,
        there: &Participant,
        from: StationId,
        to: StationId,
        turn: &mut Turn,
    ) {
        let until = now.after(MOVE_WAIT);
        self.change(&there.user, turn, |publisher| {
            publisher.previous = Some(Previous { station: from.clone(), until });
            publisher.station = Some(to.clone());
        });
        self.assign(there, &to, turn);
        turn.event("station.moved", |data| {
            data.insert("user".into(), there.user.as_str().into());
            data.insert("from".into(), from.as_str().into());
            data.insert("to".into(), to.as_str().into());
        });
        turn.moved.push(Moved { user: there.user.clone(), from, to });
    }

    /// Asks for another station for the publisher of this one, on another munit.
    pub(super) fn move_station(
        &self,
        station: &StationId,
        to: Option<MunitId>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let publisher = self.publisher_on(station)?;
        if publisher.previous.is_some() {
            // It is on its way already.
            return Ok(());
        }
        let from = station.clone();
        let mut placing = self.placing(publisher, Purpose::Move { from });
        placing.apart_from.extend(station.munit());
        placing.on = to;
        turn.last.push(Effect::Place(Box::new(placing)));
        Ok(())
    }

    /// The station that a publisher has moved away from has done its work.
    pub(super) fn retire(&mut self, station: &StationId, turn: &mut Turn) {
        let moved_on =
            |there: &&Participant| there.previous.as_ref().is_some_and(|old| old.station == *station);
        let Some(publisher) = self.listed().find(moved_on).cloned() else { return };
        self.change(&publisher.user, turn, |publisher| publisher.previous = None);
        let_go(&publisher, station, turn);
    }

    /// A station is gone or given up: everyone is told, and its publisher may Offer again if `retry` says so.
    pub(super) fn station_lost(&mut self, station: &StationId, retry: bool, turn: &mut Turn) {
        let Ok(publisher) = self.publisher_on(station).cloned() else { return };
        let is_previous = publisher.station.as_ref() != Some(station);
        self.change(&publisher.user, turn, |publisher| {
            publisher.previous = None;
            if !is_previous {
                publisher.station = None;
            }
        });
        turn.stations_changed |= !is_previous;
        let lost = if is_previous { vec![station] } else { publisher.stations().collect() };
        for lost in lost {
            self.tell_lost(&publisher, lost, retry && !is_previous, turn);
        }
    }

    /// A moved publisher has made no use of its new station for too long: the old one goes all the same.
    pub(super) fn move_is_over(&mut self, publisher: &Participant, turn: &mut Turn) {
        let Some(Previous { station, .. }) = &publisher.previous else { return };
        self.change(&publisher.user, turn, |publisher| publisher.previous = None);
        self.tell_lost(publisher, station, true, turn);
    }

    /// All that a participant had of munits goes with it: its stations, and what it watches.
    pub(super) fn release(&self, participant: &Participant, turn: &mut Turn) {
        for station in participant.stations() {
            let_go(participant, station, turn);
        }
        let others = self.listed().filter(|other| other.user != participant.user);
        let others: BTreeSet<MunitId> =
            others.flat_map(Participant::stations).filter_map(StationId::munit).collect();
        for munit in others {
            let signal = MunitSignal::Forget { room: self.id.clone(), user: participant.user.clone() };
            turn.last.push(Effect::Munit { munit, signal, from: None });
        }
    }

    fn assign(&self, publisher: &Participant, station: &StationId, turn: &mut Turn) {
        tell_of("station.assigned", publisher, station, turn);
        let (room, user) = (self.id.clone(), publisher.user.clone());
        turn.tell_munit(station, MunitSignal::Assign { station: station.clone(), room, user });
    }

    fn tell_lost(&self, publisher: &Participant, station: &StationId, retry: bool, turn: &mut Turn) {
        tell_of("station.lost", publisher, station, turn);
        turn.unassign(station.clone());
        let there = self.listed().filter(|there| !there.is_away());
        let to: Vec<Address> = there.map(|there| there.address.clone()).collect();
        if !to.is_empty() {
            let (station, user) = (station.clone(), publisher.user.clone());
            turn.first.push(Effect::Tell { to, signal: ServerSignal::StationLost { station, user, retry } });
        }
    }
}

/// The station goes from its munit, and the log says so.
pub(super) fn let_go(publisher: &Participant, station: &StationId, turn: &mut Turn) {
    tell_of("station.unassigned", publisher, station, turn);
    turn.unassign(station.clone());
}

fn tell_of(event: &'static str, publisher: &Participant, station: &StationId, turn: &mut Turn) {
    turn.event(event, |data| {
        data.insert("user".into(), publisher.user.as_str().into());
        data.insert("station".into(), station.as_str().into());
        data.insert("munit".into(), station.munit().map(String::from).into());
    });
}
