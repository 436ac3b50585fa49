//! Blocking reloads at their borders (§6.2.5.2): what is there, what is too far, what makes no sense.

use std::time::Duration;

use reqwest::StatusCode;

use super::fetch::{Answer, Trouble};
use super::rules::{self, Rule};
use super::session::{Directives, Session};

/// How often a request is made whose quickness counts: the quickest is taken.
const QUICK_TRIES: u32 = 3;
/// How quick "at once" is at least, whatever the part target.
const AT_ONCE: Duration = Duration::from_millis(150);
/// How far beyond the end is too far, whatever the limit.
const FAR: u64 = 50;

/// Everything here needs a server that blocks.
const RULES: [&Rule; 9] = [
    &rules::BLOCK_PART,
    &rules::BLOCK_SEGMENT,
    &rules::OLD,
    &rules::OLD_AT_ONCE,
    &rules::PAST_END,
    &rules::TOO_FAR_SEGMENT,
    &rules::TOO_FAR_PART,
    &rules::PART_ALONE,
    &rules::NO_NUMBER,
];

/// Asks at the borders of what may be asked.
pub(super) async fn look(session: &mut Session) {
    if session.now.ended || !session.now.can_block_reload {
        let ended = session.now.ended;
        for rule in RULES {
            if ended {
                session.judge.absent(rule, "the stream has ended");
            } else {
                session.judge.skip(rule, "the server does not offer blocking reloads");
            }
        }
        return;
    }
    refusals(session).await;
    old(session).await;
    segment(session).await;
    past_end(session).await;
}

async fn refusals(session: &mut Session) {
    refresh(session).await;
    let msn = session.now.open_msn;
    let far = Directives::until(msn + FAR, None);
    refused(session, &rules::TOO_FAR_SEGMENT, &far).await;
    too_far_part(session).await;
    let alone = Directives { part: Some("0".to_owned()), ..Directives::default() };
    refused(session, &rules::PART_ALONE, &alone).await;
    let word = Directives { msn: Some("next".to_owned()), ..Directives::default() };
    refused(session, &rules::NO_NUMBER, &word).await;
}

async fn too_far_part(session: &mut Session) {
    let Some(target) = session.now.part_target else {
        return session.judge.absent(&rules::TOO_FAR_PART, "there is no part target");
    };
    let limit = if target < 1.0 { (3.0 / target.max(0.01)).ceil() } else { 3.0 };
    for tries_left in (0..QUICK_TRIES).rev() {
        let (msn, parts) = (session.now.open_msn, session.now.open.len() as u64);
        // The limit is a few hundred at most.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let far = Directives::until(msn, Some(parts + limit as u64 + FAR));
        match refusal(session, &far).await {
            // The segment may have ended just before: past its end is the first part of the next.
            Ok((Some(status), _)) if status.is_success() && tries_left > 0 => {
                refresh(session).await;
            }
            answered => return judge_refusal(session, &rules::TOO_FAR_PART, answered),
        }
    }
}

async fn refused(session: &mut Session, rule: &'static Rule, directives: &Directives) {
    let answered = refusal(session, directives).await;
    judge_refusal(session, rule, answered);
}

/// The status that came, if one did in time, and what that is called; what broke otherwise.
type Refusal = Result<(Option<StatusCode>, String), String>;

async fn refusal(session: &Session, directives: &Directives) -> Refusal {
    let patience = Duration::from_secs_f64(session.now.target_duration.clamp(1.0, 10.0));
    let url = session.with(directives);
    let asked = url.query().unwrap_or_default();
    match session.fetcher.get(&url, patience).await {
        Ok(answer) => Ok((Some(answer.status), format!("{asked}: {}", answer.status))),
        Err(Trouble::Overdue(after)) => {
            Ok((None, format!("{asked}: held for {:.1} s and more", after.as_secs_f64())))
        }
        Err(trouble @ Trouble::Broken(_)) => Err(trouble.to_string()),
    }
}

fn judge_refusal(session: &mut Session, rule: &'static Rule, answered: Refusal) {
    match answered {
        Ok((status, seen)) => session.judge.check(rule, status == Some(StatusCode::BAD_REQUEST), seen),
        Err(why) => session.judge.skip(rule, why),
    }
}

