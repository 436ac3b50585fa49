//! Answers: headers that caches and browsers need, ranges, and failures.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::body::Body;

/// `Content-Type` of playlists (draft-pantos-hls-rfc8216bis-22 §4).
pub(crate) const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
/// How long a browser may remember that it may ask, in seconds.
const PREFLIGHT_AGE: &str = "86400";
/// Room for the headers of an answer to a player, which are twelve at most.
const HEADERS: usize = 12;

/// How long caches may keep an answer, by PROTOCOL.md §6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// The stream's target duration, in seconds.
    pub(crate) target: u32,
    /// Whether the request has a directive that blocks.
    pub(crate) is_blocking: bool,
}

impl Lifetime {
    /// Of what belongs to no stream.
    pub(crate) fn unknown() -> Self {
        Self { target: mobz_core::hls::stream::TARGET_DURATION_DEFAULT, is_blocking: false }
    }

    /// Of a playlist: half a target duration, six when it blocks.
    pub(crate) fn of_playlist(self) -> u32 {
        if self.is_blocking { 6 * self.target } else { self.target / 2 }
    }

    /// Of media: six target durations.
    pub(crate) fn of_media(self) -> u32 {
        6 * self.target
    }

    fn of_failure(self) -> u32 {
        if self.is_blocking { 4 * self.target } else { self.target }
    }
}

/// An answer that is none.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    /// Whether it passes by itself, so that no cache may keep it.
    is_passing: bool,
}

impl Failure {
    pub(crate) fn bad(message: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.to_owned(), is_passing: false }
    }

    pub(crate) fn unauthorized(message: String) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, message, is_passing: false }
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, message: message.to_owned(), is_passing: false }
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.to_owned(), is_passing: false }
    }

    /// A request that was blocked too long.
    pub(crate) fn overdue() -> Self {
        let message = "what was asked for did not come in time".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message, is_passing: false }
    }

    /// This node cannot answer now; another may.
    pub(crate) fn unavailable(message: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: message.to_owned(), is_passing: true }
    }

    pub(crate) fn into_response(self, lifetime: Lifetime, is_private: bool) -> Response<Body> {
        let mut response = text(self.status, self.message + "\n");
        let control = if self.is_passing {
            HeaderValue::from_static("no-store")
        } else {
            max_age(lifetime.of_failure())
        };
        response.headers_mut().insert(header::CACHE_CONTROL, control);
        if self.status == StatusCode::UNAUTHORIZED {
            set(&mut response, header::WWW_AUTHENTICATE, "Bearer");
        }
        shared(response, is_private)
    }
}

/// A successful answer's fixed parts.
pub(crate) struct Found<'a> {
    pub(crate) content_type: &'static str,
    pub(crate) max_age: u32,
    pub(crate) etag: &'a HeaderValue,
}

/// A playlist, or 304 where the client has it.
pub(crate) fn playlist(found: &Found<'_>, text: &Bytes, is_gzip: bool, asked: &HeaderMap) -> Response<Body> {
    let mut response = if matches_etag(asked, found.etag) {
        not_modified()
    } else {
        let mut response = answer(Body::from(text.clone()));
        length_is(&mut response, text.len());
        if is_gzip {
            set(&mut response, header::CONTENT_ENCODING, "gzip");
        }
        response
    };
    describe(&mut response, found);
    set(&mut response, header::VARY, "Accept-Encoding");
    response
}

/// Media in pieces that are sent one after another without being copied; all of it, a range of it, or 304.
pub(crate) fn media(found: &Found<'_>, pieces: Vec<Bytes>, asked: &HeaderMap) -> Response<Body> {
    let length = pieces.iter().map(Bytes::len).sum();
    if matches_etag(asked, found.etag) {
        let mut response = not_modified();
        describe(&mut response, found);
        return response;
    }
    let mut response = match Range::asked(asked, found.etag, length) {
        Range::All => {
            let mut response = answer(body(pieces));
            length_is(&mut response, length);
            response
        }
        Range::Some(first, end) => {
            let mut response = answer(body(cut(&pieces, first, end)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            length_is(&mut response, end - first);
            let range = format!("bytes {first}-{}/{length}", end - 1);
            made(&mut response, header::CONTENT_RANGE, range);
            response
        }
        Range::Unsatisfiable => {
            let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, "the range lies beyond the end\n");
            made(&mut response, header::CONTENT_RANGE, format!("bytes */{length}"));
            return response;
        }
    };
    describe(&mut response, found);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    response
}

/// Whether the client takes gzip (RFC 9110 §12.5.3).
pub(crate) fn takes_gzip(asked: &HeaderMap) -> bool {
    let codings = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for coding in codings.flat_map(|list| list.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let refused = parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse() == Ok(0.0));
        if name.eq_ignore_ascii_case("gzip") {
            return !refused;
        }
        if name == "*" {
            any = Some(!refused);
        }
    }
    any.unwrap_or(false)
}

/// A short text for people.
pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let message = message.into();
    let length = message.len();
    let mut response = answer(Body::from(message));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    length_is(&mut response, length);
    response
}

