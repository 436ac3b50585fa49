//! A publisher has moved to another munit: who watches it here is handed over, then its old station goes.

use std::time::Duration;

use mobz_core::id::{RoomId, StationId};
use mobz_core::signal::{Asker, MunitSignal};

use super::port::Effect;
use super::{Plane, Seat, Watching};

/// How long watchers may take to be handed over; then the station goes all the same.
pub(super) const HAND_OVER_WAIT: Duration = Duration::from_secs(10);

/// For how long a viewer gets both the old station and the new one, unless it unwatches the old one before: its
/// connection to the new one stands, but nothing can be shown of it before a key frame comes. Janus asks a publisher
/// for one a second at most: who is the second to subscribe waits for it that long, and the picture for its way.
pub(super) const OVERLAP: Duration = Duration::from_secs(4);

impl Plane {
    /// A watcher's connection stands: what it had instead before is let go soon.
    pub(super) fn watcher_up(&mut self, seat: &Seat) {
        let lets_go = self.now.after(OVERLAP);
        let Some(watcher) = self.watcher(seat) else { return };
        if let Watching::Joined(subscription) = &mut watcher.state
            && subscription.replaces.as_ref().is_some_and(|replaced| *replaced != seat.station)
        {
            subscription.lets_go.get_or_insert(lets_go);
        }
    }

    /// Tells the munit of the station that this one replaces for a watcher that it is not watched any more.
    pub(super) fn let_replaced_go(&mut self, seat: &Seat) {
        let Some(watcher) = self.watcher(seat) else { return };
        let at = watcher.at.clone();
        let Watching::Joined(subscription) = &mut watcher.state else { return };
        subscription.lets_go = None;
        let Some(station) = subscription.replaces.take() else { return };
        let (Some(munit), Some(whom), Some(at)) = (station.munit(), self.whom(seat, at.clone()), at) else {
            return;
        };
        let from = Asker { room: whom.room, user: whom.user, at, re: None };
        self.out.push(Effect::Signal { munit, signal: MunitSignal::Unwatch { station }, from });
    }

    /// Asks the munit of `to` to offer it to everybody who watches `station` here.
    pub(super) fn hand_over(&mut self, id: &StationId, to: &StationId) {
        let Some(munit) = to.munit() else { return };
        let Some(station) = self.stations.get_mut(id) else { return };
        station.retires.get_or_insert(self.now.after(HAND_OVER_WAIT));
        for (user, watcher) in &station.watchers {
            let watches = match watcher.state {
                Watching::Joined(_) | Watching::Waiting { .. } | Watching::Hung { .. } => true,
                Watching::Idle => false,
            };
            // Of one whose address is not known after a restart, the room's news have to do.
            let Some(at) = watcher.at.clone().filter(|_| watches) else { continue };
            let from = Asker { room: station.assigned.room.clone(), user: user.clone(), at, re: None };
            let signal =
                MunitSignal::Watch { station: to.clone(), inline: false, replaces: Some(id.clone()) };
            self.out.push(Effect::Signal { munit: munit.clone(), signal, from });
        }
        self.retire_if_empty(id);
    }

    /// A station that its publisher has left goes with the last who watched it.
    pub(super) fn retire_if_empty(&mut self, id: &StationId) {
        if let Some(station) = self.stations.get(id)
            && station.retires.is_some()
            && station.watchers.is_empty()
        {
            let room = station.assigned.room.clone();
            self.out.push(Effect::Retire { station: id.clone(), room });
        }
    }

    /// Stations whose watchers were not handed over in time go all the same.
    pub(super) fn retire_late(&mut self) {
        let now = self.now;
        let late =
            |(_, station): &(&StationId, &mut super::Station)| station.retires.is_some_and(|by| by <= now);
        let late: Vec<(StationId, RoomId)> = self
            .stations
            .iter_mut()
            .filter(late)
            .map(|(id, station)| {
                // Asked again if the room does not let it go.
                station.retires = Some(now.after(HAND_OVER_WAIT));
                (id.clone(), station.assigned.room.clone())
            })
            .collect();
        self.out.extend(late.into_iter().map(|(station, room)| Effect::Retire { station, room }));
    }
}
