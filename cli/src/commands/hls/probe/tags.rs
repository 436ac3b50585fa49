//! What one media playlist says: rules that need no second look.

use super::super::playlist::{Media, Part, Segment};
use super::judge::Judge;
use super::{ranges, rules, syntax};

/// Rounding of decimal durations, in seconds.
pub(super) const ROUNDING: f64 = 0.001;
/// How far a program date time may be from where the durations put it, in seconds.
const DATE_DRIFT_MAX: f64 = 0.1;
/// By how much program date times may overlap, in seconds (§6.2.1).
const DATE_OVERLAP_MAX: f64 = 1.0;
/// Tags of the whole playlist (§4.4.3, and `EXT-X-SKIP`, §4.4.5.2).
const OF_PLAYLIST: [&str; 11] = [
    "EXTM3U",
    "EXT-X-VERSION",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-PART-INF",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-SKIP",
];

/// Looks at one media playlist.
pub(super) fn look(judge: &mut Judge, text: &str, media: &Media) {
    written(judge, text, media);
    durations(judge, media);
    parts(judge, media);
    control(judge, media);
    dates(judge, media);
    gaps(judge, media);
    ranges::look(judge, media);
    if media.ended {
        let has_hint = !media.hints.is_empty();
        judge.check(
            &rules::END_HINT,
            !has_hint,
            if has_hint { "a hint beside EXT-X-ENDLIST" } else { "no hint" },
        );
    } else {
        judge.absent(&rules::END_HINT, "the stream has not ended");
    }
}

/// How it is written, and whether its version fits.
pub(super) fn written(judge: &mut Judge, text: &str, media: &Media) {
    syntax::look(judge, text);
    syntax::target(judge, text);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix('#'))
        .map(|tag| tag.split_once(':').map_or(tag, |(name, _)| name))
        .collect();
    let twice = OF_PLAYLIST.iter().find(|tag| names.iter().filter(|name| name == tag).count() > 1);
    judge.check(
        &rules::ONCE,
        twice.is_none(),
        twice.map_or("each once".into(), |tag| format!("{tag} twice")),
    );
    let (needed, why) = needed_version(text, media);
    let seen = format!("version {}, {why} needs {needed}", media.version);
    judge.check(&rules::VERSION, media.version >= needed, &*seen);
    // Who asks for a delta update must understand it.
    let offered =
        media.control.as_ref().map_or(1, |control| match (control.can_skip_until, control.can_skip_ranges) {
            (Some(_), true) => 10,
            (Some(_), false) => 9,
            (None, _) => 1,
        });
    judge.check(&rules::VERSION_TIGHT, media.version <= needed.max(offered), seen);
    let misplaced = media.misplaced.first();
    judge.check(&rules::PLACES, misplaced.is_none(), misplaced.map_or("all in place", String::as_str));
}

/// The lowest version that has what this playlist has (§8), and what that is.
fn needed_version(text: &str, media: &Media) -> (u64, &'static str) {
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    let has_key = |attribute: &str| {
        text.lines().any(|line| line.starts_with("#EXT-X-KEY:") && line.contains(attribute))
    };
    let is_real = |line: &str| {
        line.strip_prefix("#EXTINF:").is_some_and(|value| value.split(',').next().unwrap_or("").contains('.'))
    };
    match () {
        () if text.contains(",REQ-") => (12, "a REQ- attribute"),
        () if has("#EXT-X-DEFINE:QUERYPARAM") => (11, "EXT-X-DEFINE with QUERYPARAM"),
        () if media.removed_ranges.is_some() => (10, "EXT-X-SKIP of date ranges"),
        () if media.skipped.is_some() => (9, "EXT-X-SKIP"),
        () if has("#EXT-X-DEFINE:") => (8, "EXT-X-DEFINE"),
        () if media.map.is_some() && !media.only_i_frames => (6, "EXT-X-MAP"),
        () if media.map.is_some() => (5, "EXT-X-MAP"),
        () if has_key("KEYFORMAT") || has_key("METHOD=SAMPLE-AES") => (5, "EXT-X-KEY"),
        () if has("#EXT-X-BYTERANGE:") || media.only_i_frames => {
            (4, "EXT-X-BYTERANGE or EXT-X-I-FRAMES-ONLY")
        }
        () if text.lines().any(is_real) => (3, "EXTINF with a fraction"),
        () if has_key(",IV=") => (2, "the IV of EXT-X-KEY"),
        () => (1, "nothing"),
    }
}

