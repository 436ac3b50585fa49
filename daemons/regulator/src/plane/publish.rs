//! A publisher's offers, and what of its media flows.

use mobz_core::signal::ServerSignal;

use super::port::{Command, Effect, Handle, Kind, Outcome, Stream};
use super::signal::Ask;
use super::station::{Item, Link, Step, Watching};
use super::{Plane, Seat};

/// Which connection of a client's an offer is of: user name and session id of its `o=` line, which stay
/// the same over all offers of one connection (RFC 8829 §5.2.2).
pub fn offer_session(sdp: &str) -> Option<String> {
    let origin = sdp.lines().find_map(|line| line.trim_end().strip_prefix("o="))?;
    let mut words = origin.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?))
}

impl Plane {
    /// The first offer of a connection is published on a fresh handle, later ones renegotiate.
    pub(super) fn publish(&mut self, seat: &Seat, ask: Ask, sdp: String, video: bool, audio: bool) {
        let session = offer_session(&sdp);
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        (station.publisher.video, station.publisher.audio) = (video, audio);
        match &station.publisher.link {
            None => self.publish_fresh(seat, ask, sdp),
            Some(link) if !link.hung && link.session == session => {
                let command = Command::Renegotiate { handle: link.handle, sdp };
                self.start_of(seat, Step::Publish { ask, session }, command);
            }
            Some(link) => {
                // Janus takes no other connection on this handle, and no second publisher beside it.
                let command = Command::Detach(link.handle);
                self.handles.remove(&link.handle);
                station.publisher.link = None;
                self.start_of(seat, Step::Clear { ask, sdp }, command);
            }
        }
    }

    fn publish_fresh(&mut self, seat: &Seat, ask: Ask, sdp: String) {
        let Some(opaque) = self.opaque(seat, None) else { return };
        let session = offer_session(&sdp);
        let command = Command::Publish { station: seat.station.clone(), opaque, sdp };
        self.start_of(seat, Step::Publish { ask, session }, command);
    }

    /// The outcome of a seat's command.
    pub(super) fn took(&mut self, seat: &Seat, step: Step, outcome: Outcome) {
        match (step, outcome) {
            // Where the old one would not go, the publish says so.
            (Step::Clear { ask, sdp }, _) => self.publish_fresh(seat, ask, sdp),
            (Step::Publish { ask, session }, Outcome::Published { handle, sdp, streams }) => {
                self.answer(&ask, answer(seat, sdp));
                self.published(seat, Link { handle, session, streams, up: false, hung: false, muted: false });
            }
            (Step::Subscribe { ask, replaces }, Outcome::Subscribed { handle, sdp, streams }) => {
                self.subscribed(seat, ask, replaces, handle, sdp, &streams);
            }
            (Step::Plain(ask), Outcome::Done) => self.finish(&ask),
            (Step::Layer(ask), Outcome::Done) => {
                self.acknowledge(&ask, mobz_core::signal::MunitDone::default());
            }
            (Step::Mute, Outcome::Done | Outcome::Failed { .. }) => {}
            (Step::Subscribe { ask, .. }, Outcome::Failed { refusal, .. }) => {
                self.unsubscribed(seat, ask, refusal);
            }
            (Step::Layer(ask), Outcome::Failed { refusal, .. }) => {
                self.forget_layer(seat);
                self.refuse(&ask, refusal);
            }
            (Step::Publish { ask, .. } | Step::Plain(ask), Outcome::Failed { refusal, .. }) => {
                self.refuse(&ask, refusal);
            }
            // An answer to another question: as if nobody had waited for it.
            (step, outcome @ (Outcome::Done | Outcome::Published { .. } | Outcome::Subscribed { .. })) => {
                self.too_late(step, &outcome);
            }
        }
    }

    fn published(&mut self, seat: &Seat, link: Link) {
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let before = station.publisher.link.replace(link);
        let Some(link) = &mut station.publisher.link else { return };
        let handle = link.handle;
        if let Some(before) = before.filter(|before| before.handle == handle) {
            (link.up, link.muted) = (before.up, before.muted);
        }
        let mute = link.muted || !station.publisher.video || !station.publisher.audio;
        self.hold(handle, seat);
        if mute && let Some(command) = self.mutes(seat) {
            self.start_of(seat, Step::Mute, command);
        }
    }

    /// A publisher's media may flow: who waits for them is offered them, and who had those of an earlier connection.
    pub(super) fn publisher_up(&mut self, seat: &Seat) {
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let Some(link) = &mut station.publisher.link else { return };
        let is_first = !std::mem::replace(&mut link.up, true);
        let handle = link.handle;
        if is_first {
            let (room, user) = (station.assigned.room.clone(), station.assigned.user.clone());
            self.out.push(Effect::Flows { station: seat.station.clone(), room, user });
        }
        let mut users = Vec::new();
        for (user, watcher) in &mut station.watchers {
            let waits = match &watcher.state {
                Watching::Waiting { .. } | Watching::Hung { .. } => true,
                Watching::Joined(subscription) => subscription.to != Some(handle),
                Watching::Idle => false,
            };
            if waits {
                watcher.lane.waiting.push_front(Item::Offer);
                users.push(user.clone());
            }
        }
        for user in users {
            self.advance(&Seat { station: seat.station.clone(), watcher: Some(user) });
        }
    }

    /// What flows of a publisher's media from now on.
    pub(super) fn mute(&mut self, seat: &Seat, ask: Ask, video: bool, audio: bool) {
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        (station.publisher.video, station.publisher.audio) = (video, audio);
        match self.mutes(seat) {
            Some(command) => self.start_of(seat, Step::Plain(ask), command),
            // It holds from the first offer on.
            None => self.finish(&ask),
        }
    }

    fn mutes(&mut self, seat: &Seat) -> Option<Command> {
        let station = self.stations.get_mut(&seat.station)?;
        let (video, audio) = (station.publisher.video, station.publisher.audio);
        let link = station.publisher.link.as_mut()?;
        link.muted = !video || !audio;
        let is_muted = |stream: &Stream| match stream.kind {
            Kind::Audio => !audio,
            Kind::Video => !video,
        };
        let mids: Vec<_> = link.streams.iter().map(|stream| (stream.mid.clone(), is_muted(stream))).collect();
        let publisher = station.assigned.user.clone();
        (!mids.is_empty()).then(|| Command::Mute { station: seat.station.clone(), publisher, mids })
    }

    /// A publisher's peer connection is gone: its next offer is taken on a fresh handle.
    pub(super) fn publisher_hung(&mut self, seat: &Seat, gone: Option<Handle>) {
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        match gone {
            Some(_) => station.publisher.link = None,
            None => {
                if let Some(link) = &mut station.publisher.link {
                    link.hung = true;
                }
            }
        }
    }
}

fn answer(seat: &Seat, sdp: String) -> ServerSignal {
    ServerSignal::Answer { from: None, sdp, station: Some(seat.station.clone()) }
}
