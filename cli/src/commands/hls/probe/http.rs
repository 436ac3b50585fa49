//! HTTP: types, caches, compression, other sites, versions.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Version;
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};

use super::fetch::{ANSWER_MAX, Answer, Fetcher};
use super::judge::Judge;
use super::rules;
use super::session::Session;

/// The types of playlists (§4), the second one for old servers.
const PLAYLIST_TYPES: [&str; 2] = ["application/vnd.apple.mpegurl", "audio/mpegurl"];
/// The most bytes a compressed playlist may grow to.
const PLAYLIST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the headers of a playlist say.
pub(super) fn playlist(judge: &mut Judge, answer: &Answer) {
    let kind = essence(answer.header(&CONTENT_TYPE));
    judge.check(&rules::PLAYLIST_TYPE, PLAYLIST_TYPES.contains(&kind.as_str()), named(&kind));
    cors(judge, answer, "playlist");
}

/// What the headers of media say.
pub(super) fn media(judge: &mut Judge, answer: &Answer) {
    let kind = essence(answer.header(&CONTENT_TYPE));
    let holds = kind.starts_with("video/") || kind.starts_with("audio/") || kind == "application/mp4";
    judge.check(&rules::MEDIA_TYPE, holds, named(&kind));
    cors(judge, answer, "media");
    let (holds, seen) = may_be_kept(answer);
    judge.check(&rules::CACHE_MEDIA, holds, seen);
}

/// What the headers of an answer to a blocking reload say.
pub(super) fn blocking(judge: &mut Judge, answer: &Answer) {
    let (holds, seen) = may_be_kept(answer);
    judge.check(&rules::CACHE_BLOCKING, holds, seen);
}

/// What the headers of an answer say that nothing is there.
pub(super) fn missing(judge: &mut Judge, answer: &Answer, target: f64) {
    let control = Control::of(answer);
    let holds = control.kept.is_none_or(|kept| kept <= 4.0 * target) || control.forbids;
    judge.check(&rules::CACHE_MISSING, holds, control.told());
}

/// Whether a cache may keep it at all: one that may not asks the origin for every viewer.
fn may_be_kept(answer: &Answer) -> (bool, String) {
    let control = Control::of(answer);
    (control.kept.is_some_and(|kept| kept > 0.0) && !control.forbids, control.told())
}

/// A `Cache-Control`.
struct Control {
    text: String,
    /// For how long caches keep it, in seconds.
    kept: Option<f64>,
    /// Whether it may not be kept, or not be used without asking.
    forbids: bool,
}

impl Control {
    fn of(answer: &Answer) -> Self {
        let text = answer.header(&CACHE_CONTROL).to_ascii_lowercase();
        let age = |name: &str| {
            let value = text.split(',').find_map(|part| part.trim().strip_prefix(name));
            value.and_then(|value| value.trim_matches('"').parse::<f64>().ok())
        };
        let kept = age("s-maxage=").or_else(|| age("max-age="));
        let forbids = text.contains("no-cache") || text.contains("no-store");
        Self { text, kept, forbids }
    }

    fn told(self) -> String {
        if self.text.is_empty() { "no Cache-Control: caches guess".to_owned() } else { self.text }
    }
}

fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn named(kind: &str) -> &str {
    if kind.is_empty() { "no Content-Type" } else { kind }
}

fn cors(judge: &mut Judge, answer: &Answer, what: &str) {
    let allowed = answer.header(&ACCESS_CONTROL_ALLOW_ORIGIN);
    let seen = if allowed.is_empty() {
        format!("no Access-Control-Allow-Origin on a {what}")
    } else {
        format!("Access-Control-Allow-Origin: {allowed}")
    };
    judge.check(&rules::CORS, !allowed.is_empty(), seen);
}

/// Looks at the live playlist as caches, compression and HTTP/2 see it.
pub(super) async fn look(session: &mut Session) {
    match session.fetcher.get_gzip(&session.url).await {
        Ok(answer) if answer.is_ok() => {
            let (holds, seen) = compressed(&answer);
            session.judge.check(&rules::GZIP, holds, seen);
            cache(session, &answer);
        }
        Ok(answer) => {
            session.judge.skip(&rules::GZIP, format!("the playlist was answered {}", answer.status));
        }
        Err(trouble) => session.judge.skip(&rules::GZIP, trouble.to_string()),
    }
    version(session).await;
}

fn compressed(answer: &Answer) -> (bool, String) {
    if !answer.header(&CONTENT_ENCODING).eq_ignore_ascii_case("gzip") {
        return (false, "sent plain to a client that takes gzip".to_owned());
    }
    let mut text = String::new();
    let read = GzDecoder::new(answer.body.as_ref()).take(PLAYLIST_BYTES_MAX).read_to_string(&mut text);
    match read {
        Ok(_) if text.starts_with("#EXTM3U") => {
            (true, format!("{} bytes of {}", answer.body.len(), text.len()))
        }
        Ok(_) => (false, "what comes out of gzip is no playlist".to_owned()),
        Err(error) => (false, format!("what is called gzip cannot be read: {error}")),
    }
}

fn cache(session: &mut Session, answer: &Answer) {
    if session.now.ended {
        return session.judge.absent(&rules::CACHE_LIVE, "the stream has ended");
    }
    let control = Control::of(answer);
    let target = session.now.target_duration;
    let holds = control.forbids || control.kept.is_some_and(|kept| kept <= target);
    session.judge.check(&rules::CACHE_LIVE, holds, control.told());
}

async fn version(session: &mut Session) {
    let is_tls = session.url.scheme() == "https";
    // Over TLS the handshake has settled it; in the clear a client must know beforehand.
    let answer = if is_tls {
        session.fetcher.get(&session.url, ANSWER_MAX).await
    } else {
        match Fetcher::http2() {
            Ok(fetcher) => fetcher.get(&session.url, ANSWER_MAX).await,
            Err(failure) => return session.judge.skip(&rules::HTTP2, failure.why()),
        }
    };
    let way = if is_tls { "over TLS" } else { "in the clear, with prior knowledge" };
    match answer {
        Ok(answer) => {
            let holds = answer.version == Version::HTTP_2 && answer.is_ok();
            session.judge.check(
                &rules::HTTP2,
                holds,
                format!("{:?} {way}: {}", answer.version, answer.status),
            );
        }
        Err(_) => session.judge.check(&rules::HTTP2, false, format!("no HTTP/2 {way}")),
    }
}
