//! Following the stream as a low-latency player does, and looking at all that comes by.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::playlist::{Media, Resource};
use super::fetch::{ANSWER_MAX, Answer, Trouble};
use super::hints;
use super::reload;
use super::rules;
use super::session::{Directives, Session};
use super::{delta, http};
use crate::progress::Progress;

/// Every which reload asks for a delta update beside it.
const DELTA_EVERY: u64 = 5;
/// An answer that took less was not blocked: when its part came is not known.
const BLOCKED_MIN: Duration = Duration::from_millis(15);
/// How much later than its time a part may come by reasons of the network, beside half a part target.
const NETWORK_SLACK: Duration = Duration::from_millis(100);
/// The same for a segment, beside one and a half target durations.
const SEGMENT_SLACK: Duration = Duration::from_millis(500);
/// How often what was removed is asked for: media is the dear part of a probe.
const REMOVED_MAX: u64 = 3;
/// How long to wait before asking again after an answer that told nothing new.
const PAUSE: Duration = Duration::from_millis(50);

/// Follows until the deadline, or the stream's end.
pub(super) async fn follow(session: &mut Session, deadline: Instant, progress: &Progress) {
    let mut last_part: Option<Instant> = None;
    let mut last_segment: Option<Instant> = None;
    while Instant::now() < deadline && !session.now.ended {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs();
        let (msn, part) = session.now.edge();
        let part = part.map_or(String::new(), |part| format!(".{part}"));
        progress.say(format!("{left} s left, {} reloads, at {msn}{part}", session.reloads));
        let before = session.now.clone();
        let answer = if before.can_block_reload { step(session).await } else { poll(session).await };
        let Some(answer) = answer else {
            last_part = None;
            sleep(PAUSE).await;
            continue;
        };
        let now = session.now.clone();
        let is_new = now.edge() != before.edge();
        if now.open_msn > before.open_msn {
            if let Some(last) = last_segment {
                added(session, answer.ended - last);
            }
            last_segment = Some(answer.ended);
        }
        if !is_new {
            sleep(PAUSE).await;
        }
        if is_new && before.can_block_reload {
            http::blocking(&mut session.judge, &answer);
        }
        let came = (is_new && before.can_block_reload && answer.took >= BLOCKED_MIN).then_some(answer.ended);
        if let (Some(before), Some(came), Some(target)) = (last_part, came, now.part_target) {
            cadence(session, came - before, target);
        }
        last_part = came;
        removed(session, &before).await;
        completed(session, &before).await;
    }
}

/// One blocking reload, with the hinted part asked for at the same time.
async fn step(session: &mut Session) -> Option<Answer> {
    let before = session.now.clone();
    let part = before.has_parts().then_some(before.open.len() as u64);
    let directives = Directives::until(before.open_msn, part);
    let hint = hints::hinted(&before);
    let takes_delta = before.control.as_ref().is_some_and(|control| control.can_skip_until.is_some())
        && session.reloads.is_multiple_of(DELTA_EVERY);
    session.reloads += 1;
    let patience = session.patience();
    let (reloaded, hinted, skipped) = tokio::join!(
        session.wait(&directives),
        async {
            match &hint {
                Some(resource) => Some(session.fetcher.media(&session.url, resource, patience).await),
                None => None,
            }
        },
        async { if takes_delta { Some(session.wait(&directives.clone().skipping()).await) } else { None } },
    );
    let answer = reload(session, &before, reloaded)?;
    let now = session.now.clone();
    arrived(session, &before, part);
    if let (Some(resource), Some(hinted)) = (hint, hinted) {
        hints::look(session, &before, &resource, hinted, &answer).await;
    }
    if let Some(Ok(skipped)) = skipped {
        delta::look(session, &now, &skipped);
    }
    Some(answer)
}

/// One plain reload, as a player makes them of a server that does not block.
async fn poll(session: &mut Session) -> Option<Answer> {
    let before = session.now.clone();
    sleep(Duration::from_secs_f64(
        before.part_target.unwrap_or(before.target_duration / 2.0).clamp(0.05, 10.0),
    ))
    .await;
    session.reloads += 1;
    let answer = session.ask(&Directives::default()).await;
    if let Ok(answer) = &answer {
        session.figures.reload.add(answer.took);
    }
    reload(session, &before, answer)
}

