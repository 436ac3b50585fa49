//! Who watches a station.

use std::time::Duration;

use mobz_core::id::{Address, StationId};
use mobz_core::signal::{Code, MunitDone, Refusal, ServerSignal};

use super::layer::Layers;
use super::port::{Command, Handle, Kind, Stream, Whom};
use super::signal::Ask;
use super::station::{Item, Step, Subscription, Watching};
use super::{Plane, Seat};

/// How long a watch waits for the publisher's media; past it, it is refused `timeout`.
pub(super) const WATCH_WAIT: Duration = Duration::from_secs(10);
/// When to try again where a munit has as many viewers as it takes.
const VIEWERS_RETRY: Duration = Duration::from_secs(5);

impl Plane {
    /// Watches, or waits for the publisher to; in the place of an earlier watch.
    pub(super) fn watch(&mut self, seat: &Seat, ask: Ask, replaces: Option<StationId>) {
        self.drop_connection(seat);
        let before = self.watcher(seat).map(|watcher| std::mem::take(&mut watcher.state));
        let is_full = self.load().viewers >= self.viewers_max;
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let is_published = station.published().is_some();
        let Some(watcher) = seat.watcher.as_ref().and_then(|user| station.watchers.get_mut(user)) else {
            return;
        };
        if is_full {
            let message = "the media server takes no more viewers now; Watch again later";
            self.refuse(&ask, Refusal::new(Code::NoCapacity, message).retry_after(VIEWERS_RETRY));
        } else if is_published {
            self.subscribe(seat, Some(ask), replaces);
        } else if ask.inline {
            self.refuse(&ask, Refusal::new(Code::NotFound, "nothing is published on the station yet"));
        } else {
            // Acknowledged now, for nobody waits that long for an acknowledgement; answered later.
            let until = self.now.after(WATCH_WAIT);
            let waiting = Ask { reply_to: None, ..ask.clone() };
            watcher.state = Watching::Waiting { ask: waiting, replaces, until };
            self.acknowledge(&ask, MunitDone::default());
        }
        if let Some(ask) = before.and_then(Watching::into_ask) {
            self.refuse(&ask, Refusal::new(Code::Stale, "another Watch took the place of this one"));
        }
    }

    fn subscribe(&mut self, seat: &Seat, ask: Option<Ask>, replaces: Option<StationId>) {
        let Some(opaque) = self.opaque(seat, ask.as_ref()) else { return };
        let Some(publisher) = self.stations.get(&seat.station).map(|station| station.assigned.user.clone())
        else {
            return;
        };
        let command = Command::Subscribe { station: seat.station.clone(), publisher, opaque };
        self.start_of(seat, Step::Subscribe { ask, replaces }, command);
    }

    /// The publisher's media are there, or there anew: a watcher gets an offer.
    pub(super) fn offer_again(&mut self, seat: &Seat) {
        self.drop_connection(seat);
        let Some(watcher) = self.watcher(seat) else { return };
        match std::mem::take(&mut watcher.state) {
            Watching::Idle => {}
            Watching::Waiting { ask, replaces, .. } => self.subscribe(seat, Some(ask), replaces),
            Watching::Joined(_) | Watching::Hung { .. } => {
                self.subscribe(seat, None, Some(seat.station.clone()));
            }
        }
    }

    pub(super) fn subscribed(
        &mut self,
        seat: &Seat,
        ask: Option<Ask>,
        replaces: Option<StationId>,
        handle: Handle,
        sdp: String,
        streams: &[Stream],
    ) {
        self.hold(handle, seat);
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let (room, publisher) = (station.assigned.room.clone(), station.assigned.user.clone());
        let to = station.published();
        let Some(watcher) = seat.watcher.as_ref().and_then(|user| station.watchers.get_mut(user)) else {
            return;
        };
        let video = streams.iter().find(|stream| stream.kind == Kind::Video).cloned();
        let layers = Layers::default();
        let (lets_go, told) = (None, replaces.clone());
        watcher.state = Watching::Joined(Subscription { handle, to, replaces, lets_go, video, layers });
        let at = watcher.at.clone();
        if let Some(ask) = ask.as_ref().filter(|ask| ask.inline) {
            return self.acknowledge(ask, MunitDone { sdp: Some(sdp), ..MunitDone::default() });
        }
        let replaces = told;
        let signal = ServerSignal::WatchAck { station: seat.station.clone(), user: publisher, sdp, replaces };
        match (ask, &seat.watcher) {
            (Some(ask), _) => self.answer(&ask, signal),
            (None, Some(user)) => self.tell(Whom { room, user: user.clone(), at }, signal, None),
            (None, None) => {}
        }
    }

    /// Janus refused a subscription. Where the publisher went just then, the watcher waits for it to return.
    pub(super) fn unsubscribed(&mut self, seat: &Seat, ask: Option<Ask>, refusal: Refusal) {
        let until = self.now.after(WATCH_WAIT);
        match (ask, self.watcher(seat)) {
            (Some(ask), _) => self.refuse(&ask, refusal),
            (None, Some(watcher)) => watcher.state = Watching::Hung { until },
            (None, None) => {}
        }
    }