fn durations(judge: &mut Judge, media: &Media) {
    let longest = media.segments.iter().max_by(|one, other| one.duration.total_cmp(&other.duration));
    let Some(longest) = longest else { return };
    let seen = format!(
        "segment {} lasts {:.3} s, the target is {} s",
        longest.msn, longest.duration, media.target_duration
    );
    judge.check(&rules::TARGET, longest.duration.round() <= media.target_duration, seen);
}

fn parts(judge: &mut Judge, media: &Media) {
    if !media.has_parts() {
        for rule in
            [&rules::PART_INF, &rules::PART_MAX, &rules::PART_MIN, &rules::PARTS_SUM, &rules::PARTS_RECENT]
        {
            judge.absent(rule, "the playlist lists no parts");
        }
        return;
    }
    let Some(target) = media.part_target else {
        judge.check(&rules::PART_INF, false, "parts without EXT-X-PART-INF");
        return;
    };
    judge.check(&rules::PART_INF, true, format!("PART-TARGET is {target} s"));
    for segment in &media.segments {
        lengths(judge, segment.msn, &segment.parts, target);
        if segment.parts.is_empty() {
            continue;
        }
        let sum: f64 = segment.parts.iter().map(|part| part.duration).sum();
        let seen = format!("segment {}: {:.3} s, its parts {sum:.3} s", segment.msn, segment.duration);
        let rounding = ROUNDING * (segment.parts.len() + 1) as f64;
        judge.check(&rules::PARTS_SUM, (sum - segment.duration).abs() <= rounding, seen);
    }
    lengths(judge, media.open_msn, &media.open, target);
    recent(judge, media);
}

fn lengths(judge: &mut Judge, msn: u64, parts: &[Part], target: f64) {
    for (number, part) in parts.iter().enumerate() {
        let seen = format!("part {msn}.{number} lasts {:.3} s of {target} s", part.duration);
        judge.check(&rules::PART_MAX, part.duration <= target + ROUNDING, &*seen);
        let next = parts.get(number + 1);
        let is_free = part.independent || part.gap || next.is_none_or(|next| next.gap);
        if is_free {
            judge.absent(&rules::PART_MIN, "every part is independent, a gap or last");
        } else {
            judge.check(&rules::PART_MIN, part.duration >= 0.85 * target - ROUNDING, seen);
        }
    }
}

fn recent(judge: &mut Judge, media: &Media) {
    let mut after = media.duration();
    let limit = 3.0 * media.target_duration;
    for segment in &media.segments {
        after -= segment.duration;
        if segment.parts.is_empty() {
            continue;
        }
        let seen = format!(
            "segment {} with parts ends {after:.1} s before the end; the limit is {limit} s",
            segment.msn
        );
        return judge.check(&rules::PARTS_RECENT, after <= limit + ROUNDING, seen);
    }
}

