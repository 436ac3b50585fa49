//! Date ranges (draft-pantos-hls-rfc8216bis-22 §4.4.5.1): what is listed of them, where, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ingest::{Refusal, Taken};
use super::{Phase, Stream};
use crate::hls::data::{DataAck, DataSignal, DateRangeFields};
use crate::hls::playlist::SKIP_BOUNDARY_TARGETS;
use crate::id::{TrackId, UserId};
use crate::time::Timestamp;

/// The most date ranges listed at once; beyond it a new one is refused.
pub const DATE_RANGES_MAX: usize = 128;
/// The most bytes all tags of a stream's date ranges may have together: they travel with every part.
pub const DATE_RANGES_BYTES_MAX: usize = 16 * 1024;
/// The most removed date ranges remembered; beyond it the oldest is forgotten.
const REMOVED_MAX: usize = 256;

/// One date range as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DateRange {
    /// Everything told of it so far.
    pub said: DateRangeFields,
    /// When the tag was added to the playlists.
    pub added_at: Timestamp,
    /// Before which segment and part it is listed in a track's playlist: those that came next when it was
    /// added, so that playlists only grow at their end. In a track that began later it comes first.
    pub places: BTreeMap<TrackId, (u64, u32)>,
}

/// A date range that is listed no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its id.
    pub id: String,
    /// When its tag was removed.
    pub at: Timestamp,
}

impl DateRange {
    /// `START-DATE`, in milliseconds since the Unix epoch.
    pub fn start(&self) -> u64 {
        self.said.start_date.unwrap_or(0)
    }

    /// When it ends as far as it says itself, in milliseconds since the Unix epoch.
    fn end(&self) -> Option<u64> {
        self.said.end_date.or_else(|| Some(self.start().saturating_add(self.said.duration?)))
    }
}

impl Stream {
    pub(super) fn take_date_range(
        &mut self,
        now: Timestamp,
        publisher: &UserId,
        signal: &DataSignal,
        fields: &DateRangeFields,
    ) -> Result<Taken, Refusal> {
        if self.phase != Phase::Live || self.publisher.as_ref() != Some(publisher) {
            let message = "there is no stream of yours to say it of; one begins with an init";
            return Err(Refusal::bad("kind", message));
        }
        let ack = DataAck {
            re: signal.id.clone(),
            track: signal.track.clone(),
            msn: None,
            part: None,
            init: None,
            warning: None,
        };
        let known = self.date_ranges.iter().position(|range| range.said.id == fields.id);
        let before = known.and_then(|known| self.date_ranges.get(known));
        let said = match before {
            Some(before) => with(&before.said, fields)?,
            None => fields.clone(),
        };
        if before.is_some_and(|before| before.said == said) {
            return Ok(Taken { ack, put: Vec::new(), is_new: false });
        }
        check_alone(&said)?;
        let places = self.tracks.iter().map(|(name, track)| {
            let place = track.open.as_ref().map_or((track.next_msn, 0), |open| (open.msn, open.part_count));
            (name.clone(), place)
        });
        let range = DateRange { said, added_at: now, places: places.collect() };
        if range.end().is_some_and(|end| self.is_before_window(end)) {
            let message = "it ended before anything that is listed; send it while its media is in the window";
            return Err(Refusal::bad(
                if range.said.end_date.is_some() { "dateRange.endDate" } else { "dateRange.duration" },
                message,
            ));
        }
        // A tag that says more takes the place of the one before it, at the playlist's end.
        if let Some(known) = known {
            self.date_ranges.remove(known);
        }
        if self.date_ranges.len() >= DATE_RANGES_MAX {
            let message = format!(
                "at most {DATE_RANGES_MAX} date ranges are listed; give those that are over an endDate or a duration, so that they leave with their media"
            );
            return Err(Refusal::bad("dateRange", message));
        }
        check_overlaps(&range, &self.date_ranges)?;
        self.removed_date_ranges.retain(|removed| removed.id != range.said.id);
        self.date_ranges.push(range);
        let bytes: usize = self.date_ranges.iter().map(|range| range.to_string().len()).sum();
        if bytes > DATE_RANGES_BYTES_MAX {
            let message =
                format!("all date ranges together have at most {DATE_RANGES_BYTES_MAX} bytes of tags");
            return Err(Refusal::bad("dateRange", message));
        }
        self.date_ranges_changed();
        Ok(Taken { ack, put: Vec::new(), is_new: true })
    }

    /// Removes date ranges that ended before everything listed, and forgets those long removed.
    pub(super) fn expire_date_ranges(&mut self, now: Timestamp) {
        let boundary = SKIP_BOUNDARY_TARGETS * u64::from(self.target_duration);
        self.removed_date_ranges.retain(|removed| now.since(removed.at) <= Duration::from_secs(boundary));
        let ended: Vec<String> = self
            .date_ranges
            .iter()
            .filter(|range| self.end_of(range).is_some_and(|end| self.is_before_window(end)))
            .map(|range| range.said.id.clone())
            .collect();
        if ended.is_empty() {
            return;
        }
        self.date_ranges.retain(|range| !ended.contains(&range.said.id));
        self.remember_removed(ended, now);
        self.date_ranges_changed();
    }

    /// Removes them all: the presentation they belong to is over.
    pub(super) fn forget_date_ranges(&mut self, now: Timestamp) {
        let ids = std::mem::take(&mut self.date_ranges).into_iter().map(|range| range.said.id).collect();
        self.remember_removed(ids, now);
    }

