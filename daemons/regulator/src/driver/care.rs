//! What nobody uses any more: stations that no room knows, and viewers who are in no room.

use std::collections::BTreeMap;

use mobz_core::fsck::ORPHAN_AFTER;
use mobz_core::id::{RoomId, StationId, UserId};
use mobz_core::munit;
use mobz_core::store::Asked;
use mobz_core::time::Timestamp;
use mobz_runtime::clock;

use super::{Driver, News};
use crate::plane::Input;

impl Driver {
    /// Looks at every room that has a station here.
    pub(super) fn care(&mut self) {
        if std::mem::replace(&mut self.caring, true) {
            return;
        }
        let mut rooms: BTreeMap<RoomId, Vec<(StationId, Timestamp)>> = BTreeMap::new();
        for (station, assigned) in self.plane.stations() {
            rooms.entry(assigned.room).or_default().push((station, assigned.at));
        }
        let store = self.store.clone();
        self.beside(async move {
            let (mut orphans, mut present) = (Vec::new(), Vec::new());
            for (room, stations) in rooms {
                let since = clock::now();
                // What the store cannot say is looked at next time.
                let Ok(loaded) = store.load(&room, Asked::Users(Vec::new())).await else { continue };
                let record = loaded.record;
                let is_known = |station: &StationId| {
                    record.as_ref().is_some_and(|record| record.publisher_on(station).is_some())
                };
                let is_orphan = |(station, at): &(StationId, Timestamp)| {
                    since.since(*at) > ORPHAN_AFTER && !is_known(station)
                };
                orphans.extend(stations.into_iter().filter(is_orphan).map(|(station, _)| station));
                if let Some(record) = &record {
                    present.push((room, since, record.participants.keys().cloned().collect::<Vec<UserId>>()));
                }
            }
            Some(News::Cared { orphans, present })
        });
    }

    /// A station that no room has known at two looks goes: a store that came back empty is given its
    /// rooms back in between.
    pub(super) fn cared(&mut self, orphans: Vec<StationId>, present: Vec<(RoomId, Timestamp, Vec<UserId>)>) {
        self.caring = false;
        let before = std::mem::replace(&mut self.orphans, orphans);
        let gone: Vec<StationId> =
            self.orphans.iter().filter(|orphan| before.contains(orphan)).cloned().collect();
        for station in gone {
            tracing::warn!(%station, "no room knows the station; it goes");
            self.metrics.orphans.inc();
            let (node, munit) = (self.node.clone(), self.munit.id.clone());
            self.beside(async move {
                match node.change_munit(&munit, munit::Input::Unassign(station)).await {
                    Ok(_) => Some(News::Written(Ok(()))),
                    Err(_) => None,
                }
            });
        }
        for (room, since, users) in present {
            self.apply(Input::Present { room, since, users });
        }
    }
}
