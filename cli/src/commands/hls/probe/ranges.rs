//! Date ranges (§4.4.5.1, §6.2.1).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::playlist::{Attributes, Media, span};
use super::judge::Judge;
use super::rules;
use super::tags::ROUNDING;

const RULES: [&rules::Rule; 3] = [&rules::RANGE, &rules::RANGE_SAME, &rules::RANGE_KEPT];

/// What the date ranges of one playlist say.
pub(super) fn look(judge: &mut Judge, media: &Media) {
    if media.ranges.is_empty() {
        for rule in RULES {
            judge.absent(rule, "there is no EXT-X-DATERANGE");
        }
        return;
    }
    let mut known: BTreeMap<&str, Attributes> = BTreeMap::new();
    for range in &media.ranges {
        let id = range.get("ID").map_or("", String::as_str);
        let whole = known.entry(id).or_default();
        let changed = range.iter().find(|(name, value)| whole.get(*name).is_some_and(|was| was != *value));
        let changed = changed.map(|(name, _)| name.clone());
        whole.extend(range.clone());
        let fault = match () {
            () if id.is_empty() => Some("one has no ID".to_owned()),
            () if changed.is_some() => {
                Some(format!("{id} has two values of {}", changed.unwrap_or_default()))
            }
            () => fault(whole).map(|fault| format!("{id} {fault}")),
        };
        let seen = fault.clone().unwrap_or_else(|| format!("{id} is well formed"));
        judge.check(&rules::RANGE, fault.is_none(), seen);
    }
    // A delta update may have left the dates out.
    let has_date = media.segments.iter().any(|segment| segment.time.is_some()) || media.open_time.is_some();
    if !has_date && media.skipped.is_none() {
        judge.check(&rules::RANGE, false, "EXT-X-DATERANGE without EXT-X-PROGRAM-DATE-TIME");
    }
}

/// What is wrong with a range of all attributes seen so far.
fn fault(range: &Attributes) -> Option<String> {
    let date = |name: &str| range.get(name).map(|text| text.parse::<Timestamp>().ok());
    let seconds = |name: &str| range.get(name).map(|text| text.parse::<f64>().unwrap_or(-1.0));
    let Some(start) = date("START-DATE") else { return Some("has no START-DATE".to_owned()) };
    let end = date("END-DATE");
    if start.is_none() || end == Some(None) {
        return Some("has a date that is none".to_owned());
    }
    let end = end.flatten();
    if end.is_some_and(|end| Some(end) < start) {
        return Some("ends before it begins".to_owned());
    }
    let durations = ["DURATION", "PLANNED-DURATION"].map(seconds);
    if durations.iter().flatten().any(|duration| *duration < 0.0) {
        return Some("has a duration below 0".to_owned());
    }
    if let (Some(start), Some(end), Some(duration)) = (start, end, durations[0]) {
        let real = end.duration_since(start).as_secs_f64();
        if (real - duration).abs() > ROUNDING {
            return Some(format!("lasts {real} s by its dates and {duration} s by DURATION"));
        }
    }
    if range.contains_key("END-ON-NEXT") {
        if !range.contains_key("CLASS") {
            return Some("has END-ON-NEXT and no CLASS".to_owned());
        }
        if end.is_some() || durations[0].is_some() {
            return Some("has END-ON-NEXT and an end of its own".to_owned());
        }
    }
    let cue = range.get("CUE").map_or("", String::as_str);
    if cue.contains("PRE") && cue.contains("POST") {
        return Some("has a CUE both PRE and POST".to_owned());
    }
    None
}

/// Whether ranges stayed as they were, and as long as their dates are listed. Needs whole playlists.
pub(super) fn compare(judge: &mut Judge, before: &Media, now: &Media) {
    if before.skipped.is_some() || now.skipped.is_some() {
        return;
    }
    for was in &before.ranges {
        let Some(id) = was.get("ID") else { continue };
        let mut same = now.ranges.iter().filter(|range| range.get("ID") == Some(id)).peekable();
        if same.peek().is_some() {
            let differs = |range: &Attributes| {
                was.iter().any(|(name, value)| range.get(name).is_some_and(|other| other != value))
            };
            let changed = same.any(differs);
            let seen = if changed {
                format!("{id} has other attributes than before")
            } else {
                format!("{id} is the same")
            };
            judge.check(&rules::RANGE_SAME, !changed, seen);
            let seen = format!("{id} is still listed");
            judge.check(&rules::RANGE_KEPT, true, seen);
        } else if let Some((begins, ends)) = span_of(was) {
            let mapped = now.segments.iter().find(|segment| {
                segment.time.is_some_and(|time| {
                    let over = time.checked_add(span(segment.duration)).unwrap_or(time);
                    // A frame at the border belongs to neither for sure.
                    let slack = SignedDuration::from_millis(50);
                    begins + slack < over && time < ends - slack
                })
            });
            let seen = mapped.map_or_else(
                || format!("{id} went when its dates had gone"),
                |segment| format!("{id} was removed, and segment {} lies in it", segment.msn),
            );
            judge.check(&rules::RANGE_KEPT, mapped.is_none(), seen);
        }
    }
}

/// From when to when a range lasts, where it says so.
fn span_of(range: &Attributes) -> Option<(Timestamp, Timestamp)> {
    let begins: Timestamp = range.get("START-DATE")?.parse().ok()?;
    let end = range.get("END-DATE").and_then(|text| text.parse().ok());
    let duration = || range.get("DURATION").and_then(|text| text.parse().ok()).map(span);
    let ends = end.or_else(|| begins.checked_add(duration()?).ok())?;
    Some((begins, ends))
}

#[cfg(test)]
mod tests {
    use super::super::super::playlist::attributes;
    use super::*;

    #[test]
    fn what_is_wrong_with_a_range_is_said() {
        let start = "ID=\"a\",START-DATE=\"2026-01-01T00:00:00Z\"";
        let with = |more: &str| fault(&attributes(&format!("{start}{more}")));
        assert_eq!(with(""), None);
        assert_eq!(with(",DURATION=2,END-DATE=\"2026-01-01T00:00:02Z\""), None);
        for more in [
            ",END-DATE=\"2025-01-01T00:00:00Z\"",
            ",DURATION=-1",
            ",DURATION=3,END-DATE=\"2026-01-01T00:00:02Z\"",
            ",END-ON-NEXT=YES",
            ",END-ON-NEXT=YES,CLASS=\"c\",DURATION=1",
            ",CUE=\"PRE,POST\"",
            ",END-DATE=\"soon\"",
        ] {
            assert!(with(more).is_some(), "{more}");
        }
        assert!(fault(&attributes("ID=\"a\"")).is_some());
    }
}
