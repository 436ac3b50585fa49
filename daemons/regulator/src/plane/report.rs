//! What the munit holds, for those who ask: what the plane knows, and what is to be asked of Janus beside.

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::{StationId, UserId};
use mobz_core::signal::{Detail, Holding, MunitDone, REPORT_MAX, Report};

use super::Plane;
use super::port::{Effect, Handle};
use super::signal::Ask;
use super::station::{Station, Watching};

/// A report that Janus has to add to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examining {
    /// The channel it is acknowledged on.
    pub reply_to: String,
    /// The `id` of the signal that asked for it.
    pub re: String,
    /// How much is asked for.
    pub detail: Detail,
    /// Only these stations; empty is all.
    pub stations: BTreeSet<StationId>,
    /// Only those after this one.
    pub after: Option<StationId>,
    /// What the plane knows.
    pub known: BTreeMap<StationId, Known>,
}

/// What the plane knows of a station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What is told of it.
    pub holding: Holding,
    /// The publisher's handle, where its media may flow.
    pub publisher: Option<Handle>,
    /// Whether its video, and its audio, is dropped here.
    pub muted: Muted,
    /// Who gets its media.
    pub watchers: Vec<Watched>,
}

/// What of a publisher's media is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    /// Its video.
    pub video: bool,
    /// Its audio.
    pub audio: bool,
}

/// Somebody who gets a station's media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Who.
    pub user: UserId,
    /// Its handle.
    pub handle: Handle,
}

impl Plane {
    /// Tells what is held of these stations, or of all.
    pub(super) fn report(
        &mut self,
        ask: Ask,
        stations: &[StationId],
        after: Option<&StationId>,
        detail: Detail,
    ) {
        let stations: BTreeSet<StationId> = stations.iter().cloned().collect();
        let known = self.stations.iter().map(|(id, station)| (id, known(station)));
        // One that is on its way out is still held.
        let ending = self.ending.iter().map(|(id, then)| {
            let of = then.as_ref().map(|assigned| (assigned.room.clone(), assigned.user.clone()));
            (id, Known { holding: Holding { of, ..Holding::default() }, ..Known::default() })
        });
        let is_asked = |id: &StationId| is_asked(id, &stations, after);
        let known: BTreeMap<StationId, Known> = ending
            .chain(known)
            .filter(|(id, _)| is_asked(id))
            .map(|(id, known)| (id.clone(), known))
            .collect();
        if detail == Detail::Known {
            let report = page(known.into_iter().map(|(id, known)| (id, known.holding)));
            let report = Some(Box::new(report));
            return self.acknowledge(&ask, MunitDone { report, ..MunitDone::default() });
        }
        let Some(reply_to) = ask.reply_to else { return };
        let after = after.cloned();
        let examining = Examining { reply_to, re: ask.id, detail, stations, after, known };
        self.out.push(Effect::Examine(Box::new(examining)));
    }
}

impl Examining {
    /// What is asked for: what the plane knows beside the rooms that Janus has, at most [`REPORT_MAX`], and
    /// whether there is more.
    pub fn beside(self, rooms: impl IntoIterator<Item = StationId>) -> (BTreeMap<StationId, Known>, bool) {
        let Self { stations, after, mut known, .. } = self;
        for known in known.values_mut() {
            known.holding.made = Some(false);
        }
        for room in rooms {
            if is_asked(&room, &stations, after.as_ref()) {
                known.entry(room).or_default().holding.made = Some(true);
            }
        }
        let more = known.len() > REPORT_MAX;
        (known.into_iter().take(REPORT_MAX).collect(), more)
    }
}

fn is_asked(id: &StationId, stations: &BTreeSet<StationId>, after: Option<&StationId>) -> bool {
    (stations.is_empty() || stations.contains(id)) && after.is_none_or(|after| id > after)
}

fn page(mut holdings: impl Iterator<Item = (StationId, Holding)>) -> Report {
    let stations = holdings.by_ref().take(REPORT_MAX).collect();
    Report { stations, more: holdings.next().is_some() }
}

fn known(station: &Station) -> Known {
    let assigned = &station.assigned;
    let watchers = station.watchers.iter().filter_map(|(user, watcher)| match &watcher.state {
        Watching::Joined(subscription) => Some(Watched { user: user.clone(), handle: subscription.handle }),
        Watching::Idle | Watching::Waiting { .. } | Watching::Hung { .. } => None,
    });
    let viewers = station.watchers.values().filter(|watcher| watcher.counts()).count();
    let of = Some((assigned.room.clone(), assigned.user.clone()));
    Known {
        holding: Holding { of, viewers, ..Holding::default() },
        publisher: station.published(),
        muted: Muted { video: !station.publisher.video, audio: !station.publisher.audio },
        watchers: watchers.collect(),
    }
}
