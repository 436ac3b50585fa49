//! Playlist Delta Updates (§6.2.5.1).

use super::super::playlist::Media;
use super::fetch::Answer;
use super::rules;
use super::session::{Directives, Session};
use super::tags::ROUNDING;

/// Asks for what delta updates leave open: date ranges, and servers that offer none.
pub(super) async fn ask(session: &mut Session) {
    let control = session.now.control.clone().unwrap_or_default();
    if session.now.ended {
        for rule in [&rules::DELTA_RANGES, &rules::DELTA_IGNORED] {
            session.judge.absent(rule, "the stream has ended");
        }
        return;
    }
    if control.can_skip_until.is_some() {
        session.judge.absent(&rules::DELTA_IGNORED, "delta updates are offered");
    } else if let Ok(answer) = session.ask(&Directives::default().skipping()).await {
        let media = if answer.is_ok() { session.read(&answer) } else { None };
        let seen = match &media {
            Some(media) if media.skipped.is_some() => "answered with EXT-X-SKIP".to_owned(),
            Some(_) => "answered with the whole playlist".to_owned(),
            None => answer.status.to_string(),
        };
        let holds = media.is_some_and(|media| media.skipped.is_none());
        session.judge.check(&rules::DELTA_IGNORED, holds, seen);
    }
    if !control.can_skip_ranges {
        return session.judge.absent(&rules::DELTA_RANGES, "no delta updates of date ranges are offered");
    }
    let Ok(answer) = session.ask(&Directives::default().skipping_ranges()).await else { return };
    let Some(media) = (if answer.is_ok() { session.read(&answer) } else { None }) else {
        let seen = format!("_HLS_skip=v2 was answered {}", answer.status);
        return session.judge.check(&rules::DELTA_RANGES, false, seen);
    };
    match (media.skipped, &media.removed_ranges) {
        (None, _) => session.judge.absent(&rules::DELTA_RANGES, "the playlist is too short to skip anything"),
        (Some(_), Some(removed)) => {
            let count = removed.split('\t').filter(|id| !id.is_empty()).count();
            session.judge.check(&rules::DELTA_RANGES, true, format!("with {count} removed lately"));
        }
        (Some(_), None) => session.judge.check(&rules::DELTA_RANGES, false, "no RECENTLY-REMOVED-DATERANGES"),
    }
}

/// Compares a delta update with the full playlist of about the same moment.
pub(super) fn look(session: &mut Session, full: &Media, answer: &Answer) {
    if !answer.is_ok() {
        return session.judge.check(
            &rules::DELTA,
            false,
            format!("_HLS_skip=YES was answered {}", answer.status),
        );
    }
    let Some(delta) = session.read(answer) else { return };
    let judge = &mut session.judge;
    let Some(boundary) = full.control.as_ref().and_then(|control| control.can_skip_until) else { return };
    if delta.ended {
        return;
    }
    let Some(skipped) = delta.skipped else {
        let can_skip = full
            .segments
            .first()
            .is_some_and(|first| full.duration() - first.duration > boundary + full.target_duration);
        if can_skip {
            let seen =
                format!("{:.1} s of playlist, {boundary} s of boundary, and no EXT-X-SKIP", full.duration());
            judge.check(&rules::DELTA, false, seen);
        } else {
            for rule in [&rules::DELTA, &rules::DELTA_EQUAL, &rules::DELTA_BOUNDARY] {
                judge.absent(rule, "the playlist is too short to skip anything");
            }
        }
        return;
    };
    judge.check(&rules::DELTA, true, format!("{skipped} of {} segments skipped", full.segments.len()));
    equal(session, full, &delta, skipped);
    bounded(session, full, &delta, boundary);
}

fn equal(session: &mut Session, full: &Media, delta: &Media, skipped: u64) {
    let judge = &mut session.judge;
    let mut fault = None;
    if delta.sequence == full.sequence && delta.edge() == full.edge() {
        let listed = skipped + delta.segments.len() as u64;
        if listed != full.segments.len() as u64 {
            fault = Some(format!(
                "{skipped} skipped and {} listed, the full one has {}",
                delta.segments.len(),
                full.segments.len()
            ));
        }
        if delta.discontinuity_sequence != full.discontinuity_sequence {
            fault = Some("another EXT-X-DISCONTINUITY-SEQUENCE".to_owned());
        }
        if delta.ranges != full.ranges {
            fault = Some("the date ranges are not the same".to_owned());
        }
        if delta.reports.len() != full.reports.len() || delta.hints != full.hints {
            fault = Some("hints or reports are missing".to_owned());
        }
    }
    for segment in &delta.segments {
        let Some(same) = full.segment(segment.msn) else { continue };
        // The map of what was skipped is not repeated.
        let map_differs = segment.map.is_some() && segment.map != same.map;
        let differs = segment.resource != same.resource
            || segment.duration.to_bits() != same.duration.to_bits()
            || segment.time != same.time
            || segment.gap != same.gap
            || segment.discontinuity != same.discontinuity;
        if differs || map_differs {
            fault.get_or_insert_with(|| {
                format!("segment {} is another one in the full playlist", segment.msn)
            });
        }
        if delta.edge() == full.edge() && segment.parts != same.parts {
            fault.get_or_insert_with(|| {
                format!("segment {} has other parts in the full playlist", segment.msn)
            });
        }
    }
    let seen = fault.clone().unwrap_or_else(|| format!("{skipped} skipped, the rest equal"));
    judge.check(&rules::DELTA_EQUAL, fault.is_none(), seen);
}

/// What was skipped must begin further from the end of the last complete segment than the boundary.
fn bounded(session: &mut Session, full: &Media, delta: &Media, boundary: f64) {
    let Some(first) = delta.segments.first() else {
        return session.judge.check(&rules::DELTA_BOUNDARY, false, "every segment was skipped");
    };
    let listed: f64 = delta.segments.iter().map(|segment| segment.duration).sum();
    let last_skipped = first.msn.checked_sub(1).and_then(|msn| full.segment(msn));
    let from_end = listed
        + last_skipped.map_or(0.0, |segment| segment.duration)
        + delta.open.iter().map(|part| part.duration).sum::<f64>();
    let seen = format!("what was skipped begins {from_end:.1} s from the end, the boundary is {boundary} s");
    session.judge.check(&rules::DELTA_BOUNDARY, from_end >= boundary - ROUNDING, seen);
}