    pub(super) fn unwatch(&mut self, seat: &Seat, ask: &Ask) {
        self.drop_connection(seat);
        let before = self.watcher(seat).map(|watcher| std::mem::take(&mut watcher.state));
        if let Some(waited) = before.and_then(Watching::into_ask) {
            self.refuse(&waited, Refusal::new(Code::Stale, "an Unwatch took this Watch back"));
        }
        self.finish(ask);
    }

    /// Lets a watcher go, whatever it waits for.
    pub(super) fn let_go(&mut self, seat: &Seat) {
        self.drop_connection(seat);
        let Some(user) = &seat.watcher else { return };
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        let Some(watcher) = station.watchers.remove(user) else { return };
        for ask in watcher.lane.into_asks() {
            self.refuse(&ask, not_watched());
        }
        self.retire_if_empty(&seat.station);
    }

    /// Detaches a watcher's handle, if it has one; whatever follows, it is not watched over that any more.
    fn drop_connection(&mut self, seat: &Seat) {
        let until = self.now.after(WATCH_WAIT);
        let Some(watcher) = self.watcher(seat) else { return };
        let Some(handle) = watcher.handle() else { return };
        let before = std::mem::replace(&mut watcher.state, Watching::Hung { until });
        let (at, re) = (
            watcher.at.clone(),
            match before {
                Watching::Joined(mut subscription) => subscription.layers.supersede(),
                Watching::Idle | Watching::Waiting { .. } | Watching::Hung { .. } => None,
            },
        );
        self.detach(handle);
        self.tell_superseded(seat, at, re);
    }

    pub(super) fn tell_superseded(&mut self, seat: &Seat, at: Option<Address>, re: Option<String>) {
        if re.is_some()
            && let Some(whom) = self.whom(seat, at)
        {
            let refusal = Refusal::new(Code::Stale, "something else was asked for meanwhile");
            self.tell(whom, refusal.into(), re);
        }
    }

    /// Time passed: watches that waited long enough are refused, and layers that never came.
    pub(super) fn pass(&mut self) {
        let now = self.now;
        self.retire_late();
        let due = |(id, station): (&StationId, &super::Station)| {
            let users =
                station.watchers.iter().filter(|(_, watcher)| watcher.due().is_some_and(|due| due <= now));
            users
                .map(|(user, _)| Seat { station: id.clone(), watcher: Some(user.clone()) })
                .collect::<Vec<_>>()
        };
        let seats: Vec<Seat> = self.stations.iter().flat_map(due).collect();
        for seat in seats {
            let Some(station) = self.stations.get_mut(&seat.station) else { continue };
            let is_published = station.published().is_some();
            let Some(watcher) = seat.watcher.as_ref().and_then(|user| station.watchers.get_mut(user)) else {
                continue;
            };
            match &mut watcher.state {
                Watching::Idle => {}
                Watching::Waiting { .. } => {
                    if let Some(ask) = std::mem::take(&mut watcher.state).into_ask() {
                        let message = "nothing was published on the station in time; Watch again";
                        self.refuse(&ask, Refusal::new(Code::Timeout, message));
                    }
                }
                // Its own doing: it watches again when it wants to. Else it waits on for the publisher.
                Watching::Hung { .. } if is_published => watcher.state = Watching::Idle,
                Watching::Hung { until } => *until = now.after(WATCH_WAIT),
                Watching::Joined(subscription) => {
                    let lets_go = subscription.lets_go.is_some_and(|at| at <= now);
                    let is_late = subscription.layers.due().is_some_and(|due| due <= now);
                    let (re, at) =
                        (is_late.then(|| subscription.layers.supersede()).flatten(), watcher.at.clone());
                    if lets_go {
                        self.let_replaced_go(&seat);
                    }
                    if is_late && let Some(whom) = self.whom(&seat, at) {
                        let message = "the layer has not come; the publisher may not send it now";
                        self.tell(whom, Refusal::new(Code::Timeout, message).into(), re);
                    }
                }
            }
            self.tidy(&seat);
        }
    }

    /// A watcher's connection is gone.
    pub(super) fn watcher_hung(&mut self, seat: &Seat) {
        let to = match self.watcher(seat).map(|watcher| &watcher.state) {
            Some(Watching::Joined(subscription)) => subscription.to,
            Some(Watching::Idle | Watching::Waiting { .. } | Watching::Hung { .. }) | None => return,
        };
        self.drop_connection(seat);
        let Some(station) = self.stations.get_mut(&seat.station) else { return };
        // The publisher's next connection is there already, and this was the end of the one before.
        if station.published().is_some_and(|now| to != Some(now))
            && let Some(watcher) = seat.watcher.as_ref().and_then(|user| station.watchers.get_mut(user))
        {
            watcher.lane.waiting.push_front(Item::Offer);
            self.advance(seat);
        }
    }

    pub(super) fn watcher(&mut self, seat: &Seat) -> Option<&mut super::Watcher> {
        self.stations.get_mut(&seat.station)?.watchers.get_mut(seat.watcher.as_ref()?)
    }

    pub(super) fn whom(&self, seat: &Seat, at: Option<Address>) -> Option<Whom> {
        let assigned = &self.stations.get(&seat.station)?.assigned;
        let user = seat.watcher.as_ref().unwrap_or(&assigned.user).clone();
        Some(Whom { room: assigned.room.clone(), user, at })
    }
}

pub(super) fn not_watched() -> Refusal {
    Refusal::new(Code::NoSuchStation, "the station is not watched by you; Watch first")
}