/// What was there long ago is answered, at once and whole.
async fn old(session: &mut Session) {
    let Some(first) = session.now.segments.first().map(|segment| segment.msn) else {
        return session.judge.skip(&rules::OLD, "there is no complete segment");
    };
    let mut quickest: Option<Duration> = None;
    for msn in [0, first].into_iter().cycle().take(QUICK_TRIES as usize * 2) {
        let directives = Directives::until(msn, session.now.has_parts().then_some(0));
        match session.wait(&directives).await {
            Ok(answer) if answer.is_ok() => {
                quickest = Some(quickest.map_or(answer.took, |took| took.min(answer.took)));
                let before = session.now.open_msn;
                let Some(now) = session.read(&answer) else { return };
                let is_whole = now.open_msn >= before && now.skipped.is_none();
                let seen = format!("_HLS_msn={msn}: the playlist up to {:?}", now.open_msn);
                session.judge.check(&rules::OLD, is_whole, seen);
                session.now = now;
            }
            Ok(answer) => {
                session.judge.check(&rules::OLD, false, format!("_HLS_msn={msn}: {}", answer.status));
            }
            Err(trouble) => session.judge.check(&rules::OLD, false, format!("_HLS_msn={msn}: {trouble}")),
        }
    }
    let Some(quickest) = quickest else {
        return session.judge.skip(&rules::OLD_AT_ONCE, "old directives are not answered");
    };
    // Answers come from near or far: a plain reload tells how far.
    let mut plain = session.patience();
    for _ in 0..QUICK_TRIES {
        if let Some(answer) = refresh(session).await {
            plain = plain.min(answer.took);
        }
    }
    let limit = plain * 2 + AT_ONCE;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let seen = format!("{:.0} ms, a plain reload {:.0} ms", millis(quickest), millis(plain));
    session.judge.check(&rules::OLD_AT_ONCE, quickest <= limit, seen);
}

/// `_HLS_msn` alone waits for the whole segment.
async fn segment(session: &mut Session) {
    for tries_left in (0..QUICK_TRIES).rev() {
        // The segment that was under way a while ago may be complete by now.
        refresh(session).await;
        let msn = session.now.open_msn;
        let answered = session.wait(&Directives::until(msn, None)).await;
        let is_overdue = session.is_overdue(&answered);
        let Some(answer) = answered.ok().filter(|_| !is_overdue) else {
            return session.judge.skip(&rules::BLOCK_SEGMENT, "the segment under way did not end in time");
        };
        if !answer.is_ok() {
            let seen = format!("_HLS_msn={msn}: {}", answer.status);
            return session.judge.check(&rules::BLOCK_SEGMENT, false, seen);
        }
        let Some(now) = session.read(&answer) else { return };
        let is_complete = now.open_msn > msn || now.ended;
        session.now = now;
        // One that ended just then shows nothing of whether the server would have waited.
        if !is_complete || answer.took > AT_ONCE || tries_left == 0 {
            let last = session.now.open_msn.saturating_sub(1);
            let seen = format!("_HLS_msn={msn}: answered with segment {last} complete");
            return session.judge.check(&rules::BLOCK_SEGMENT, is_complete, seen);
        }
    }
}

/// A part past a closed segment's end is the first of the next.
async fn past_end(session: &mut Session) {
    if !session.now.has_parts() {
        for rule in [&rules::PAST_END, &rules::BLOCK_PART] {
            session.judge.absent(rule, "the playlist lists no parts");
        }
        return;
    }
    let Some(last) = session.now.last_msn() else { return };
    let parts = session.now.parts(last).len() as u64;
    let asked = format!("_HLS_msn={last}&_HLS_part={parts}");
    let answered = session.wait(&Directives::until(last, Some(parts))).await;
    if session.is_overdue(&answered) {
        return session.judge.skip(&rules::PAST_END, "the next part did not come in time");
    }
    match answered {
        Ok(answer) if answer.is_ok() => {
            let Some(now) = session.read(&answer) else { return };
            let begun = now.open_msn > last + 1 || !now.open.is_empty() || now.ended;
            let seen = if begun { "with" } else { "without" };
            session.judge.check(
                &rules::PAST_END,
                begun,
                format!("{asked}: answered {seen} the next segment's part 0"),
            );
            session.now = now;
        }
        Ok(answer) => session.judge.check(&rules::PAST_END, false, format!("{asked}: {}", answer.status)),
        Err(trouble) => session.judge.check(&rules::PAST_END, false, format!("{asked}: {trouble}")),
    }
}

/// Loads the playlist as it is now, and notes how long that takes.
pub(super) async fn refresh(session: &mut Session) -> Option<Answer> {
    let answer = session.ask(&Directives::default()).await.ok().filter(Answer::is_ok)?;
    session.figures.reload.add(answer.took);
    session.now = session.read(&answer)?;
    Some(answer)
}
