//! `mobzctl hls probe`.

mod alike;
mod blocking;
mod delta;
mod end;
mod fetch;
mod figures;
mod follow;
mod hints;
mod http;
mod i_frames;
mod judge;
mod parts;
mod ranges;
mod reload;
mod renditions;
mod report;
mod rules;
mod session;
mod syntax;
mod tags;

use std::collections::BTreeMap;

use reqwest::Url;
use tokio::time::Instant;

use self::fetch::{ANSWER_MAX, Answer, Fetcher, Trouble};
use self::figures::Figures;
use self::judge::Judge;
use self::session::{Directives, Session};
use super::playlist::{self, Media};
use crate::args::hls::Probe;
use crate::commands::interrupted;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// Looks at a server from outside, and reports which rules it keeps.
pub(super) async fn run(args: Probe, output: &Output) -> Result<Exit> {
    let interrupted = interrupted()?;
    tokio::pin!(interrupted);
    let begun = Instant::now();
    let progress = Progress::waiting(output, format!("looking at {}", args.url));
    let mut session = tokio::select! {
        session = open(&args) => session?,
        () = &mut interrupted => return Ok(Exit::Done),
    };
    let is_interrupted = tokio::select! {
        () = look(&mut session, &args, &progress) => false,
        () = &mut interrupted => true,
    };
    drop(progress);
    if is_interrupted {
        output.note("interrupted: what follows is what was seen until then");
    }
    report::print(&session, args.url.as_str(), begun.elapsed().as_secs_f64(), output)
}

async fn look(session: &mut Session, args: &Probe, progress: &Progress) {
    http::look(session).await;
    progress.say("asking at the borders of blocking reloads");
    blocking::look(session).await;
    hints::present(&mut session.judge, &session.now);
    hints::unhinted(session).await;
    delta::ask(session).await;
    progress.say("comparing renditions");
    renditions::reports(session).await;
    alike::look(session).await;
    alike::codecs(session).await;
    i_frames::look(session).await;
    blocking::refresh(session).await;
    follow::follow(session, Instant::now() + args.duration, progress).await;
    first_media(session).await;
    end::look(session).await;
    unseen(session);
}

/// Finds the media playlist, and takes a first look.
async fn open(args: &Probe) -> Result<Session> {
    let fetcher = Fetcher::new()?;
    let mut judge = Judge::default();
    let mut answer = first(&fetcher, &args.url).await?;
    let mut others = Vec::new();
    let mut multivariant = None;
    let text = answer.text();
    if let Some(variants) = playlist::variants(&text) {
        http::playlist(&mut judge, &answer);
        let read = playlist::multivariant(&text).unwrap_or_default();
        renditions::multivariant(&mut judge, &text, &read);
        multivariant = Some((answer.url.clone(), read));
        let (url, rest) = choose(args, &answer.url, &variants)?;
        answer = first(&fetcher, &url).await?;
        others = rest;
    } else {
        renditions::none(&mut judge);
    }
    http::playlist(&mut judge, &answer);
    let mut session = Session {
        fetcher,
        url: answer.url.clone(),
        judge,
        figures: Figures::default(),
        now: Media::default(),
        multivariant,
        others,
        last: None,
        maps: BTreeMap::new(),
        parts: BTreeMap::new(),
        reloads: 0,
    };
    session.now = session.read(&answer).ok_or_else(|| {
        let why = playlist::media(&answer.text()).err().unwrap_or_default();
        Failure::failed(format!("cannot probe {}", answer.url), why, "name the URL of an HLS playlist")
    })?;
    Ok(session)
}

/// The media playlist to probe, and the others beside it.
fn choose(args: &Probe, base: &Url, variants: &[String]) -> Result<(Url, Vec<Url>)> {
    let is_wanted = |uri: &&String| match &args.track {
        None => true,
        Some(track) => uri.split('/').any(|piece| piece == track.as_str()),
    };
    let chosen = variants.iter().find(is_wanted).ok_or_else(|| {
        Failure::not_found(
            format!("cannot probe track {}", args.track.as_ref().map_or("", |track| track.as_str())),
            format!("the stream has {}", variants.join(", ")),
            "choose one of them with --track",
        )
    })?;
    let resolve = |uri: &String| {
        base.join(uri).map_err(|error| {
            let why = format!("{uri} is no URI: {error}");
            Failure::failed(format!("cannot read the playlist at {base}"), why, "the server must mend it")
        })
    };
    let url = resolve(chosen)?;
    let mut others = variants.iter().map(resolve).collect::<Result<Vec<_>>>()?;
    others.sort();
    others.dedup();
    others.retain(|other| *other != url);
    Ok((url, others))
}

