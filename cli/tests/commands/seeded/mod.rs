//! An LL-HLS server without a fault, and with one fault each: the first piece of the path names the rule
//! that is broken (`/hint-bytes/index.m3u8`), `ended` a stream that is over,
//! `segments` one without parts, `stalled` one that stops, and anything else none.

mod text;

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Uri, Version, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jiff::{SignedDuration, Timestamp};
use mobz_core::hls::testing::{Encoder, audio_init, video_init};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a part lasts, in milliseconds.
const PART_MS: u64 = 200;
/// How many parts a segment has: one second of them.
const PARTS: u64 = 5;
/// How many parts there were before the server began.
const PAST: u64 = 40 * PARTS;
/// How many complete segments are listed.
const LISTED: u64 = 12;
/// Segments of this multiple begin with a discontinuity.
const BREAK_EVERY: u64 = 7;
/// Beyond this many parts from the last a request is refused: three seconds, by 200 ms.
const ADVANCE_MAX: u64 = 15;
/// How long a request is held at most: three target durations.
const STALL_MAX: Duration = Duration::from_secs(3);
/// A time that no request of a probe waits for.
const LONG: Duration = Duration::from_secs(30);

/// The server; its stream begins when it does.
struct Server {
    begun: Instant,
    date: Timestamp,
    address: SocketAddr,
}

/// Serves until the runtime ends; tells where.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let past = SignedDuration::from_millis(i64::try_from(PAST * PART_MS).unwrap());
    let server = Arc::new(Server { begun: Instant::now(), date: Timestamp::now() - past, address });
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(&request).await) }
                });
                // Whoever goes in the middle of an answer is a probe that has seen enough.
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

/// The delivery directives of a request.
#[derive(Default)]
struct Asked {
    msn: Option<String>,
    part: Option<String>,
    skip: Option<String>,
}

impl Asked {
    fn of(uri: &Uri) -> Self {
        let mut asked = Self::default();
        for pair in uri.query().unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("_HLS_msn", value)) => asked.msn = Some(value.to_owned()),
                Some(("_HLS_part", value)) => asked.part = Some(value.to_owned()),
                Some(("_HLS_skip", value)) => asked.skip = Some(value.to_owned()),
                _ => {}
            }
        }
        asked
    }

    fn is_empty(&self) -> bool {
        self.msn.is_none() && self.part.is_none() && self.skip.is_none()
    }
}

/// The stream at one moment, as one fault shows it.
struct Moment<'a> {
    fault: &'a str,
    /// How many parts there are.
    parts: u64,
    ended: bool,
    date: Timestamp,
    address: SocketAddr,
    /// In microseconds since the server began.
    age: u64,
}

