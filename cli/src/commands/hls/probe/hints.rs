//! Preload hints (§4.4.5.3, §6.2.6).

use std::time::Duration;

use super::super::playlist::{Media, Resource};
use super::fetch::{Answer, Trouble};
use super::judge::Judge;
use super::session::Session;
use super::{http, rules};

/// The last byte that a client asks for whose hint has no length (RFC 8673).
const LENGTH_UNKNOWN: u64 = (1 << 53) - 1;
/// What part of a part target the body of a hinted part may take, and a little for the network.
const BODY_SHARE_MAX: f64 = 0.5;
const BODY_SLACK: Duration = Duration::from_millis(30);

/// The part that the playlist hints at.
pub(super) fn hinted(media: &Media) -> Option<Resource> {
    let hint = media.hints.iter().find(|hint| hint.kind == "PART")?;
    let range = hint.range.map(|(first, length)| (first, length.unwrap_or(LENGTH_UNKNOWN - first)));
    Some(Resource { uri: hint.uri.clone(), range })
}

/// What the hints of one playlist say.
pub(super) fn present(judge: &mut Judge, media: &Media) {
    if media.ended || !media.has_parts() {
        let why = if media.ended { "the stream has ended" } else { "the playlist lists no parts" };
        for rule in [&rules::HINT, &rules::HINT_ONCE] {
            judge.absent(rule, why);
        }
        return;
    }
    let of_parts = media.hints.iter().filter(|hint| hint.kind == "PART").count();
    let of_maps = media.hints.iter().filter(|hint| hint.kind == "MAP").count();
    judge.check(
        &rules::HINT,
        of_parts > 0,
        if of_parts > 0 { "a hint of type PART" } else { "no hint of type PART" },
    );
    judge.check(
        &rules::HINT_ONCE,
        of_parts <= 1 && of_maps <= 1,
        format!("{of_parts} of parts, {of_maps} of maps"),
    );
}

/// Compares what came of a hint with what was listed then.
pub(super) async fn look(
    session: &mut Session,
    before: &Media,
    hint: &Resource,
    hinted: Result<Answer, Trouble>,
    reloaded: &Answer,
) {
    let now = session.now.clone();
    present(&mut session.judge, &now);
    if now.ended {
        return;
    }
    let listed = listed(before, &now, hint);
    // A server may change its mind (§6.2.6): then it lists another part, and answers 404.
    let is_dropped = listed.is_none() && now.edge() != before.edge();
    if is_dropped {
        let is_boundary = now.open_msn > before.open_msn;
        let seen = format!("{} was hinted at and did not come", hint.uri);
        session.judge.check(&rules::HINT_TRUE, is_boundary, seen);
        return;
    }
    let Some((msn, number)) = listed else { return };
    session.judge.check(&rules::HINT_TRUE, true, format!("{} came as part {msn}.{number}", hint.uri));
    let answer = match hinted {
        Ok(answer) if answer.is_ok() => answer,
        Ok(answer) => {
            return session.judge.check(
                &rules::HINT_AVAILABLE,
                false,
                format!("{}: {}", hint.uri, answer.status),
            );
        }
        Err(trouble) => {
            return session.judge.check(&rules::HINT_AVAILABLE, false, format!("{}: {trouble}", hint.uri));
        }
    };
    session.judge.check(&rules::HINT_AVAILABLE, true, format!("{}: {}", hint.uri, answer.status));
    session.figures.after_hint.add(reloaded.ended.saturating_duration_since(answer.ended));
    if let Some(target) = now.part_target {
        let limit = Duration::from_secs_f64(target * BODY_SHARE_MAX) + BODY_SLACK;
        let seen =
            format!("{} bytes in {:.0} ms", answer.body.len(), answer.body_took.as_secs_f64() * 1000.0);
        session.judge.check(&rules::HINT_WHOLE, answer.body_took <= limit, seen);
    }
    if let Some(bytes) = session.part(&now, msn, number).await {
        // Of a range whose end was not known the answer may go on beyond the part.
        let holds = if hint.range.is_some() { answer.body.starts_with(&bytes) } else { answer.body == bytes };
        let seen = format!("{}: {} bytes hinted, {} listed", hint.uri, answer.body.len(), bytes.len());
        session.judge.check(&rules::HINT_BYTES, holds, seen);
    }
}

/// Where the hinted part is listed now.
fn listed(before: &Media, now: &Media, hint: &Resource) -> Option<(u64, usize)> {
    let is_it = |resource: &Resource| {
        resource.uri == hint.uri && resource.range.map(|range| range.0) == hint.range.map(|range| range.0)
    };
    (before.open_msn..=now.open_msn).find_map(|msn| {
        let number = now.parts(msn).iter().position(|part| is_it(&part.resource))?;
        Some((msn, number))
    })
}

/// Asks for a part that nobody has spoken of.
pub(super) async fn unhinted(session: &mut Session) {
    let Some(hint) = hinted(&session.now) else {
        for rule in [&rules::UNHINTED, &rules::CACHE_MISSING] {
            session.judge.absent(rule, "there are no hints to tell a part's URI by");
        }
        return;
    };
    let (path, rest) = hint.uri.split_at(hint.uri.find('?').unwrap_or(hint.uri.len()));
    let (folder, file) = path.rsplit_once('/').map_or(("", path), |(folder, file)| (folder, file));
    let slash = if path.contains('/') { "/" } else { "" };
    let uri = format!("{folder}{slash}no-such-{file}{rest}");
    let patience = Duration::from_secs_f64(session.now.target_duration.clamp(1.0, 10.0));
    let (holds, seen) = match session
        .fetcher
        .media(&session.url, &Resource { uri: uri.clone(), range: None }, patience)
        .await
    {
        Ok(answer) => {
            let is_missing = matches!(answer.status.as_u16(), 404 | 410);
            if is_missing {
                http::missing(&mut session.judge, &answer, session.now.target_duration);
            }
            (is_missing, format!("{uri}: {}", answer.status))
        }
        Err(trouble) => (false, format!("{uri}: {trouble}")),
    };
    session.judge.check(&rules::UNHINTED, holds, seen);
}
