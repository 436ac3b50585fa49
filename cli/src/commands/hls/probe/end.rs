//! A stream that is over (§6.2.5.2).

use super::fetch::{Answer, Trouble};
use super::judge::Judge;
use super::rules;
use super::session::{Directives, Session};

/// How far beyond the end the directives of this check ask.
const FAR: u64 = 1000;

/// Whether directives are ignored.
pub(super) async fn look(session: &mut Session) {
    if !session.now.ended {
        return not_yet(&mut session.judge);
    }
    let text =
        |answer: Result<Answer, Trouble>| answer.ok().filter(Answer::is_ok).map(|answer| answer.text());
    if let (Some(one), Some(other)) =
        (text(session.ask(&Directives::default()).await), text(session.ask(&Directives::default()).await))
    {
        let seen = if one == other { "the same twice" } else { "another playlist the second time" };
        session.judge.check(&rules::END_FINAL, one == other, seen);
    }
    let far = session.now.open_msn + FAR;
    let asked = [
        Directives::until(far, None),
        Directives::until(far, Some(0)),
        Directives::until(far, None).skipping(),
    ];
    for directives in asked {
        let query = session.with(&directives).query().unwrap_or_default().to_owned();
        match session.ask(&directives).await {
            Ok(answer) if answer.is_ok() => {
                let Some(now) = session.read(&answer) else { return };
                let is_whole = now.ended && now.skipped.is_none();
                let what = if is_whole { "the whole playlist" } else { "another playlist" };
                session.judge.check(&rules::END_DIRECTIVES, is_whole, format!("{query}: {what}"));
            }
            Ok(answer) => {
                session.judge.check(&rules::END_DIRECTIVES, false, format!("{query}: {}", answer.status));
            }
            Err(trouble) => session.judge.check(&rules::END_DIRECTIVES, false, format!("{query}: {trouble}")),
        }
    }
}

fn not_yet(judge: &mut Judge) {
    for rule in [&rules::END_DIRECTIVES, &rules::END_FINAL] {
        judge.absent(rule, "the stream has not ended");
    }
}
