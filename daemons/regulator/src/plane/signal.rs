//! Signals of nodes: which lane each waits in, and how it is answered.

use mobz_core::id::{RoomId, StationId, UserId};
use mobz_core::munit::Assigned;
use mobz_core::signal::{Asker, Code, MunitAck, MunitDone, MunitMessage, MunitSignal, Refusal, ServerSignal};
use mobz_core::time::Timestamp;

use super::port::{Command, Effect, Whom};
use super::station::{Item, Phase, Step, WAITING_MAX, Watching};
use super::{Plane, Seat};

/// The most signals for unknown stations that wait for the record to be read; further ones are refused.
const PARKED_MAX: usize = 1024;

/// Who asked, and how it is answered.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) id: String,
    /// `None` once it is acknowledged.
    pub(super) reply_to: Option<String>,
    pub(super) from: Option<Asker>,
    /// Whether the answer goes into the acknowledgement, and nothing to the client.
    pub(super) inline: bool,
}

impl Ask {
    pub(super) fn whom(&self) -> Option<Whom> {
        let Asker { room, user, at, .. } = self.from.clone()?;
        Some(Whom { room, user, at: Some(at) })
    }

    pub(super) fn re(&self) -> Option<String> {
        self.from.as_ref()?.re.clone()
    }
}

/// A signal for a station that only the record may know.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) at: Timestamp,
    pub(super) ask: Ask,
    pub(super) signal: MunitSignal,
}

/// The station a media signal is for.
pub(super) fn station_of(signal: &MunitSignal) -> Option<&StationId> {
    match signal {
        MunitSignal::Publish { station, .. }
        | MunitSignal::Watch { station, .. }
        | MunitSignal::Answer { station, .. }
        | MunitSignal::Candidate { station, .. }
        | MunitSignal::Unwatch { station }
        | MunitSignal::Layer { station, .. }
        | MunitSignal::Mute { station, .. }
        | MunitSignal::HandOver { station, .. }
        | MunitSignal::Assign { station, .. }
        | MunitSignal::Unassign { station } => Some(station),
        MunitSignal::Drain { .. }
        | MunitSignal::Revive
        | MunitSignal::Stop { .. }
        | MunitSignal::Forget { .. }
        | MunitSignal::Report { .. }
        | MunitSignal::Reconcile => None,
    }
}

impl Plane {
    pub(super) fn signal(&mut self, message: MunitMessage) {
        let MunitMessage { signal, id, reply_to, from } = message;
        let inline = matches!(signal, MunitSignal::Watch { inline: true, .. });
        let ask = Ask { id, reply_to: Some(reply_to), from, inline };
        match signal {
            MunitSignal::Assign { station, room, user } => {
                if station.munit().as_ref() == Some(&self.munit) {
                    self.assign(station, Assigned { user, room, at: self.now });
                }
                self.woken(&ask);
            }
            MunitSignal::Unassign { station } => {
                self.end(&station);
                self.woken(&ask);
            }
            MunitSignal::Drain { .. } | MunitSignal::Revive | MunitSignal::Stop { .. } => self.woken(&ask),
            MunitSignal::Forget { room, user } => {
                self.forget(&room, &user);
                self.acknowledge(&ask, MunitDone::default());
            }
            MunitSignal::Report { stations, after, detail } => {
                self.report(ask, &stations, after.as_ref(), detail);
            }
            MunitSignal::Reconcile => {
                self.out.push(Effect::Look);
                self.woken(&ask);
            }
            MunitSignal::HandOver { station, to } => {
                self.hand_over(&station, &to);
                self.acknowledge(&ask, MunitDone::default());
            }
            MunitSignal::Publish { .. }
            | MunitSignal::Watch { .. }
            | MunitSignal::Answer { .. }
            | MunitSignal::Candidate { .. }
            | MunitSignal::Unwatch { .. }
            | MunitSignal::Layer { .. }
            | MunitSignal::Mute { .. } => {
                let is_here = |station| self.stations.contains_key(station);
                if !self.blind && station_of(&signal).is_some_and(is_here) {
                    self.enqueue(ask, signal);
                } else if self.blind && self.parked.len() < PARKED_MAX {
                    self.parked.push(Parked { at: self.now, ask, signal });
                } else if let MunitSignal::Unwatch { .. } = signal {
                    // Gone already.
                    self.finish(&ask);
                } else if self.parked.len() < PARKED_MAX {
                    self.parked.push(Parked { at: self.now, ask, signal });
                    self.out.push(Effect::ReadRecord);
                } else {
                    self.refuse(&ask, busy());
                }
            }
        }
    }

