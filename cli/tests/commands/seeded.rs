//! An LL-HLS server without a fault, and with one fault each: the first piece of the path names the rule
//! that is broken (`/hint-bytes/index.m3u8`), `ended` a stream that is over,
//! `segments` one without parts, `stalled` one that stops, and anything else none.

use std::convert::Infallible;
use std::fmt::Write as _;
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
use mobz_core::hls::testing::{Encoder, video_init};
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
    skip: bool,
}

impl Asked {
    fn of(uri: &Uri) -> Self {
        let mut asked = Self::default();
        for pair in uri.query().unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("_HLS_msn", value)) => asked.msn = Some(value.to_owned()),
                Some(("_HLS_part", value)) => asked.part = Some(value.to_owned()),
                Some(("_HLS_skip", _)) => asked.skip = true,
                _ => {}
            }
        }
        asked
    }

    fn is_empty(&self) -> bool {
        self.msn.is_none() && self.part.is_none() && !self.skip
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
            ["index.m3u8"] => playlist(fault, multivariant(fault), gzip),
            [track, "media.m3u8"] => self.media_playlist(fault, track, &Asked::of(request.uri()), gzip).await,
            [_, file] => self.media(fault, file).await,
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// How many parts there are now.
    fn parts(&self, fault: &str) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let parts = PAST + millis / PART_MS;
        match fault {
            "part-cadence" => parts / PARTS * PARTS,
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
            "part-cadence" => parts.div_ceil(PARTS) * PARTS,
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
        Moment { fault, parts, ended, date: self.date, address: self.address }
    }

    async fn media_playlist(&self, fault: &str, track: &str, asked: &Asked, gzip: bool) -> Response<Body> {
        let now = self.moment(fault);
        if now.ended {
            let is_refused = fault == "end-directives" && !asked.is_empty();
            return if is_refused {
                status(StatusCode::BAD_REQUEST)
            } else {
                playlist(fault, now.text(track, false), gzip)
            };
        }
        let asked_at = Instant::now();
        if let Some(refusal) = self.block(&now, asked).await {
            return refusal;
        }
        if fault == "stalled" && asked_at.elapsed() >= STALL_MAX {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let skip = asked.skip && fault != "delta-update";
        playlist(fault, self.moment(fault).text(track, skip), gzip)
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
        let name: Option<Vec<u64>> = file
            .strip_suffix(".m4s")
            .map(|name| name.split('.').map(str::parse).collect::<Result<_, _>>().ok())
            .unwrap_or_default();
        match name.as_deref() {
            Some(&[msn]) if msn < now.open() => {
                if fault == "removed-segments-kept" && msn < now.first() {
                    return status(StatusCode::NOT_FOUND);
                }
                let parts = if fault == "parts-make-segment" { PARTS - 1 } else { PARTS };
                let bytes: Vec<u8> = (0..parts).flat_map(|part| bytes(fault, msn * PARTS + part)).collect();
                media(fault, Body::from(bytes))
            }
            Some(&[msn, part]) if part < PARTS => self.part(&now, msn, part).await,
            _ if fault == "unhinted-404" => media(fault, Body::from("media")),
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
        if number > now.parts && fault != "part-cadence" || fault == "hint-available" {
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

/// The media of a part.
fn bytes(fault: &str, number: u64) -> Vec<u8> {
    let mut encoder = Encoder { decode_time: number * PART_MS * 90, parts: u32::try_from(number).unwrap() };
    let millis = if fault == "durations-true" { PART_MS / 2 } else { PART_MS };
    encoder.part(u32::try_from(millis).unwrap(), number.is_multiple_of(PARTS)).to_vec()
}

impl Moment<'_> {
    /// The number of the segment under way.
    fn open(&self) -> u64 {
        self.parts / PARTS
    }

    /// The number of the first listed segment.
    fn first(&self) -> u64 {
        let listed = match self.fault {
            "window" => 2,
            "media-sequence" if self.parts.is_multiple_of(2) => LISTED + 2,
            _ => LISTED,
        };
        self.open() - listed
    }

    fn first_with_parts(&self) -> u64 {
        if self.fault == "parts-recent" { self.first() } else { self.open() - 3 }
    }

    fn text(&self, track: &str, skip: bool) -> String {
        let is = |fault: &str| self.fault == fault;
        let (first, open) = (self.first(), self.open());
        let mut lines = vec!["#EXTM3U".to_owned()];
        lines.push(format!("#EXT-X-VERSION:{}", if is("version") { 5 } else { 9 }));
        let target = if is("target-constant") && open.is_multiple_of(2) { 2 } else { 1 };
        lines.push(format!("#EXT-X-TARGETDURATION:{target}"));
        if is("tags-once") {
            lines.push(format!("#EXT-X-TARGETDURATION:{target}"));
        }
        lines.push(self.control());
        if !is("part-inf") && !is("segments") {
            let longer = is("part-target-constant") && open.is_multiple_of(2);
            lines.push(format!("#EXT-X-PART-INF:PART-TARGET={}", if longer { 0.21 } else { 0.2 }));
        }
        lines.push(format!("#EXT-X-MEDIA-SEQUENCE:{first}"));
        let breaks =
            if is("discontinuity-sequence") { self.parts } else { (first.saturating_sub(1)) / BREAK_EVERY };
        lines.push(format!("#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}"));
        let from = if skip { self.skip(&mut lines, first) } else { first };
        if from == first && !is("map") {
            lines.push("#EXT-X-MAP:URI=\"init.mp4\"".to_owned());
        }
        for msn in from..open {
            self.segment(&mut lines, msn, PARTS);
            let long = is("target-duration") && msn.is_multiple_of(4);
            let aging = is("segments-unchanged") && msn + 4 < open;
            let seconds = match () {
                () if long => "1.6",
                () if aging || is("part-durations-sum") => "0.9",
                () => "1.0",
            };
            lines.push(format!("#EXTINF:{seconds},\n{msn}.m4s"));
        }
        self.segment(&mut lines, open, self.parts % PARTS);
        if self.ended {
            lines.push("#EXT-X-ENDLIST".to_owned());
        }
        if !self.ended || is("end-without-hint") {
            self.tail(&mut lines, track);
        }
        lines.join("\n") + "\n"
    }

    fn control(&self) -> String {
        let is = |fault: &str| self.fault == fault;
        let block = if is("can-block-reload") { "" } else { "CAN-BLOCK-RELOAD=YES," };
        let hold_back = if is("hold-back") { "2.0" } else { "6.0" };
        let skip = if is("can-skip-until") { "3.0" } else { "6.0" };
        let part_hold_back = match self.fault {
            "part-hold-back" => "0.3",
            "part-hold-back-safe" => "0.5",
            _ => "0.63",
        };
        // A target duration that doubles takes the longer hold-backs, so that nothing else is wrong.
        let skip = if is("target-constant") { "12.0" } else { skip };
        let part = if is("segments") { String::new() } else { format!("PART-HOLD-BACK={part_hold_back},") };
        format!("#EXT-X-SERVER-CONTROL:{block}HOLD-BACK={hold_back},{part}CAN-SKIP-UNTIL={skip}")
    }

    /// Writes the skip tag; tells from which segment on the rest is listed.
    fn skip(&self, lines: &mut Vec<String>, first: u64) -> u64 {
        let kept = match self.fault {
            "delta-boundary" => 2,
            "target-constant" => LISTED,
            _ => 6,
        };
        let skipped = (self.open() - first).saturating_sub(kept);
        if skipped > 0 {
            let told = if self.fault == "delta-equal" { skipped + 1 } else { skipped };
            lines.push(format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={told}"));
        }
        first + skipped
    }

    /// What stands before a segment's `EXTINF`, with so many of its parts.
    fn segment(&self, lines: &mut Vec<String>, msn: u64, parts: u64) {
        let is = |fault: &str| self.fault == fault;
        if msn.is_multiple_of(BREAK_EVERY) {
            lines.push("#EXT-X-DISCONTINUITY".to_owned());
        }
        let wobble = if is("date-time-steady") && msn.is_multiple_of(2) { 500 } else { 0 };
        let millis = i64::try_from(msn * PARTS * PART_MS).unwrap() + wobble;
        let date = format!("#EXT-X-PROGRAM-DATE-TIME:{:.3}", self.date + SignedDuration::from_millis(millis));
        let late = is("tag-places") && parts > 0 && msn >= self.first_with_parts();
        if !is("program-date-time") && !late {
            lines.push(date.clone());
        }
        if msn < self.first_with_parts() || is("segments") {
            return;
        }
        for part in 0..parts {
            let duration = match self.fault {
                "part-duration-max" => ["0.24", "0.19"][usize::from(part != 1)],
                "part-duration-min" if part == 2 => "0.1",
                _ => "0.2",
            };
            let independent = match self.fault {
                "independent-true" => part < 2,
                "independent-told" => false,
                _ => part == 0,
            };
            let independent = if independent { ",INDEPENDENT=YES" } else { "" };
            let gap = if is("gap") && part == 3 { ",GAP=YES" } else { "" };
            let moved = if is("parts-unchanged") && msn < self.open() { "?closed" } else { "" };
            lines.push(format!(
                "#EXT-X-PART:DURATION={duration},URI=\"{msn}.{part}.m4s{moved}\"{independent}{gap}"
            ));
            if late && part == 0 {
                lines.push(date.clone());
            }
        }
    }

    /// The hints and reports.
    fn tail(&self, lines: &mut Vec<String>, track: &str) {
        let (msn, part) = (self.open(), self.parts % PARTS);
        let name = if self.fault == "hint-true" { "soon-" } else { "" };
        if !matches!(self.fault, "hint" | "segments") {
            lines.push(format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}{msn}.{part}.m4s\""));
        }
        if self.fault == "hint-once" {
            lines.push(format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{msn}.{}.m4s\"", part + 1));
        }
        let other = if track == "high" { "low" } else { "high" };
        let last = self.parts - 1;
        let (last_msn, last_part) = (last / PARTS, last % PARTS);
        let uri = match self.fault {
            "rendition-reports" => return,
            "report-uri" => format!("http://{}/{}/{other}/media.m3u8", self.address, self.fault),
            _ => format!("../{other}/media.m3u8"),
        };
        let (last_msn, last_part) = match self.fault {
            "report-true" => (last_msn + 5, format!(",LAST-PART={last_part}")),
            "segments" => (msn - 1, String::new()),
            _ => (last_msn, format!(",LAST-PART={last_part}")),
        };
        lines.push(format!("#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={last_msn}{last_part}"));
    }
}

fn multivariant(fault: &str) -> String {
    let bandwidth =
        |rate: u32| if fault == "variant-bandwidth" { String::new() } else { format!("BANDWIDTH={rate},") };
    let codecs = if fault == "variant-codecs" { "" } else { "CODECS=\"avc1.42c01f\"," };
    let group = if fault == "variant-groups" { ",AUDIO=\"nowhere\"" } else { "" };
    let mut text = "#EXTM3U\n#EXT-X-VERSION:9\n".to_owned();
    for (track, rate) in [("high", 2_000_000), ("low", 500_000)] {
        let _ = writeln!(
            text,
            "#EXT-X-STREAM-INF:{}{codecs}RESOLUTION=320x240{group}\n{track}/media.m3u8",
            bandwidth(rate)
        );
    }
    text
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn playlist(fault: &str, text: String, gzip: bool) -> Response<Body> {
    let kind = if fault == "playlist-type" { "text/plain" } else { "application/vnd.apple.mpegurl" };
    let age = if fault == "cache-live" { "max-age=3600" } else { "max-age=1" };
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
    let mut response = Response::builder().header(header::CONTENT_TYPE, kind);
    if fault != "cors" {
        response = response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    response.body(body).unwrap()
}
