//! I-frame playlists (§4.4.3.6, §4.4.6.3).

use reqwest::Url;

use super::super::playlist::{Attributes, Media, Resource, media};
use super::fetch::{ANSWER_MAX, Answer, Trouble};
use super::rules::{self, Rule};
use super::session::Session;

/// Attributes that an I-frame stream has not (§4.4.6.3).
const FOREIGN: [&str; 4] = ["FRAME-RATE", "AUDIO", "SUBTITLES", "CLOSED-CAPTIONS"];
/// How many I-frames are fetched of each playlist.
const FRAMES: usize = 3;
const RULES: [&Rule; 9] = [
    &rules::I_FRAME_TAG,
    &rules::I_FRAMES_ONLY,
    &rules::I_FRAMES_PARTS,
    &rules::I_FRAMES_MAP,
    &rules::I_FRAMES_THERE,
    &rules::I_FRAMES_BLOCK,
    &rules::RANGE_LENGTH,
    &rules::REPORT_I_FRAMES,
    &rules::REPORT_I_FRAMES_THERE,
];

/// Looks at every I-frame stream.
pub(super) async fn look(session: &mut Session) {
    let Some((base, multivariant)) = session.multivariant.clone() else {
        return absent(session, "the URL is that of a media playlist");
    };
    if multivariant.i_frames.is_empty() {
        return absent(session, "there is no EXT-X-I-FRAME-STREAM-INF");
    }
    let mut urls = Vec::new();
    for stream in &multivariant.i_frames {
        let fault = fault(stream);
        let seen = fault.clone().unwrap_or_else(|| "whole".to_owned());
        session.judge.check(&rules::I_FRAME_TAG, fault.is_none(), seen);
        let Some(Ok(url)) = stream.get("URI").map(|uri| base.join(uri)) else { continue };
        if urls.contains(&url) {
            continue;
        }
        playlist(session, &url).await;
        urls.push(url);
    }
    reports(session, &urls);
    for rule in RULES {
        session.judge.skip(rule, "the I-frame playlist cannot be read");
    }
}

fn absent(session: &mut Session, why: &str) {
    for rule in RULES {
        session.judge.absent(rule, why);
    }
}

fn fault(stream: &Attributes) -> Option<String> {
    let foreign = FOREIGN.iter().find(|name| stream.contains_key(**name));
    match () {
        () if !stream.contains_key("BANDWIDTH") => Some("there is no BANDWIDTH".to_owned()),
        () if !stream.contains_key("URI") => Some("there is no URI".to_owned()),
        () => foreign.map(|name| format!("it has {name}")),
    }
}

async fn playlist(session: &mut Session, url: &Url) {
    let read = |answer: Result<Answer, Trouble>| match answer {
        Ok(answer) if answer.is_ok() => media(&answer.text()).map(|media| (answer, media)),
        Ok(answer) => Err(answer.status.to_string()),
        Err(trouble) => Err(trouble.to_string()),
    };
    let (answer, media) = match read(session.fetcher.get(url, ANSWER_MAX).await) {
        Ok(read) => read,
        Err(why) => {
            return session.judge.check(&rules::I_FRAMES_ONLY, false, format!("{}: {why}", url.path()));
        }
    };
    super::tags::written(&mut session.judge, &answer.text(), &media);
    let has = if media.only_i_frames { "has it" } else { "has it not" };
    session.judge.check(&rules::I_FRAMES_ONLY, media.only_i_frames, format!("{} {has}", url.path()));
    let has_parts = media.has_parts();
    let seen = if has_parts { "there are parts" } else { "there are none" };
    session.judge.check(&rules::I_FRAMES_PARTS, !has_parts, seen);
    frames(session, url, &media).await;
    blocking(session, url, &media).await;
}