    /// A signal that only says that the record has changed.
    fn woken(&mut self, ask: &Ask) {
        self.out.push(Effect::ReadRecord);
        self.acknowledge(ask, MunitDone::default());
    }

    /// Puts a signal for a station that is here into its lane.
    pub(super) fn enqueue(&mut self, ask: Ask, signal: MunitSignal) {
        let Some(id) = station_of(&signal).cloned() else { return };
        let Some(station) = self.stations.get_mut(&id) else { return };
        let asker = ask.from.as_ref().map(|from| (&from.user, &from.at));
        let of_publisher =
            |user: &UserId| *user == station.assigned.user && !station.watchers.contains_key(user);
        let is_publishers = match (&signal, asker) {
            (MunitSignal::Mute { .. }, _) => true,
            (MunitSignal::Publish { .. }, Some((user, _))) => *user == station.assigned.user,
            (MunitSignal::Candidate { .. }, Some((user, _))) => of_publisher(user),
            (_, Some(_)) => false,
            (_, None) => {
                return self
                    .refuse(&ask, Refusal::new(Code::BadSignal, "the signal names nobody it is from"));
            }
        };
        let (lane, seat) = if is_publishers {
            if let Some((_, at)) = asker {
                station.publisher.at = Some(at.clone());
            }
            (&mut station.publisher.lane, Seat { station: id, watcher: None })
        } else if let (Some((user, at)), false) = (asker, matches!(signal, MunitSignal::Publish { .. })) {
            let watcher = station.watchers.entry(user.clone()).or_default();
            (watcher.at, watcher.heard) = (Some(at.clone()), self.now);
            (&mut watcher.lane, Seat { station: id, watcher: Some(user.clone()) })
        } else {
            let message = "the station is another publisher's; Offer without a station";
            return self.refuse(&ask, Refusal::new(Code::NotPublisher, message));
        };
        if lane.waiting.len() < WAITING_MAX {
            lane.waiting.push_back(Item::Signal(Box::new((ask, signal))));
        } else {
            self.refuse(&ask, busy());
        }
        self.advance(&seat);
    }

    /// Does what waits in a lane, until something must be waited for.
    pub(super) fn advance(&mut self, seat: &Seat) {
        loop {
            let Some(station) = self.stations.get_mut(&seat.station) else { return };
            let phase = station.phase;
            let Some(lane) = self.lane(seat).filter(|lane| lane.busy.is_none()) else { break };
            let is_offer = lane.waiting.front().is_some_and(Item::is_offer);
            match phase {
                Phase::Making if is_offer => return,
                Phase::Unmade if is_offer => return self.make(seat.station.clone()),
                Phase::Making | Phase::Unmade | Phase::Ready => {}
            }
            match lane.waiting.pop_front() {
                None => break,
                Some(Item::Offer) => self.offer_again(seat),
                Some(Item::Signal(asked)) => {
                    let (ask, signal) = *asked;
                    self.media(seat, ask, signal);
                }
            }
        }
        self.tidy(seat);
    }