impl Server {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let gzip = request.headers().get(header::ACCEPT_ENCODING).is_some_and(|value| value == "gzip");
        let path: Vec<&str> = request.uri().path().trim_start_matches('/').split('/').collect();
        let fault = path[0];
        if fault == "http2" && request.version() == Version::HTTP_2 {
            return status(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        }
        match path[1..] {
            ["index.m3u8"] => playlist(fault, text::multivariant(fault), gzip, false),
            [track, "media.m3u8"] => self.media_playlist(fault, track, &Asked::of(request.uri()), gzip).await,
            [_, "i-frames.m3u8"] => self.i_frames(fault, &Asked::of(request.uri())).await,
            [_, file] => ranged(fault, request, self.media(fault, file).await).await,
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// How many parts there are now.
    fn parts(&self, fault: &str) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let parts = PAST + millis / PART_MS;
        match fault {
            "part-cadence" | "segment-cadence" => parts / burst(fault) * burst(fault),
            "block-limit" | "stalled" => PAST + 2,
            _ => parts,
        }
    }

    /// Waits until there are so many parts.
    async fn until(&self, fault: &str, parts: u64) {
        if fault == "stalled" && self.parts(fault) < parts {
            return sleep(STALL_MAX).await;
        }
        let due = match fault {
            "part-cadence" | "segment-cadence" => parts.div_ceil(burst(fault)) * burst(fault),
            _ => parts,
        };
        if fault == "block-limit" && self.parts(fault) < parts {
            sleep(LONG).await;
        }
        sleep_until(self.begun + Duration::from_millis(due.saturating_sub(PAST) * PART_MS)).await;
    }

    fn moment<'a>(&self, fault: &'a str) -> Moment<'a> {
        let ended = fault.starts_with("end");
        let parts = if ended { PAST } else { self.parts(fault) };
        let age = u64::try_from(self.begun.elapsed().as_micros()).unwrap();
        Moment { fault, parts, ended, date: self.date, address: self.address, age }
    }

    async fn media_playlist(&self, fault: &str, track: &str, asked: &Asked, gzip: bool) -> Response<Body> {
        let now = self.moment(fault);
        if now.ended {
            let is_refused = fault == "end-directives" && !asked.is_empty();
            return if is_refused {
                status(StatusCode::BAD_REQUEST)
            } else {
                playlist(fault, now.text(track, None), gzip, false)
            };
        }
        let asked_at = Instant::now();
        if let Some(refusal) = self.block(&now, asked).await {
            return refusal;
        }
        if fault == "stalled" && asked_at.elapsed() >= STALL_MAX {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let takes_skip = !matches!(fault, "delta-update" | "can-skip-dateranges");
        let skip = asked.skip.as_deref().filter(|_| takes_skip);
        playlist(fault, self.moment(fault).text(track, skip), gzip, asked.msn.is_some())
    }

    async fn i_frames(&self, fault: &str, asked: &Asked) -> Response<Body> {
        let now = self.moment(fault);
        if let Some(msn) = asked.msn.as_ref().and_then(|msn| msn.parse::<u64>().ok())
            && !now.ended
            && fault != "i-frames-block"
        {
            self.until(fault, (msn + 1) * PARTS).await;
            if fault == "stalled" {
                return status(StatusCode::SERVICE_UNAVAILABLE);
            }
        }
        playlist(fault, self.moment(fault).i_frames(), false, asked.msn.is_some())
    }

    /// Waits for what was asked for; an answer where that is refused.
    async fn block(&self, now: &Moment<'_>, asked: &Asked) -> Option<Response<Body>> {
        let fault = now.fault;
        let bad = || Some(status(StatusCode::BAD_REQUEST));
        let Some(msn) = &asked.msn else {
            return if asked.part.is_some() && fault != "part-without-msn" { bad() } else { None };
        };
        let part = asked.part.as_ref().map(|part| part.parse::<u64>().unwrap_or(0));
        let Ok(msn) = msn.parse::<u64>() else {
            return if fault == "directive-number" { None } else { bad() };
        };
        if msn > now.open() + 1 {
            if fault == "too-far-segment" {
                sleep(LONG).await;
            }
            return bad();
        }
        if msn < now.open() {
            if fault == "block-old" && msn < now.first() {
                return bad();
            }
            if fault == "block-old-at-once" {
                sleep(Duration::from_secs(1)).await;
            }
            if part.is_some_and(|part| part >= PARTS) && msn + 1 == now.open() {
                match fault {
                    "block-past-end" => return bad(),
                    _ => self.until(fault, (msn + 1) * PARTS + 1).await,
                }
            }
            return None;
        }
        let Some(part) = part else {
            if fault != "block-segment" {
                self.until(fault, (msn + 1) * PARTS).await;
            }
            return None;
        };
        if msn == now.open() && part > now.parts % PARTS + ADVANCE_MAX {
            if fault == "too-far-part" {
                sleep(LONG).await;
            }
            return bad();
        }
        if fault != "block-part" {
            self.until(fault, msn * PARTS + part.min(PARTS) + 1).await;
        }
        None
    }

    async fn media(&self, fault: &str, file: &str) -> Response<Body> {
        let now = self.moment(fault);
        if file == "init.mp4" {
            return media(fault, Body::from(video_init()));
        }
        if file == "init-b.mp4" {
            return media(fault, Body::from(audio_init()));
        }
        let name: Option<Vec<u64>> = file
            .strip_suffix(".m4s")
            .map(|name| name.split('.').map(str::parse).collect::<Result<_, _>>().ok())
            .unwrap_or_default();
        match name.as_deref() {
            Some(&[msn]) if msn < now.open() => {
                if fault == "removed-segments-kept" && msn < now.first() {
                    return status(StatusCode::NOT_FOUND);
                }
                media(fault, Body::from(segment(fault, msn)))
            }
            Some(&[msn, part]) if part < PARTS => self.part(&now, msn, part).await,
            _ if fault == "unhinted-404" => media(fault, Body::from("media")),
            _ if fault == "cache-missing" => {
                let mut missing = status(StatusCode::NOT_FOUND);
                missing.headers_mut().insert(header::CACHE_CONTROL, "max-age=3600".parse().unwrap());
                missing
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn part(&self, now: &Moment<'_>, msn: u64, part: u64) -> Response<Body> {
        let (fault, number) = (now.fault, msn * PARTS + part);
        let whole = bytes(fault, number);
        if number < now.parts {
            let is_lost = match fault {
                "listed-available" => part == 3,
                "removed-parts-kept" => msn < now.first_with_parts(),
                _ => false,
            };
            return if is_lost { status(StatusCode::NOT_FOUND) } else { media(fault, Body::from(whole)) };
        }
        let is_hinted = number <= now.parts || matches!(fault, "part-cadence" | "segment-cadence");
        if !is_hinted || fault == "hint-available" {
            return status(StatusCode::NOT_FOUND);
        }
        if fault == "hint-whole" {
            let due = self.begun + Duration::from_millis((number + 1 - PAST) * PART_MS);
            let (early, late) = (whole[..8].to_vec(), whole[8..].to_vec());
            let pieces = futures_util::stream::unfold(Some((early, Some(late))), move |left| async move {
                let (piece, next) = left?;
                if next.is_none() {
                    sleep_until(due).await;
                }
                Some((Ok::<_, Infallible>(piece), next.map(|next| (next, None))))
            });
            return media(fault, Body::from_stream(pieces));
        }
        self.until(fault, number + 1).await;
        let other = if fault == "hint-bytes" { [&whole[..], b"more"].concat() } else { whole };
        media(fault, Body::from(other))
    }
}

/// How many parts come at once.
fn burst(fault: &str) -> u64 {
    // A little over two seconds: more than one and a half target durations, and what a network may take.
    if fault == "segment-cadence" { 11 } else { PARTS }
}

/// The media of a part.
fn bytes(fault: &str, number: u64) -> Vec<u8> {
    let jump = if fault == "timestamps" { number / PARTS * 3000 } else { 0 };
    let decode_time = (number * PART_MS + jump) * 90;
    let mut encoder = Encoder { decode_time, parts: u32::try_from(number).unwrap() };
    let millis = if fault == "durations-true" { PART_MS / 2 } else { PART_MS };
    encoder.part(u32::try_from(millis).unwrap(), is_independent(fault, number % PARTS)).to_vec()
}

/// Whether a decoder may start with this part of a segment.
fn is_independent(fault: &str, part: u64) -> bool {
    part == u64::from(fault == "independent-segments")
}

/// The media of a segment.
fn segment(fault: &str, msn: u64) -> Vec<u8> {
    let parts = if fault == "parts-make-segment" { PARTS - 1 } else { PARTS };
    (0..parts).flat_map(|part| bytes(fault, msn * PARTS + part)).collect()
}

/// The range that was asked for, of media that is there.
async fn ranged(fault: &str, request: &Request<Incoming>, whole: Response<Body>) -> Response<Body> {
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) =
        range.filter(|_| whole.status() == StatusCode::OK && fault != "byterange-length")
    else {
        return whole;
    };
    let (head, body) = whole.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let end = (last.parse::<usize>().unwrap() + 1).min(bytes.len());
    let mut part = Response::from_parts(head, Body::from(bytes.slice(first.parse().unwrap()..end)));
    *part.status_mut() = StatusCode::PARTIAL_CONTENT;
    part
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn playlist(fault: &str, text: String, gzip: bool, blocked: bool) -> Response<Body> {
    let kind = if fault == "playlist-type" { "text/plain" } else { "application/vnd.apple.mpegurl" };
    let age = match fault {
        "cache-live" => "max-age=3600",
        "cache-blocking" if blocked => "no-store",
        _ => "max-age=1",
    };
    let mut response =
        Response::builder().header(header::CONTENT_TYPE, kind).header(header::CACHE_CONTROL, age);
    if fault != "cors" {
        response = response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    let mut bytes = text.into_bytes();
    if fault == "playlist-syntax" {
        bytes.extend_from_slice(b"# \xff\n");
    }
    if gzip && fault != "playlist-gzip" {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        bytes = encoder.finish().unwrap();
        response = response.header(header::CONTENT_ENCODING, "gzip");
    }
    response.body(Body::from(bytes)).unwrap()
}

fn media(fault: &str, body: Body) -> Response<Body> {
    let kind = if fault == "media-type" { "text/plain" } else { "video/mp4" };
    let age = if fault == "cache-media" { "no-store" } else { "max-age=6" };
    let mut response =
        Response::builder().header(header::CONTENT_TYPE, kind).header(header::CACHE_CONTROL, age);
    if fault != "cors" {
        response = response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    response.body(body).unwrap()
}