async fn frames(session: &mut Session, url: &Url, media: &Media) {
    let listed: Vec<_> = media.segments.iter().filter(|segment| !segment.gap).collect();
    for segment in listed.iter().rev().take(FRAMES) {
        let what = format!("I-frame {} of {}", segment.msn, url.path());
        let answer = match session.fetcher.media(url, &segment.resource, ANSWER_MAX).await {
            Ok(answer) if answer.is_ok() => answer,
            Ok(answer) => {
                session.judge.check(&rules::I_FRAMES_THERE, false, format!("{what}: {}", answer.status));
                continue;
            }
            Err(trouble) => {
                session.judge.check(&rules::I_FRAMES_THERE, false, format!("{what}: {trouble}"));
                continue;
            }
        };
        session.judge.check(&rules::I_FRAMES_THERE, true, format!("{what}: {}", answer.status));
        range(session, &segment.resource, &answer, &what);
        let is_fragment =
            answer.body.get(4..8).is_some_and(|kind| matches!(kind, b"moof" | b"styp" | b"prft"));
        if !is_fragment {
            let begins = answer.body.get(4..8).is_some_and(|kind| kind == b"ftyp");
            // What begins with its own initialization section needs no other; a sub-range must not.
            if begins && segment.resource.range.is_none() {
                session.judge.check(&rules::I_FRAMES_MAP, true, format!("{what} begins with one"));
            } else {
                session.judge.absent(&rules::I_FRAMES_MAP, "the I-frames are not fragmented MP4");
            }
            continue;
        }
        match &segment.map {
            Some(map) => {
                let is_read = session.init(url, map).await.is_some();
                let seen = format!("{} {}", map.uri, if is_read { "is one" } else { "cannot be read" });
                session.judge.check(&rules::I_FRAMES_MAP, is_read, seen);
            }
            None => session.judge.check(&rules::I_FRAMES_MAP, false, format!("{what} has none")),
        }
    }
    if listed.is_empty() {
        for rule in [&rules::I_FRAMES_THERE, &rules::I_FRAMES_MAP, &rules::RANGE_LENGTH] {
            session.judge.absent(rule, "no I-frame is listed");
        }
    }
}

/// Whether a sub-range came as it was asked for.
pub(super) fn range(session: &mut Session, resource: &Resource, answer: &Answer, what: &str) {
    let Some((_, length)) = resource.range else {
        return session.judge.absent(&rules::RANGE_LENGTH, "nothing listed is a sub-range");
    };
    let came = answer.body.len() as u64;
    let holds = came == length && answer.status.as_u16() == 206;
    let seen = format!("{what}: {} with {came} bytes, {length} listed", answer.status);
    session.judge.check(&rules::RANGE_LENGTH, holds, seen);
}

async fn blocking(session: &mut Session, url: &Url, media: &Media) {
    if media.ended || !session.now.can_block_reload {
        let why =
            if media.ended { "the stream has ended" } else { "the server does not offer blocking reloads" };
        return session.judge.absent(&rules::I_FRAMES_BLOCK, why);
    }
    let mut asked = url.clone();
    let msn = media.open_msn;
    asked.query_pairs_mut().append_pair("_HLS_msn", &msn.to_string());
    match session.fetcher.get(&asked, session.patience()).await {
        Ok(answer) if answer.is_ok() => {
            let Ok(now) = super::super::playlist::media(&answer.text()) else { return };
            let holds = now.open_msn > msn || now.ended;
            let last = now.open_msn.saturating_sub(1);
            let seen = format!("asked for {msn}, the last was {last}");
            session.judge.check(&rules::I_FRAMES_BLOCK, holds, seen);
        }
        Ok(answer) if answer.status.as_u16() == 503 => {
            session.judge.skip(&rules::I_FRAMES_BLOCK, "no I-frame came in time");
        }
        Ok(answer) => {
            session.judge.check(&rules::I_FRAMES_BLOCK, false, format!("_HLS_msn={msn}: {}", answer.status));
        }
        Err(trouble) => session.judge.skip(&rules::I_FRAMES_BLOCK, trouble.to_string()),
    }
}

fn reports(session: &mut Session, urls: &[Url]) {
    if session.now.ended {
        session.judge.absent(&rules::REPORT_I_FRAMES_THERE, "the stream has ended");
        return session.judge.absent(&rules::REPORT_I_FRAMES, "the stream has ended");
    }
    let reported = |url: &&Url| {
        session
            .now
            .reports
            .iter()
            .any(|report| session.url.join(&report.uri).is_ok_and(|its| its.path() == url.path()))
    };
    let count = urls.iter().filter(reported).count();
    let seen = format!("{count} of {} I-frame playlists", urls.len());
    session.judge.check(&rules::REPORT_I_FRAMES_THERE, count > 0, seen.clone());
    session.judge.check(&rules::REPORT_I_FRAMES, count == 0 || count == urls.len(), seen);
}