    fn media(&mut self, seat: &Seat, ask: Ask, signal: MunitSignal) {
        match signal {
            MunitSignal::Publish { sdp, video, audio, .. } => self.publish(seat, ask, sdp, video, audio),
            MunitSignal::Mute { video, audio, .. } => self.mute(seat, ask, video, audio),
            MunitSignal::Watch { replaces, .. } => self.watch(seat, ask, replaces),
            MunitSignal::Answer { sdp, .. } => {
                self.on_handle(seat, ask, |handle| Command::Start { handle, sdp });
            }
            MunitSignal::Candidate { candidate, .. } => {
                self.on_handle(seat, ask, |handle| Command::Trickle { handle, candidate });
            }
            MunitSignal::Unwatch { .. } => self.unwatch(seat, &ask),
            MunitSignal::Layer { substream, temporal, .. } => self.layer(seat, ask, substream, temporal),
            // None of a lane's.
            MunitSignal::Assign { .. }
            | MunitSignal::Unassign { .. }
            | MunitSignal::Drain { .. }
            | MunitSignal::Revive
            | MunitSignal::Stop { .. }
            | MunitSignal::Forget { .. }
            | MunitSignal::HandOver { .. }
            | MunitSignal::Report { .. }
            | MunitSignal::Reconcile => {}
        }
    }

    /// A command on the seat's handle, whose end is acknowledged.
    fn on_handle(&mut self, seat: &Seat, ask: Ask, command: impl FnOnce(super::Handle) -> Command) {
        let station = self.stations.get(&seat.station);
        let handle = station.and_then(|station| match &seat.watcher {
            None => station.publisher.link.as_ref().map(|link| link.handle),
            Some(user) => station.watchers.get(user)?.handle(),
        });
        match handle {
            Some(handle) => self.start_of(seat, Step::Plain(ask), command(handle)),
            None if seat.watcher.is_none() => {
                self.refuse(
                    &ask,
                    Refusal::new(Code::NoSuchStation, "nothing is published on the station; Offer first"),
                );
            }
            None => self.refuse(&ask, super::watch::not_watched()),
        }
    }

    /// A watcher of nothing is no more.
    pub(super) fn tidy(&mut self, seat: &Seat) {
        let Some(user) = &seat.watcher else { return };
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let is_over =
            |watcher: &super::Watcher| matches!(watcher.state, Watching::Idle) && watcher.lane.is_empty();
        if station.watchers.get(user).is_some_and(is_over) {
            station.watchers.remove(user);
            self.retire_if_empty(&seat.station);
        }
    }

    pub(super) fn tell(&mut self, whom: Whom, signal: ServerSignal, re: Option<String>) {
        self.out.push(Effect::Tell { whom, signal: Box::new(signal), re });
    }

    /// Answers with `signal`, and acknowledges.
    pub(super) fn answer(&mut self, ask: &Ask, signal: ServerSignal) {
        if let Some(whom) = ask.whom() {
            self.tell(whom, signal, ask.re());
        }
        self.acknowledge(ask, MunitDone::default());
    }

    /// Says that it is done, where that was asked for.
    pub(super) fn finish(&mut self, ask: &Ask) {
        if let (Some(whom), Some(re), false) = (ask.whom(), ask.re(), ask.inline) {
            self.tell(whom, ServerSignal::Ack, Some(re));
        }
        self.acknowledge(ask, MunitDone::default());
    }

    pub(super) fn refuse(&mut self, ask: &Ask, refusal: Refusal) {
        if let (Some(whom), false) = (ask.whom(), ask.inline) {
            self.tell(whom, refusal.clone().into(), ask.re());
        }
        self.reply(ask, MunitAck { re: ask.id.clone(), ok: None, error: Some(refusal.into()) });
    }

    pub(super) fn acknowledge(&mut self, ask: &Ask, done: MunitDone) {
        self.reply(ask, MunitAck { re: ask.id.clone(), ok: Some(done), error: None });
    }

    fn reply(&mut self, ask: &Ask, ack: MunitAck) {
        if let Some(reply_to) = ask.reply_to.clone() {
            self.out.push(Effect::Ack { reply_to, ack });
        }
    }

    /// All that a participant watches in a room goes.
    fn forget(&mut self, room: &RoomId, user: &UserId) {
        let of_room = self.stations.iter().filter(|(_, station)| station.assigned.room == *room);
        let stations: Vec<StationId> = of_room.map(|(id, _)| id.clone()).collect();
        for station in stations {
            self.let_go(&Seat { station, watcher: Some(user.clone()) });
        }
    }
}

fn busy() -> Refusal {
    let message = "too many signals wait already; send them once those before are answered";
    Refusal::new(Code::RateLimited, message).retry_after(std::time::Duration::from_secs(1))
}