fn control(judge: &mut Judge, media: &Media) {
    if media.ended {
        judge.absent(&rules::CAN_BLOCK, "the stream has ended");
    } else {
        let seen = if media.can_block_reload { "CAN-BLOCK-RELOAD=YES" } else { "no CAN-BLOCK-RELOAD=YES" };
        judge.check(&rules::CAN_BLOCK, media.can_block_reload, seen);
    }
    let control = media.control.clone().unwrap_or_default();
    if control.can_skip_ranges {
        let holds = control.can_skip_until.is_some();
        judge.check(
            &rules::SKIP_RANGES,
            holds,
            if holds { "with CAN-SKIP-UNTIL" } else { "without CAN-SKIP-UNTIL" },
        );
    } else {
        judge.absent(&rules::SKIP_RANGES, "no delta updates of date ranges are offered");
    }
    let target = media.target_duration;
    let mut at_least = |rule, value: Option<f64>, least: f64, none: &str| match value {
        Some(value) => {
            judge.check(rule, value >= least - ROUNDING, format!("{value} s, at least {least:.3} s"));
        }
        None => judge.absent(rule, none),
    };
    at_least(&rules::HOLD_BACK, control.hold_back, 3.0 * target, "no HOLD-BACK: three target durations");
    at_least(&rules::SKIP_UNTIL, control.can_skip_until, 6.0 * target, "no delta updates are offered");
    match (media.part_target, control.part_hold_back) {
        (None, _) => {
            for rule in [&rules::PART_HOLD_BACK, &rules::PART_HOLD_BACK_3] {
                judge.absent(rule, "there is no part target");
            }
        }
        (Some(_), None) => judge.check(&rules::PART_HOLD_BACK, false, "there is no PART-HOLD-BACK"),
        (Some(part), held @ Some(_)) => {
            at_least(&rules::PART_HOLD_BACK, held, 2.0 * part, "");
            at_least(&rules::PART_HOLD_BACK_3, held, 3.0 * part, "");
        }
    }
}

fn dates(judge: &mut Judge, media: &Media) {
    let dated = media.segments.iter().filter(|segment| segment.time.is_some()).count();
    let has_date = dated > 0 || media.open_time.is_some() || media.segments.is_empty();
    // A delta update may have left the one date out.
    if media.skipped.is_none() {
        judge.check(&rules::PDT, has_date, format!("{dated} of {} segments have one", media.segments.len()));
    }
    let breaks = media.segments.iter().filter(|segment| segment.discontinuity && dated > 0);
    for segment in breaks {
        let has_one = if segment.time.is_some() { "has" } else { "has not" };
        let seen = format!("segment {} after a discontinuity {has_one} one", segment.msn);
        judge.check(&rules::PDT_BREAK, segment.time.is_some(), seen);
    }
    for pair in media.segments.windows(2) {
        let [before, after] = pair else { continue };
        let (Some(begun), Some(time)) = (before.time, after.time) else { continue };
        let since = time.duration_since(begun).as_secs_f64();
        let seen = format!(
            "segment {} begins {since:.3} s after segment {}, which lasts {:.3} s",
            after.msn, before.msn, before.duration
        );
        judge.check(&rules::PDT_ORDER, since > 0.0 && since > before.duration - DATE_OVERLAP_MAX, seen);
        if after.discontinuity || before.gap || after.gap {
            continue;
        }
        let drift = time.duration_since(begun).as_secs_f64() - before.duration;
        let seen = format!(
            "segment {} is {:+.0} ms from where segment {} ends",
            after.msn,
            drift * 1000.0,
            before.msn
        );
        judge.check(&rules::PDT_STEADY, drift.abs() <= DATE_DRIFT_MAX, seen);
    }
}

fn gaps(judge: &mut Judge, media: &Media) {
    let has_gap_part = |segment: &Segment| segment.parts.iter().any(|part| part.gap);
    let unmarked = media.segments.iter().find(|segment| has_gap_part(segment) && !segment.gap);
    if let Some(segment) = unmarked {
        let seen = format!("segment {} has a part with GAP=YES and no EXT-X-GAP", segment.msn);
        judge.check(&rules::GAP, false, seen);
    } else if let Some(segment) = media.segments.iter().find(|segment| segment.gap) {
        judge.check(&rules::GAP, true, format!("segment {} is a gap, and says so", segment.msn));
    } else {
        judge.absent(&rules::GAP, "no gap was seen");
    }
}