/// The answer to a CORS preflight.
pub(crate) fn preflight() -> Response<Body> {
    let mut response = answer(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match, If-Range, Authorization");
    set(&mut response, header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    response
}

/// 405.
pub(crate) fn method_not_allowed() -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD and OPTIONS alone\n");
    set(&mut response, header::ALLOW, "GET, HEAD, OPTIONS");
    response
}

/// The same answer to a HEAD.
pub(crate) fn without_body(response: Response<Body>) -> Response<Body> {
    let (head, _) = response.into_parts();
    Response::from_parts(head, Body::default())
}

/// Adds what every answer to a player has: CORS, and `private` under a token.
pub(crate) fn shared(mut response: Response<Body>, is_private: bool) -> Response<Body> {
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        &mut response,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Content-Length, Content-Range, ETag, Date, Age",
    );
    if is_private {
        let control = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let control = control
            .filter(|control| !control.starts_with("private"))
            .map(|control| format!("private, {control}"));
        if let Some(control) = control {
            made(&mut response, header::CACHE_CONTROL, control);
        }
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    All,
    /// From the first byte to the one before the second number.
    Some(usize, usize),
    Unsatisfiable,
}

impl Range {
    /// RFC 9110 §14.2: a range that is malformed, or more than one, is as none at all.
    fn asked(headers: &HeaderMap, etag: &HeaderValue, length: usize) -> Self {
        if headers.get(header::IF_RANGE).is_some_and(|value| value != etag) {
            return Self::All;
        }
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        let Some((first, last)) =
            range.and_then(|range| range.strip_prefix("bytes=")?.trim().split_once('-'))
        else {
            return Self::All;
        };
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), _) if !last.is_empty() && last.parse::<usize>().is_ok_and(|last| last < first) => {
                Self::All
            }
            (Ok(first), Ok(last)) if first < length => Self::Some(first, last.saturating_add(1).min(length)),
            (Ok(first), Err(_)) if last.is_empty() && first < length => Self::Some(first, length),
            (Ok(_), Ok(_)) => Self::Unsatisfiable,
            (Ok(_), Err(_)) if last.is_empty() => Self::Unsatisfiable,
            (Err(_), Ok(0)) if first.is_empty() => Self::Unsatisfiable,
            (Err(_), Ok(tail)) if first.is_empty() => Self::Some(length.saturating_sub(tail), length),
            (Ok(_) | Err(_), _) => Self::All,
        }
    }
}

fn cut(pieces: &[Bytes], first: usize, end: usize) -> Vec<Bytes> {
    let mut at = 0;
    let mut cut = Vec::new();
    for piece in pieces {
        let from = first.clamp(at, at + piece.len()) - at;
        let to = end.clamp(at, at + piece.len()) - at;
        if from < to {
            cut.push(piece.slice(from..to));
        }
        at += piece.len();
    }
    cut
}

fn body(mut pieces: Vec<Bytes>) -> Body {
    if pieces.len() == 1 { Body::from(pieces.swap_remove(0)) } else { Body::from(pieces) }
}

fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().reserve(HEADERS);
    response
}

fn not_modified() -> Response<Body> {
    let mut response = answer(Body::default());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn describe(response: &mut Response<Body>, found: &Found<'_>) {
    if response.status() != StatusCode::NOT_MODIFIED {
        set(response, header::CONTENT_TYPE, found.content_type);
    }
    response.headers_mut().insert(header::ETAG, found.etag.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, max_age(found.max_age));
}

fn max_age(seconds: u32) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={seconds}")).unwrap_or(HeaderValue::from_static("no-store"))
}

fn matches_etag(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let etag = etag.to_str().unwrap_or_default();
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn length_is(response: &mut Response<Body>, length: usize) {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Sets a value that is made here, of characters a header may have.
fn made(response: &mut Response<Body>, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: HeaderValue = HeaderValue::from_static("\"e\"");

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let cases = [
            ("bytes=0-3", Range::Some(0, 4)),
            ("bytes=8-", Range::Some(8, 10)),
            ("bytes=-3", Range::Some(7, 10)),
            ("bytes=-30", Range::Some(0, 10)),
            ("bytes=5-99", Range::Some(5, 10)),
            ("bytes=10-", Range::Unsatisfiable),
            ("bytes=10-12", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=4-2", Range::All),
            ("bytes=a-b", Range::All),
            ("bytes=0-1,3-4", Range::All),
            ("lines=0-1", Range::All),
        ];
        for (text, expected) in cases {
            assert_eq!(Range::asked(&headers(header::RANGE, text), &ETAG, 10), expected, "{text}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_than_the_client_has_is_the_whole() {
        let mut asked = headers(header::RANGE, "bytes=0-3");
        asked.insert(header::IF_RANGE, HeaderValue::from_static("\"old\""));
        assert_eq!(Range::asked(&asked, &ETAG, 10), Range::All);
    }

    #[test]
    fn a_cut_goes_across_pieces() {
        let pieces = [Bytes::from_static(b"012"), Bytes::from_static(b"34"), Bytes::from_static(b"56789")];
        assert_eq!(cut(&pieces, 2, 7).concat(), b"23456");
        assert_eq!(cut(&pieces, 0, 10).concat(), b"0123456789");
        assert_eq!(cut(&pieces, 3, 5).concat(), b"34");
    }

    #[test]
    fn gzip_is_taken_where_it_is_offered() {
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("gzip;q=0", false),
            ("br, *", true),
            ("identity", false),
            ("*;q=0, gzip;q=0.5", true),
        ] {
            assert_eq!(takes_gzip(&headers(header::ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn any_of_the_clients_etags_may_match() {
        assert!(matches_etag(&headers(header::IF_NONE_MATCH, "\"a\", W/\"e\""), &ETAG));
        assert!(!matches_etag(&headers(header::IF_NONE_MATCH, "\"a\""), &ETAG));
    }
}
