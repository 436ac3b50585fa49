//! What may change from one playlist to the next (§6.2.1, §6.2.2).

use super::super::playlist::Media;
use super::judge::Judge;
use super::tags::ROUNDING;
use super::{ranges, rules};

/// Compares a playlist with the one before it.
pub(super) fn compare(judge: &mut Judge, before: &Media, now: &Media) {
    let (was, is) = (before.target_duration, now.target_duration);
    judge.check(&rules::TARGET_CONSTANT, was.to_bits() == is.to_bits(), told("target duration", was, is));
    match (before.part_target, now.part_target) {
        (Some(was), Some(is)) => {
            judge.check(
                &rules::PART_TARGET_CONSTANT,
                was.to_bits() == is.to_bits(),
                told("part target", was, is),
            );
        }
        (None, None) => judge.absent(&rules::PART_TARGET_CONSTANT, "there is no part target"),
        // Parts may begin with a stream's second playlist.
        (None, Some(_)) | (Some(_), None) => {}
    }
    let seen = format!("from {} to {}", before.sequence, now.sequence);
    judge.check(&rules::SEQUENCE, now.sequence >= before.sequence && now.open_msn >= before.open_msn, seen);
    unchanged(judge, before, now);
    removed(judge, before, now);
    ranges::compare(judge, before, now);
}

fn told(what: &str, was: f64, is: f64) -> String {
    if was.to_bits() == is.to_bits() {
        format!("{is} s throughout")
    } else {
        format!("{what} went from {was} s to {is} s")
    }
}

fn unchanged(judge: &mut Judge, before: &Media, now: &Media) {
    for segment in &now.segments {
        let Some(was) = before.segment(segment.msn) else { continue };
        let change = match () {
            () if was.resource != segment.resource => Some("URI"),
            () if was.duration.to_bits() != segment.duration.to_bits() => Some("EXTINF"),
            () if was.time != segment.time => Some("EXT-X-PROGRAM-DATE-TIME"),
            () if was.map != segment.map => Some("EXT-X-MAP"),
            () if was.gap != segment.gap => Some("EXT-X-GAP"),
            () if was.discontinuity != segment.discontinuity => Some("EXT-X-DISCONTINUITY"),
            () => None,
        };
        let seen = change.map_or("the same in every playlist".to_owned(), |what| {
            format!("{what} of segment {} changed", segment.msn)
        });
        judge.check(&rules::UNCHANGED, change.is_none(), seen);
    }
    if !before.has_parts() && !now.has_parts() {
        for rule in [&rules::PARTS_UNCHANGED, &rules::PARTS_ORDER] {
            judge.absent(rule, "the playlist lists no parts");
        }
        return;
    }
    let numbers = before.segments.iter().map(|segment| segment.msn).chain([before.open_msn]);
    for msn in numbers {
        let (was, is) = (before.parts(msn), now.parts(msn));
        // Their tags are removed when they are no longer at the edge.
        if was.is_empty() || is.is_empty() {
            continue;
        }
        let changed = was.iter().zip(is).position(|(was, is)| was != is);
        let lost = was.len() > is.len();
        let seen = match (changed, lost) {
            (Some(part), _) => format!("part {msn}.{part} changed"),
            (None, true) => format!("segment {msn} had {} parts, then {}", was.len(), is.len()),
            (None, false) => "the same in every playlist".to_owned(),
        };
        judge.check(&rules::PARTS_UNCHANGED, changed.is_none() && !lost, seen);
    }
    // Parts that went although those of an earlier segment are still there.
    let had = |msn: u64| !before.parts(msn).is_empty();
    let kept =
        now.segments.iter().map(|segment| segment.msn).find(|msn| had(*msn) && !now.parts(*msn).is_empty());
    let early = kept.and_then(|kept| {
        now.segments.iter().find(|segment| segment.msn > kept && had(segment.msn) && segment.parts.is_empty())
    });
    let seen = early.map_or_else(
        || "the first ones first".to_owned(),
        |segment| {
            format!("those of segment {} before those of segment {}", segment.msn, kept.unwrap_or_default())
        },
    );
    judge.check(&rules::PARTS_ORDER, early.is_none(), seen);
}

fn removed(judge: &mut Judge, before: &Media, now: &Media) {
    // Beyond what the earlier playlist lists, and backwards, nobody can count discontinuities.
    if now.sequence > before.open_msn || now.sequence < before.sequence {
        return;
    }
    let gone = before.segments.iter().filter(|segment| segment.msn < now.sequence);
    let breaks = gone.clone().filter(|segment| segment.discontinuity).count() as u64;
    let due = before.discontinuity_sequence + breaks;
    let seen = format!("{}, and {due} by what was removed", now.discontinuity_sequence);
    judge.check(&rules::DISCONTINUITY_SEQUENCE, now.discontinuity_sequence == due, seen);
    if gone.count() > 0 {
        let kind = now.kind.as_deref();
        let seen =
            kind.map_or_else(|| "there is none".to_owned(), |kind| format!("EXT-X-PLAYLIST-TYPE:{kind}"));
        judge.check(&rules::LIVE_TYPE, kind.is_none(), seen);
        let least = 3.0 * now.target_duration;
        let left: f64 = now.segments.iter().map(|segment| segment.duration).sum();
        let seen = format!("{left:.1} s left, at least {least} s");
        judge.check(&rules::WINDOW, left >= least - ROUNDING, seen);
    }
}