/// Takes a playlist as the newest; `None` when there is none.
fn reload(session: &mut Session, before: &Media, answer: Result<Answer, Trouble>) -> Option<Answer> {
    if session.is_overdue(&answer) {
        return None;
    }
    let answer = match answer {
        Ok(answer) if answer.is_ok() => answer,
        Ok(answer) => {
            let seen = format!("the next part was answered {}", answer.status);
            session.judge.check(&rules::BLOCK_PART, false, seen);
            return None;
        }
        Err(trouble) => {
            session.judge.check(&rules::READABLE, false, trouble.to_string());
            return None;
        }
    };
    http::playlist(&mut session.judge, &answer);
    let now = session.read(&answer)?;
    reload::compare(&mut session.judge, before, &now);
    if let Some(time) = now.edge_time().filter(|_| now.edge() != before.edge()) {
        let age = jiff::Timestamp::now().duration_since(time)
            - jiff::SignedDuration::try_from(answer.ended.elapsed()).unwrap_or_default();
        // A negative age is clocks that disagree, and no figure.
        if let Ok(age) = Duration::try_from(age) {
            session.figures.edge_age.add(age);
        }
    }
    session.now = now;
    Some(answer)
}

/// Whether a blocking reload has what it was asked for.
fn arrived(session: &mut Session, before: &Media, part: Option<u64>) {
    let (now, msn) = (&session.now, before.open_msn);
    if now.ended {
        return;
    }
    let is_complete = now.open_msn > msn;
    let Some(part) = part else {
        let seen = format!("asked for segment {msn}, the last was {}", now.open_msn.saturating_sub(1));
        return session.judge.check(&rules::BLOCK_SEGMENT, is_complete, seen);
    };
    // A part past the end of what turned out to be the whole segment is the first of the next.
    let next_begun = now.open_msn > msn + 1 || !now.parts(msn + 1).is_empty();
    let here = now.parts(msn).len() as u64 > part;
    let holds = here || (is_complete && (next_begun || now.parts(msn).is_empty()));
    let seen = format!("asked for part {msn}.{part}, the last was {:?}", now.edge())
        .replace("Some(", "")
        .replace("))", ")");
    session.judge.check(&rules::BLOCK_PART, holds, seen);
}

fn cadence(session: &mut Session, interval: Duration, target: f64) {
    session.figures.part_interval.add(interval);
    let limit = Duration::from_secs_f64(target * 1.5) + NETWORK_SLACK;
    let seen = format!(
        "{:.0} ms after the one before, the part target is {:.0} ms",
        interval.as_secs_f64() * 1000.0,
        target * 1000.0
    );
    session.judge.check(&rules::CADENCE, interval <= limit, seen);
}

fn added(session: &mut Session, interval: Duration) {
    let target = session.now.target_duration;
    let limit = Duration::from_secs_f64(target * 1.5) + SEGMENT_SLACK;
    let seen =
        format!("{:.2} s after the one before, the target duration is {target} s", interval.as_secs_f64());
    session.judge.check(&rules::SEGMENT_CADENCE, interval <= limit, seen);
}

/// Asks for what is not listed any more (§6.2.2).
async fn removed(session: &mut Session, before: &Media) {
    let now = session.now.clone();
    let gone = before.segments.iter().rfind(|segment| segment.msn < now.sequence && !segment.gap);
    if let Some(segment) = gone
        && session.judge.count(&rules::KEPT_SEGMENT) < REMOVED_MAX
    {
        let what = format!("segment {}", segment.msn);
        kept(session, &rules::KEPT_SEGMENT, &segment.resource, &what).await;
    }
    let bare = before.segments.iter().rfind(|was| {
        let is_listed = now.segment(was.msn).is_some_and(|segment| segment.parts.is_empty());
        is_listed && was.parts.first().is_some_and(|part| !part.gap)
    });
    if let Some(segment) = bare
        && session.judge.count(&rules::KEPT_PART) < REMOVED_MAX
    {
        let what = format!("part {}.0", segment.msn);
        kept(session, &rules::KEPT_PART, &segment.parts[0].resource, &what).await;
    }
}

async fn kept(session: &mut Session, rule: &'static rules::Rule, resource: &Resource, what: &str) {
    let (holds, seen) = match session.fetcher.media(&session.url, resource, ANSWER_MAX).await {
        Ok(answer) => (answer.is_ok(), format!("{what} after its removal: {}", answer.status)),
        Err(trouble) => (false, format!("{what} after its removal: {trouble}")),
    };
    session.judge.check(rule, holds, seen);
}

/// Looks into segments that have been completed.
async fn completed(session: &mut Session, before: &Media) {
    let now = session.now.clone();
    if let Some(segment) = now.segments.iter().rfind(|segment| segment.msn >= before.open_msn) {
        session.whole(&now, segment).await;
    }
}