    fn remember_removed(&mut self, ids: Vec<String>, now: Timestamp) {
        self.removed_date_ranges.extend(ids.into_iter().map(|id| Removed { id, at: now }));
        let surplus = self.removed_date_ranges.len().saturating_sub(REMOVED_MAX);
        self.removed_date_ranges.drain(..surplus);
    }

    /// Every playlist lists them, so every track has changed.
    fn date_ranges_changed(&mut self) {
        for track in self.tracks.values_mut() {
            track.serial += 1;
        }
    }

    /// When a date range ends, in milliseconds since the Unix epoch; `None` as long as nobody knows.
    fn end_of(&self, range: &DateRange) -> Option<u64> {
        if !range.said.end_on_next {
            return range.end();
        }
        let same_class = self.date_ranges.iter().filter(|other| other.said.class == range.said.class);
        same_class.map(DateRange::start).filter(|start| *start > range.start()).min()
    }

    /// Whether a moment lies before the oldest segment of every track.
    fn is_before_window(&self, millis: u64) -> bool {
        let oldest = self.listed().filter_map(|(_, track)| track.segments.front().or(track.open.as_ref()));
        oldest
            .map(|segment| segment.date_time)
            .min()
            .is_some_and(|oldest| millis.saturating_mul(1000) < oldest)
    }
}

/// What was told before and what is told now. Two tags of one id that contradict each other are an error
/// of the playlist, and a player may still have the first.
fn with(before: &DateRangeFields, now: &DateRangeFields) -> Result<DateRangeFields, Refusal> {
    let mut both = before.clone();
    merge(&mut both.class, now.class.as_ref(), "dateRange.class")?;
    merge(&mut both.start_date, now.start_date.as_ref(), "dateRange.startDate")?;
    merge(&mut both.end_date, now.end_date.as_ref(), "dateRange.endDate")?;
    merge(&mut both.duration, now.duration.as_ref(), "dateRange.duration")?;
    merge(&mut both.planned_duration, now.planned_duration.as_ref(), "dateRange.plannedDuration")?;
    merge(&mut both.scte35_cmd, now.scte35_cmd.as_ref(), "dateRange.scte35Cmd")?;
    merge(&mut both.scte35_out, now.scte35_out.as_ref(), "dateRange.scte35Out")?;
    merge(&mut both.scte35_in, now.scte35_in.as_ref(), "dateRange.scte35In")?;
    if both.cue.is_empty() {
        both.cue.clone_from(&now.cue);
    } else if !now.cue.is_empty() && now.cue != both.cue {
        return Err(changed("dateRange.cue"));
    }
    both.end_on_next |= now.end_on_next;
    for (key, value) in &now.client {
        if both.client.entry(key.clone()).or_insert_with(|| value.clone()) != value {
            return Err(changed("dateRange"));
        }
    }
    Ok(both)
}

fn merge<T: Clone + PartialEq>(
    before: &mut Option<T>,
    now: Option<&T>,
    path: &'static str,
) -> Result<(), Refusal> {
    match (&before, now) {
        (Some(before), Some(now)) if before != now => Err(changed(path)),
        (None, Some(now)) => {
            *before = Some(now.clone());
            Ok(())
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn changed(path: &'static str) -> Refusal {
    Refusal::bad(path, "what was told of a date range stays; more may be told, or another id used")
}

/// The rules for the attributes of one date range.
fn check_alone(said: &DateRangeFields) -> Result<(), Refusal> {
    let Some(start) = said.start_date else {
        return Err(Refusal::bad("dateRange.startDate", "a date range that is not listed needs a startDate"));
    };
    if said.end_date.is_some_and(|end| end < start) {
        return Err(Refusal::bad("dateRange.endDate", "it ends before it starts"));
    }
    if let (Some(end), Some(duration)) = (said.end_date, said.duration)
        && start.saturating_add(duration) != end
    {
        let message = "startDate and duration make another endDate; leave one of them out";
        return Err(Refusal::bad("dateRange.endDate", message));
    }
    if said.end_on_next {
        if said.class.is_none() {
            return Err(Refusal::bad(
                "dateRange.class",
                "endOnNext needs a class: the next of which ends it",
            ));
        }
        if said.end_date.is_some() || said.duration.is_some() {
            let message = "a date range that ends on the next has no duration and no endDate";
            return Err(Refusal::bad("dateRange.endOnNext", message));
        }
    }
    Ok(())
}

/// Where one of a class ends on the next, none of that class may overlap.
fn check_overlaps(new: &DateRange, listed: &[DateRange]) -> Result<(), Refusal> {
    let Some(class) = &new.said.class else { return Ok(()) };
    let of_class = || listed.iter().filter(|range| range.said.class.as_ref() == Some(class));
    if !new.said.end_on_next && of_class().all(|range| !range.said.end_on_next) {
        return Ok(());
    }
    let overlaps = |first: &DateRange, second: &DateRange| {
        first.start() == second.start() || first.end().is_some_and(|end| end > second.start())
    };
    for other in of_class() {
        let is_first = other.start() <= new.start();
        if if is_first { overlaps(other, new) } else { overlaps(new, other) } {
            let message =
                format!("it overlaps date range {}, and one of their class ends on the next", other.said.id);
            return Err(Refusal::bad("dateRange.startDate", message));
        }
    }
    Ok(())
}
