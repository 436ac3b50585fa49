//! Media signals of an m2m room: from a participant to the munit of a station, which answers it itself.
//!
//! None of them changes the room but an `Offer` that is placed first, and that comes back as an input.

use super::leave::no_such_user;
use super::record::{Mode, Participant, ParticipantType};
use super::settle::Turn;
use super::{Effect, Placing, Purpose, Room};
use crate::id::{MunitId, StationId};
use crate::signal::{
    Asker, Code, Description, IceCandidate, MunitSignal, Refusal, SimulcastUpdate, StationOnly, Watch,
};

impl Room<'_> {
    /// A publisher's `Offer`: to its station, or to be placed where it has none yet.
    pub(super) fn publish(
        &self,
        sender: &Participant,
        sdp: String,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        if sender.participant_type == ParticipantType::Viewer {
            let message = "only a publisher may Offer; send PublishRequest first";
            return Err(Refusal::new(Code::NotPublisher, message));
        }
        let Some(station) = &sender.station else {
            let re = re.map(str::to_owned);
            let placing = self.placing(sender, Purpose::Publish { sdp, re });
            turn.last.push(Effect::Place(Box::new(placing)));
            return Ok(());
        };
        self.ask(sender, station, offered(sender, station, sdp), re, turn)
    }

    /// A viewer's `Answer` to the offer of a station it watches.
    pub(super) fn answer_station(
        &self,
        sender: &Participant,
        answer: Description,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let Some(station) = answer.station else {
            return Err(Refusal::bad("station", "say which station's offer this answers"));
        };
        self.publisher_on(&station)?;
        let signal = MunitSignal::Answer { station: station.clone(), sdp: answer.sdp };
        self.ask(sender, &station, signal, re, turn)
    }

    /// A candidate for the station it names, else for the sender's own.
    pub(super) fn trickle(
        &self,
        sender: &Participant,
        mut candidate: IceCandidate,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let station = candidate.station.take().or_else(|| sender.station.clone());
        let station = station.ok_or_else(|| no_such_station(None))?;
        self.publisher_on(&station)?;
        let signal = MunitSignal::Candidate { station: station.clone(), candidate };
        self.ask(sender, &station, signal, re, turn)
    }

    pub(super) fn watch(
        &self,
        sender: &Participant,
        watch: Watch,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        self.in_group("Watch")?;
        if !sender.grants.watch {
            return Err(Refusal::new(Code::Forbidden, "the token does not grant `watch`; get one that does"));
        }
        if let Some(user) = &watch.user
            && self.find(user).is_none()
        {
            return Err(no_such_user(user));
        }
        let station = match (watch.station, &watch.user) {
            (Some(station), _) => station,
            (None, Some(user)) => {
                let station = self.find(user).and_then(|publisher| publisher.station.clone());
                station.ok_or_else(|| {
                    let message = format!("{user} has no station now; wait for PublishListChangeAck");
                    Refusal::new(Code::NoSuchStation, message)
                })?
            }
            (None, None) => return Err(Refusal::bad("station", "say whom to watch")),
        };
        let publisher = self.publisher_on(&station)?;
        if watch.user.is_some_and(|user| user != publisher.user) {
            return Err(no_such_station(Some(&station)));
        }
        if publisher.user == sender.user {
            return Err(Refusal::new(
                Code::Forbidden,
                "that is your own station; show what you send instead",
            ));
        }
        let signal = MunitSignal::Watch { station: station.clone(), inline: false, replaces: None };
        self.ask(sender, &station, signal, re, turn)
    }

    pub(super) fn unwatch(
        &self,
        sender: &Participant,
        unwatch: StationOnly,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        self.in_group("Unwatch")?;
        let StationOnly { station } = unwatch;
        self.publisher_on(&station)?;
        self.ask(sender, &station, MunitSignal::Unwatch { station: station.clone() }, re, turn)
    }

    pub(super) fn choose_layer(
        &self,
        sender: &Participant,
        update: SimulcastUpdate,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        self.in_group("SimulcastUpdate")?;
        let SimulcastUpdate { station, substream, temporal } = update;
        self.publisher_on(&station)?;
        let signal = MunitSignal::Layer { station: station.clone(), substream, temporal };
        self.ask(sender, &station, signal, re, turn)
    }

    /// Has the media of all of `sender`'s stations flow as its flags say by now.
    pub(super) fn mute(&self, sender: &Participant, turn: &mut Turn) {
        let Some(now) = self.find(&sender.user) else { return };
        let (video, audio) = (now.video, now.audio);
        for station in now.stations() {
            turn.tell_munit(station, MunitSignal::Mute { station: station.clone(), video, audio });
        }
    }

    /// Where a publisher's next station shall lie, and what is done there.
    pub(super) fn placing(&self, publisher: &Participant, purpose: Purpose) -> Placing {
        let others = self.listed().filter(|other| other.user != publisher.user);
        let room_has: Vec<MunitId> =
            others.flat_map(Participant::stations).filter_map(StationId::munit).collect();
        Placing {
            user: publisher.user.clone(),
            order: publisher.order,
            address: publisher.address.clone(),
            purpose,
            room_has,
            apart_from: Vec::new(),
            on: None,
        }
    }

    /// Hands a signal of `sender` to a station's munit.
    pub(super) fn ask(
        &self,
        sender: &Participant,
        station: &StationId,
        signal: MunitSignal,
        re: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let munit = station.munit().ok_or_else(|| no_such_station(Some(station)))?;
        let from = Asker {
            room: self.id.clone(),
            user: sender.user.clone(),
            at: sender.address.clone(),
            re: re.map(str::to_owned),
        };
        turn.last.push(Effect::Munit { munit, signal, from: Some(from) });
        Ok(())
    }

    /// Whose station it is; also one that its publisher is moving away from.
    pub(super) fn publisher_on(&self, station: &StationId) -> Result<&Participant, Refusal> {
        let publisher = self.record.as_ref().and_then(|record| record.publisher_on(station));
        publisher.ok_or_else(|| no_such_station(Some(station)))
    }

    /// The stations of others whose offers a `JoinAck` brings (PROTOCOL.md §3, `publishers`).
    pub(super) fn to_watch(&self, entering: &Participant, resumed: bool) -> Vec<StationId> {
        if resumed || !entering.grants.watch || self.mode() != Some(Mode::M2m) {
            return Vec::new();
        }
        let others = self.publishers().filter(|publisher| publisher.user != entering.user);
        others.filter_map(|publisher| publisher.station.clone()).collect()
    }
}

/// A publisher's offer for its station.
pub(super) fn offered(publisher: &Participant, station: &StationId, sdp: String) -> MunitSignal {
    let (video, audio) = (publisher.video, publisher.audio);
    MunitSignal::Publish { station: station.clone(), sdp, video, audio }
}

/// The refusal for a station that is not there.
pub(super) fn no_such_station(station: Option<&StationId>) -> Refusal {
    let message = match station {
        Some(station) => format!("there is no station {station} in the room; see `publishers`"),
        None => "you have no station yet; name one, or Offer first".to_owned(),
    };
    Refusal::new(Code::NoSuchStation, message)
}
