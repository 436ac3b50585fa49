//! What Janus really has: after a restart of the regulator, or when something went unheard.

use std::collections::BTreeSet;

use mobz_core::id::{RoomId, StationId, UserId};
use mobz_core::time::Timestamp;

use super::layer::Layers;
use super::port::{Effect, Event, Handle, Kind, Seen};
use super::signal::{Parked, station_of};
use super::station::{Link, Phase, Subscription, Watching};
use super::{Doing, Plane, Seat};
use crate::opaque::Role;

impl Plane {
    /// Takes over what it does not know and should have, lets go what it should not, and notes what is gone.
    pub(super) fn seen(&mut self, since: Timestamp, rooms: &[StationId], mut handles: Vec<Seen>) {
        for room in rooms {
            if !self.stations.contains_key(room) && !self.ending.contains_key(room) {
                self.destroy(room.clone());
            }
        }
        let is_missing = |(id, station): &(&StationId, &super::Station)| {
            station.phase == Phase::Ready && station.since < since && !rooms.contains(id)
        };
        let missing: Vec<StationId> =
            self.stations.iter().filter(is_missing).map(|(id, _)| id.clone()).collect();
        for station in missing {
            self.lose(&station);
        }
        let there: BTreeSet<Handle> = handles.iter().map(|seen| seen.handle).collect();
        let is_gone =
            |(handle, held): &(&Handle, &super::Held)| held.since < since && !there.contains(handle);
        let gone: Vec<Handle> = self.handles.iter().filter(is_gone).map(|(handle, _)| *handle).collect();
        for handle in gone {
            self.event(handle, Event::Gone);
        }
        // Publishers first: those who watch have what they watch.
        handles.sort_by_key(|seen| seen.opaque.role);
        for seen in handles {
            match self.handles.get(&seen.handle) {
                Some(held) if !seen.connected && held.since < since => self.hung_unheard(seen.handle),
                Some(_) if seen.connected && seen.up => self.up_unheard(seen.handle),
                Some(_) => {}
                None => self.adopt(seen),
            }
        }
        if std::mem::take(&mut self.blind) {
            self.sighted();
        }
    }

    /// A handle whose media flow: of one that was taken up before, that may not have been heard.
    fn up_unheard(&mut self, handle: Handle) {
        let Some(seat) = self.handles.get(&handle).map(|held| held.seat.clone()) else { return };
        if seat.watcher.is_some() {
            return self.watcher_up(&seat);
        }
        let link = self.stations.get(&seat.station).and_then(|station| station.publisher.link.as_ref());
        if link.is_some_and(|link| link.handle == handle && !link.up && !link.hung) {
            self.publisher_up(&seat);
        }
    }

    /// What was asked meanwhile is done, and once more is looked for what happened meanwhile; what is for a
    /// station that only the record may know waits for that.
    fn sighted(&mut self) {
        for Parked { at, ask, signal } in std::mem::take(&mut self.parked) {
            if station_of(&signal).is_some_and(|station| self.stations.contains_key(station)) {
                self.enqueue(ask, signal);
            } else {
                self.parked.push(Parked { at, ask, signal });
            }
        }
        if !self.parked.is_empty() {
            self.out.push(Effect::ReadRecord);
        }
        self.out.push(Effect::Look);
    }

    /// A handle without connection: one that had one has lost it. A watcher that has not answered yet has none.
    fn hung_unheard(&mut self, handle: Handle) {
        let is_publisher = self.handles.get(&handle).is_some_and(|held| held.seat.watcher.is_none());
        if is_publisher {
            self.event(handle, Event::Hangup);
        }
    }

    fn adopt(&mut self, seen: Seen) {
        let Seen { handle, opaque, connected, up, session, streams } = seen;
        let watcher = match opaque.role {
            Role::Publisher => None,
            Role::Watcher => Some(opaque.user.clone()),
        };
        let seat = Seat { station: opaque.station, watcher };
        // Its command is not answered yet: the answer decides, or another look does.
        let is_awaited = |doing: &Doing| matches!(doing, Doing::Of(of, _) if *of == seat);
        if self.jobs.values().any(is_awaited) {
            self.looks_again = true;
            return;
        }
        let now = self.now;
        let station =
            self.stations.get_mut(&seat.station).filter(|station| station.assigned.room == opaque.room);
        let Some(station) = station.filter(|_| connected) else { return self.detach(handle) };
        match &seat.watcher {
            None if station.publisher.link.is_none() && station.assigned.user == opaque.user => {
                station.publisher.link =
                    Some(Link { handle, session, streams, up, hung: false, muted: true });
            }
            None => return self.detach(handle),
            Some(user) => {
                let watcher = station.watchers.entry(user.clone()).or_default();
                match watcher.state {
                    Watching::Idle | Watching::Hung { .. } => {}
                    // What it asked for since is its next one.
                    Watching::Waiting { .. } | Watching::Joined(_) => return self.detach(handle),
                }
                watcher.heard = now;
                let to = station.publisher.link.as_ref().map(|link| link.handle);
                let video = streams.into_iter().find(|stream| stream.kind == Kind::Video);
                let layers = Layers::default();
                let (replaces, lets_go) = (None, None);
                watcher.state =
                    Watching::Joined(Subscription { handle, to, replaces, lets_go, video, layers });
            }
        }
        self.hold(handle, &seat);
    }

    /// Lets go who watches in a room and is not in it any more.
    pub(super) fn present(&mut self, room: &RoomId, since: Timestamp, users: &[UserId]) {
        let mut absent = Vec::new();
        for (id, station) in self.stations.iter().filter(|(_, station)| station.assigned.room == *room) {
            let is_absent = |user: &UserId, heard: Timestamp| !users.contains(user) && heard < since;
            let watchers = station.watchers.iter().filter(|(user, watcher)| is_absent(user, watcher.heard));
            absent
                .extend(watchers.map(|(user, _)| Seat { station: id.clone(), watcher: Some(user.clone()) }));
        }
        for seat in &absent {
            self.let_go(seat);
        }
    }
}