/// A playlist that must be there for a probe to begin.
async fn first(fetcher: &Fetcher, url: &Url) -> Result<Answer> {
    let what = format!("cannot probe {url}");
    let answer = match fetcher.get(url, ANSWER_MAX).await {
        Ok(answer) => answer,
        Err(Trouble::Overdue(after)) => {
            let why = format!("no answer in {} s", after.as_secs());
            return Err(Failure::timed_out(what, why, "check that the server runs, and the URL"));
        }
        Err(Trouble::Broken(why)) => {
            return Err(Failure::unreachable(what, why, "check that the server runs, and the URL"));
        }
    };
    let why = format!("the server answered {}", answer.status);
    match answer.status.as_u16() {
        200..300 => Ok(answer),
        404 | 410 => Err(Failure::not_found(what, why, "check that something is published there")),
        401 | 403 => {
            Err(Failure::refused(what, why, "use a URL that carries what the server asks for: a token"))
        }
        502..=504 => Err(Failure::unreachable(what, why, "look into the server's log")),
        _ => Err(Failure::failed(what, why, "look into the server's log")),
    }
}

/// Of a stream that was over before it could be followed, the media is looked at once.
async fn first_media(session: &mut Session) {
    let now = session.now.clone();
    let Some(segment) = now.segments.iter().rfind(|segment| !segment.gap) else { return };
    if session.judge.count(&rules::AVAILABLE) == 0 || now.ended {
        session.whole(&now, segment).await;
    }
    if session.judge.count(&rules::OLD_AT_ONCE) == 0 {
        for _ in 0..3 {
            if let Ok(answer) = session.ask(&Directives::default()).await {
                session.figures.reload.add(answer.took);
            }
        }
    }
}

/// Says why what was not seen was not.
fn unseen(session: &mut Session) {
    let (now, judge) = (&session.now, &mut session.judge);
    let why = match (now.ended, now.can_block_reload, now.has_parts()) {
        (true, _, _) => Some("the stream has ended"),
        (false, false, _) => Some("the server does not offer blocking reloads"),
        (false, true, false) => Some("the playlist lists no parts"),
        (false, true, true) => None,
    };
    let of_parts = [
        &rules::CADENCE,
        &rules::KEPT_PART,
        &rules::SAME_MEDIA,
        &rules::INDEPENDENT,
        &rules::INDEPENDENT_TOLD,
        &rules::HINT_AVAILABLE,
        &rules::HINT_TRUE,
        &rules::HINT_BYTES,
        &rules::HINT_WHOLE,
    ];
    for rule in of_parts {
        match (why, now.has_parts() && !now.ended) {
            (Some(why), false) => judge.absent(rule, why),
            (Some(why), true) => judge.skip(rule, why),
            (None, _) => judge.skip(rule, "it did not come up in the time; see --duration"),
        }
    }
    let of_reloads = [
        &rules::TARGET_CONSTANT,
        &rules::PART_TARGET_CONSTANT,
        &rules::SEQUENCE,
        &rules::DISCONTINUITY_SEQUENCE,
        &rules::UNCHANGED,
        &rules::PARTS_UNCHANGED,
        &rules::PARTS_ORDER,
        &rules::LIVE_TYPE,
        &rules::SEGMENT_CADENCE,
        &rules::CACHE_BLOCKING,
        &rules::WINDOW,
        &rules::KEPT_SEGMENT,
    ];
    for rule in of_reloads {
        if now.ended {
            judge.absent(rule, "the stream has ended: nothing is reloaded");
        } else {
            judge.skip(rule, "nothing was removed in the time; see --duration");
        }
    }
    let can_skip = now.control.as_ref().is_some_and(|control| control.can_skip_until.is_some());
    for rule in [&rules::DELTA, &rules::DELTA_EQUAL, &rules::DELTA_BOUNDARY] {
        match (now.ended, can_skip) {
            (true, _) => judge.absent(rule, "the stream has ended"),
            (false, false) => judge.absent(rule, "no delta updates are offered"),
            (false, true) => {
                judge.skip(rule, why.unwrap_or("it did not come up in the time; see --duration"));
            }
        }
    }
    judge.skip(&rules::OVERDUE, "no request had to wait for three target durations");
    for rule in [&rules::DURATION_TRUE, &rules::INDEPENDENT_SEGMENTS] {
        judge.skip(rule, "the media cannot be read");
    }
    for rule in [&rules::TIMESTAMPS, &rules::FORMAT_CHANGE] {
        judge.skip(rule, "no two segments in a row were looked into; see --duration");
    }
    judge.absent(&rules::PDT_BREAK, "no segment after a discontinuity is listed");
    judge.skip(&rules::PDT_ORDER, "no two segments in a row have dates");
    judge.skip(&rules::RANGE_KEPT, "no date range was seen twice");
    judge.skip(&rules::RANGE_SAME, "no date range was seen twice");
    judge.absent(&rules::CACHE_BLOCKING, "there was no blocking reload");
}
