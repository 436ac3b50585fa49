//! PROTOCOL.md §6 over HTTP, row by row, with media made in the test.

#![allow(clippy::unwrap_used, reason = "a test has nobody else to report to")]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::Origin;
use mobz_core::hls::data::{DataAck, DataKind, InitFields, PartFields, SegmentFields};
use mobz_core::hls::stream::Settings;
use mobz_core::hls::testing::{Encoder, audio_init, video_init};
use mobz_core::room::Grants;
use mobz_core::time::Timestamp;
use mobz_core::token::{Claims, Keys};
use mobz_runtime::clock;
use mobz_runtime::streams::Streams;
use mobz_store::MemoryStore;
use reqwest::Client;
use reqwest::header::HeaderMap;

const KEYS: &str = "k1:0123456789abcdef0123456789abcdef";

/// An origin whose stream has so many parts of 500 ms, four a segment.
async fn playing(parts: u32) -> (Origin, Encoder) {
    let origin = Origin::start().await;
    let encoder = publish(&origin, parts).await;
    (origin, encoder)
}

async fn publish(origin: &Origin, parts: u32) -> Encoder {
    origin.send(DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    let mut encoder = Encoder::default();
    for part in 0..parts {
        origin.part(encoder.part(500, part % 4 == 0)).await;
    }
    // What is published is what is watched, from here on.
    if let Some(last) = parts.checked_sub(1) {
        origin.text(&format!("main/media.m3u8?_HLS_msn={}&_HLS_part={}", last / 4, last % 4)).await;
    }
    encoder
}

async fn headers(origin: &Origin, path: &str, asked: &[(&str, &str)]) -> (u16, HeaderMap) {
    let mut request = origin.client.get(origin.url(path));
    for (name, value) in asked {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.headers().clone())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn directives_that_make_no_sense_are_400_and_what_is_nowhere_is_404() {
    let (origin, _) = playing(10).await;
    for query in [
        "_HLS_part=1",
        "_HLS_msn=x",
        "_HLS_msn=1&_HLS_part=",
        "_HLS_skip=MAYBE",
        "_HLS_msn=4",
        "_HLS_msn=2&_HLS_part=8",
    ] {
        assert_eq!(origin.status(&format!("main/media.m3u8?{query}")).await, 400, "{query}");
    }
    for path in [
        "other/media.m3u8",
        "main/9.m4s",
        "main/2.5.m4s",
        "main/2.m4s",
        "main/init-1.mp4",
        "main/x",
        "x.m3u8",
    ] {
        assert_eq!(origin.status(path).await, 404, "{path}");
    }
    let elsewhere = format!("http://{}/hls/nowhere/index.m3u8", origin.address);
    assert_eq!(origin.client.get(elsewhere).send().await.unwrap().status(), 404);
    origin.stop().await;
}

#[tokio::test]
async fn a_segment_is_its_parts_one_after_another() {
    let (origin, _) = playing(8).await;
    let mut parts = Vec::new();
    for part in 0..4 {
        parts.extend(origin.get(&format!("main/1.{part}.m4s")).await.bytes().await.unwrap());
    }
    let segment = origin.get("main/1.m4s").await;
    assert_eq!(segment.headers()["content-length"], parts.len().to_string());
    assert_eq!(segment.bytes().await.unwrap(), parts);
    assert_eq!(origin.get("main/init-0.mp4").await.bytes().await.unwrap(), video_init());
    origin.stop().await;
}

#[tokio::test]
async fn caches_are_told_how_long() {
    let (origin, _) = playing(10).await;
    for (path, status, control) in [
        ("index.m3u8", 200, "max-age=1"),
        ("main/media.m3u8", 200, "max-age=1"),
        ("main/media.m3u8?_HLS_skip=YES", 200, "max-age=1"),
        ("main/media.m3u8?_HLS_msn=1", 200, "max-age=12"),
        ("main/media.m3u8?_HLS_msn=9", 400, "max-age=8"),
        ("main/0.m4s", 200, "max-age=12"),
        ("main/2.0.m4s", 200, "max-age=12"),
        ("main/init-0.mp4", 200, "max-age=12"),
        ("main/77.m4s", 404, "max-age=2"),
    ] {
        let (answered, headers) = headers(&origin, path, &[]).await;
        assert_eq!((answered, text(&headers, "cache-control")), (status, control), "{path}");
        assert_eq!(text(&headers, "access-control-allow-origin"), "*", "{path}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn each_encoding_has_its_etag_and_what_the_client_has_is_304() {
    let (origin, _) = playing(10).await;
    let (_, plain) = headers(&origin, "main/media.m3u8", &[]).await;
    let (_, gzip) = headers(&origin, "main/media.m3u8", &[("accept-encoding", "gzip")]).await;
    let (_, part) = headers(&origin, "main/2.0.m4s", &[]).await;
    assert_eq!((text(&plain, "content-encoding"), text(&gzip, "content-encoding")), ("", "gzip"));
    assert_eq!((text(&plain, "vary"), text(&gzip, "vary")), ("Accept-Encoding", "Accept-Encoding"));
    assert_eq!(text(&plain, "content-type"), "application/vnd.apple.mpegurl");
    assert_ne!(text(&plain, "etag"), text(&gzip, "etag"));
    for (path, etag, encoding, expected) in [
        ("main/media.m3u8", text(&plain, "etag"), "identity", 304),
        ("main/media.m3u8", text(&gzip, "etag"), "gzip", 304),
        ("main/media.m3u8", text(&gzip, "etag"), "identity", 200),
        ("main/2.0.m4s", text(&part, "etag"), "identity", 304),
        ("main/2.1.m4s", text(&part, "etag"), "identity", 200),
    ] {
        let (status, again) =
            headers(&origin, path, &[("if-none-match", etag), ("accept-encoding", encoding)]).await;
        assert_eq!(status, expected, "{path} {encoding}");
        assert!(!text(&again, "cache-control").is_empty());
    }
    origin.stop().await;
}

#[tokio::test]
async fn ranges_go_across_parts_and_head_tells_without_sending() {
    let (origin, _) = playing(8).await;
    let whole = origin.get("main/0.m4s").await.bytes().await.unwrap();
    let range =
        origin.client.get(origin.url("main/0.m4s")).header("range", "bytes=100-299").send().await.unwrap();
    assert_eq!(range.status(), 206);
    assert_eq!(range.headers()["content-range"], format!("bytes 100-299/{}", whole.len()));
    assert_eq!(range.bytes().await.unwrap(), whole[100..300]);
    let (status, beyond) = headers(&origin, "main/0.m4s", &[("range", "bytes=99999-")]).await;
    assert_eq!((status, text(&beyond, "content-range")), (416, &*format!("bytes */{}", whole.len())));
    for path in ["main/0.m4s", "main/media.m3u8", "index.m3u8"] {
        let got = origin.get(path).await;
        let head = origin.client.head(origin.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"], got.headers()["content-length"], "{path}");
        assert_eq!(head.headers()["etag"], got.headers()["etag"], "{path}");
        assert!(head.bytes().await.unwrap().is_empty());
    }
    let post = origin.client.post(origin.url("index.m3u8")).send().await.unwrap();
    assert_eq!(post.status(), 405);
    let preflight =
        origin.client.request(reqwest::Method::OPTIONS, origin.url("main/0.m4s")).send().await.unwrap();
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET, HEAD, OPTIONS");
    origin.stop().await;
}

#[tokio::test]
async fn private_playback_wants_a_token_for_this_room() {
    let flags = ["--private-playback", "--keys-inline", KEYS];
    let mut origin = Origin::start_with(&flags, Settings::default()).await;
    let keys = Keys::parse(KEYS).unwrap();
    let sign = |claims: &Claims| keys.sign("k1", claims).unwrap();
    let good = Claims::playback(origin.room.clone(), clock::now());
    let other_room = Claims::playback("other".parse().unwrap(), clock::now());
    let no_watch = Claims { grants: Grants::NONE, ..good.clone() };
    let expired = Claims { exp: 1, ..good.clone() };
    origin.under_token(&sign(&good));
    publish(&origin, 5).await;
    let (status, found) = headers(&origin, "main/media.m3u8", &[]).await;
    assert_eq!((status, text(&found, "cache-control")), (200, "private, max-age=1"));
    assert_eq!(origin.status("main/0.0.m4s").await, 200);
    for (claims, expected) in [(&other_room, 403), (&no_watch, 403), (&expired, 401)] {
        origin.under_token(&sign(claims));
        for path in ["index.m3u8", "main/media.m3u8", "main/0.0.m4s", "main/init-0.mp4"] {
            let (status, refused) = headers(&origin, path, &[]).await;
            assert_eq!(status, expected, "{path}");
            assert!(text(&refused, "cache-control").starts_with("private, "));
        }
    }
    origin.under_token("garbage");
    assert_eq!(origin.status("index.m3u8").await, 401);
    let bare = format!("http://{}/hls/demo/index.m3u8", origin.address);
    assert_eq!(origin.client.get(bare).send().await.unwrap().status(), 401);
    origin.stop().await;
}

#[tokio::test]
async fn an_ended_stream_ignores_directives() {
    let (origin, _) = playing(6).await;
    origin.end().await;
    let ended = loop {
        let playlist = origin.text("main/media.m3u8").await;
        if playlist.ends_with("#EXT-X-ENDLIST\n") {
            break playlist;
        }
    };
    for query in ["_HLS_msn=99&_HLS_part=99", "_HLS_msn=x", "_HLS_part=1", "_HLS_skip=NO"] {
        assert_eq!(origin.text(&format!("main/media.m3u8?{query}")).await, ended, "{query}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_silent_publishers_gap_shows_and_the_hinted_part_that_never_comes_is_404() {
    let origin = Origin::start().await;
    let init = InitFields { target_duration: Some(1.0), ..InitFields::default() };
    origin.send(DataKind::Init(init), video_init()).await.unwrap();
    origin.part(Encoder::default().part(400, true)).await;
    let hinted = tokio::spawn(origin.get("main/0.1.m4s"));
    let playlist = origin.text("main/media.m3u8?_HLS_msn=1").await;
    assert!(playlist.contains("#EXTINF:0.40000,\n0.m4s\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-GAP\n#EXTINF:1.00000,\n1.m4s\n"), "{playlist}");
    assert_eq!(hinted.await.unwrap().status(), 404);
    assert_eq!(origin.status("main/1.m4s").await, 404, "a gap has no media");
    origin.stop().await;
}

#[tokio::test]
async fn every_node_lists_a_silence_alike() {
    let store = MemoryStore::new();
    let here = Origin::start_on(store.clone(), &[], Settings::default()).await;
    let there = Origin::start_on(store, &[], Settings::default()).await;
    let init = InitFields { target_duration: Some(1.0), ..InitFields::default() };
    here.send(DataKind::Init(init), video_init()).await.unwrap();
    here.part(Encoder::default().part(400, true)).await;
    for (msn, gaps) in [(1, 1), (2, 2)] {
        let path = format!("main/media.m3u8?_HLS_msn={msn}");
        let (one, other) = tokio::join!(here.text(&path), there.text(&path));
        assert_eq!(one, other);
        assert_eq!(one.matches("#EXT-X-GAP\n").count(), gaps, "{one}");
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn who_waits_for_three_target_durations_is_answered_503() {
    let origin = Origin::start().await;
    origin.send(DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    let mut encoder = Encoder::default();
    let last = PartFields { last: Some(true), ..PartFields::default() };
    origin.send(DataKind::Part(last), encoder.part(500, true)).await.unwrap();
    let asked = tokio::time::Instant::now();
    let waiting = tokio::spawn(origin.get("main/media.m3u8?_HLS_msn=2&_HLS_part=0"));
    // Segment 1 goes on for as long as its target duration lets it: silence then lists 2 after six seconds,
    // and what comes after its end, which has no parts, after eight.
    for part in 0..4 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let kind = DataKind::Part(PartFields { last: Some(false), ..PartFields::default() });
        origin.send(kind, encoder.part(500, part == 0)).await.unwrap();
    }
    let answered = waiting.await.unwrap();
    assert_eq!(answered.status(), 503);
    assert!(asked.elapsed() >= Duration::from_secs(6));
    assert_eq!(answered.headers()["cache-control"], "max-age=8");
    origin.stop().await;
}

#[tokio::test]
async fn the_multivariant_playlist_is_there_once_every_rendition_that_was_told_of_is() {
    let origin = Origin::start().await;
    for track in ["high", "low"] {
        origin.send_on(track, DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    }
    let part = || DataKind::Part(PartFields::default());
    let media = Encoder::default().part(500, true);
    origin.send_on("high", part(), media.clone()).await.unwrap();
    origin.text("high/media.m3u8?_HLS_msn=0&_HLS_part=0").await;
    let early = origin.get("index.m3u8").await;
    assert_eq!(
        (early.status().as_u16(), &early.headers()["cache-control"]),
        (404, &"max-age=2".parse().unwrap())
    );
    origin.send_on("low", part(), media).await.unwrap();
    origin.text("low/media.m3u8?_HLS_msn=0&_HLS_part=0").await;
    let text = origin.text("index.m3u8").await;
    assert!(text.contains("\nhigh/media.m3u8\n") && text.contains("\nlow/media.m3u8\n"), "{text}");
    origin.stop().await;
}

#[tokio::test]
async fn who_waits_is_answered_503_at_once_when_the_daemon_ends() {
    let (origin, _) = playing(1).await;
    let waiting = tokio::spawn(origin.get("main/media.m3u8?_HLS_msn=0&_HLS_part=1"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    origin.stop().await;
    let answered = waiting.await.unwrap();
    assert_eq!(answered.status(), 503);
    assert_eq!(answered.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn http_2_with_prior_knowledge_shares_one_connection() {
    let (mut origin, mut encoder) = playing(1).await;
    origin.client = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let waiters: Vec<_> = (0..20).map(|_| tokio::spawn(origin.get("main/0.1.m4s"))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let media = encoder.part(500, false);
    origin.part(media.clone()).await;
    for waiter in waiters {
        let response = waiter.await.unwrap();
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        assert_eq!(response.bytes().await.unwrap(), media);
    }
    origin.stop().await;
}

#[tokio::test]
async fn any_node_plays_what_was_published_through_any_other() {
    let store = MemoryStore::new();
    let here = Origin::start_on(store.clone(), &[], Settings::default()).await;
    let there = Origin::start_on(store, &[], Settings::default()).await;
    let mut encoder = publish(&here, 2).await;
    let waiting = tokio::spawn(there.get("main/media.m3u8?_HLS_msn=0&_HLS_part=3"));
    // The publisher moves to the other node, and back: what each remembers of it is older than what is.
    let mut numbers = Vec::new();
    for node in [&there, &here, &there] {
        let ack = node.part(encoder.part(500, false)).await;
        numbers.push((ack.msn.unwrap(), ack.part.unwrap()));
    }
    assert_eq!(numbers, [(0, 2), (0, 3), (1, 0)]);
    assert_eq!(waiting.await.unwrap().status(), 200);
    here.text("main/media.m3u8?_HLS_msn=1&_HLS_part=0").await;
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_refusal_by_what_a_node_remembers_is_asked_of_the_store_first() {
    let store = MemoryStore::new();
    let origin = Origin::start_on(store.clone(), &[], Settings::default()).await;
    let mut encoder = publish(&origin, 1).await;
    let elsewhere = Arc::new(Streams::new(store, Arc::new(clock::now), Settings::default()));
    let part =
        |number| DataKind::Part(PartFields { msn: Some(0), part: Some(number), ..PartFields::default() });
    let ack = origin.send_through(&elsewhere, "main", part(1), encoder.part(500, false)).await.unwrap();
    assert_eq!(ack.part, Some(1));
    let ack: DataAck = origin.send(part(2), encoder.part(500, false)).await.unwrap();
    assert_eq!(ack.part, Some(2));
    origin.stop().await;
}

#[tokio::test]
async fn tracks_and_plain_segments_are_played_side_by_side() {
    let (origin, _) = playing(5).await;
    let mut sound = Encoder::default();
    origin.send_on("sound", DataKind::Init(InitFields::default()), audio_init()).await.unwrap();
    for _ in 0..2 {
        let segment = SegmentFields::default();
        origin.send_on("sound", DataKind::Segment(segment), sound.part(2000, true)).await.unwrap();
    }
    let playlist = origin.text("sound/media.m3u8?_HLS_msn=1").await;
    assert!(playlist.contains("#EXT-X-VERSION:8\n"), "{playlist}");
    assert!(
        playlist.contains("#EXT-X-RENDITION-REPORT:URI=\"../main/media.m3u8\",LAST-MSN=1,LAST-PART=0\n"),
        "{playlist}"
    );
    let segment = origin.get("sound/1.m4s").await;
    assert_eq!(segment.headers()["content-type"], "audio/mp4");
    let mut again = Encoder::default();
    again.part(2000, true);
    assert_eq!(segment.bytes().await.unwrap(), again.part(2000, true));
    origin.stop().await;
}

#[tokio::test]
async fn iframes_are_ranges_of_segments_and_are_waited_for() {
    let (origin, mut encoder) = playing(8).await;
    let playlist = origin.text("main/iframes.m3u8").await;
    let byte_range = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")).unwrap();
    let (length, offset) = byte_range.split_once('@').unwrap();
    let (length, offset): (usize, usize) = (length.parse().unwrap(), offset.parse().unwrap());
    let range = format!("bytes={offset}-{}", offset + length - 1);
    let frame = origin.client.get(origin.url("main/0.m4s")).header("range", range).send().await.unwrap();
    assert_eq!(frame.status(), 206);
    assert_eq!(frame.bytes().await.unwrap(), Encoder::default().part(500, true), "the part has one sample");
    assert!(origin.text("index.m3u8").await.contains("URI=\"main/iframes.m3u8\""));
    let waiting = tokio::spawn(origin.get("main/iframes.m3u8?_HLS_msn=2"));
    assert_eq!(origin.status("main/iframes.m3u8?_HLS_msn=4").await, 400);
    while origin.metric("mobz_origin_blocked_requests").await < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for part in 0..5 {
        origin.part(encoder.part(500, part % 4 == 0)).await;
    }
    let playlist = waiting.await.unwrap().text().await.unwrap();
    assert_eq!(playlist.matches("#EXTINF").count(), 3, "{playlist}");
    origin.stop().await;
}

#[tokio::test]
async fn date_ranges_are_listed_and_skipped_by_request() {
    let (origin, mut encoder) = playing(4).await;
    let said = r#"{"type":"Data","kind":"daterange","dateRange":{"id":"ad","startDate":1,"X-N":1}}"#;
    let signal = mobz_core::hls::data::parse_json(said).unwrap();
    origin.send(signal.kind, signal.payload).await.unwrap();
    for part in 0..36 {
        origin.part(encoder.part(500, part % 4 == 0)).await;
    }
    let edge = "main/media.m3u8?_HLS_msn=9&_HLS_part=3";
    assert!(origin.text(edge).await.contains("CAN-SKIP-DATERANGES=YES"));
    let tag = "#EXT-X-DATERANGE:ID=\"ad\",START-DATE=\"1970-01-01T00:00:00.001Z\",X-N=1\n";
    for (skip, version, is_listed) in [("YES", 9, true), ("v2", 10, true)] {
        let delta = origin.text(&format!("{edge}&_HLS_skip={skip}")).await;
        assert!(delta.contains(&format!("#EXT-X-VERSION:{version}\n")), "{delta}");
        // Told of a moment ago: it is listed even where old ones are skipped.
        assert_eq!(delta.contains(tag), is_listed, "{delta}");
        assert_eq!(delta.contains("RECENTLY-REMOVED-DATERANGES"), skip == "v2", "{delta}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn media_beyond_a_limit_is_refused_by_name_and_the_stream_plays_on() {
    let limits = Settings { part_bytes_max: 1_000, ..Settings::default() };
    let origin = Origin::start_with(&[], limits).await;
    let mut encoder = publish(&origin, 2).await;
    let large = encoder.clone().part_of(&[(500, 5_000)], false);
    let refused = origin.send(DataKind::Part(PartFields::default()), large).await.unwrap_err();
    assert!(refused.to_string().contains("part-bytes-max"), "{refused}");
    assert_eq!(origin.part(encoder.part(500, false)).await.part, Some(2));
    origin.text("main/media.m3u8?_HLS_msn=0&_HLS_part=2").await;
    origin.stop().await;
}

#[tokio::test]
async fn every_answer_tells_once_when_it_was_made() {
    let (origin, _) = playing(1).await;
    let http_2 = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let paths = ["/healthz", "/nowhere", "/hls/demo/index.m3u8", "/hls/demo/main/0.0.m4s"];
    for (client, path) in
        [&origin.client, &http_2].into_iter().flat_map(|client| paths.map(|path| (client, path)))
    {
        // A date has no fractions of a second.
        let before = UNIX_EPOCH + Duration::from_secs(clock::now().as_secs());
        let response = client.get(format!("http://{}{path}", origin.address)).send().await.unwrap();
        let dates: Vec<_> = response.headers().get_all("date").iter().collect();
        assert_eq!(dates.len(), 1, "{path}: {dates:?}");
        let date = httpdate::parse_http_date(dates[0].to_str().unwrap()).unwrap();
        assert!(before <= date && date <= SystemTime::now(), "{path}: {date:?}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let (origin, _) = playing(1).await;
    for path in ["healthz", "readyz", "metrics"] {
        let response = origin.client.get(format!("http://{}/{path}", origin.address)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn who_comes_long_after_the_publisher_went_finds_the_stream_ended() {
    let store = MemoryStore::new();
    let past: mobz_runtime::streams::Now =
        Arc::new(|| Timestamp::from_millis(clock::now().as_millis() - 70_000));
    let origin = Origin::start_on(store.clone(), &[], Settings::default()).await;
    let then = Streams::new(store, past, Settings::default());
    let mut encoder = Encoder::default();
    origin.send_through(&then, "main", DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    let kind = DataKind::Part(PartFields::default());
    origin.send_through(&then, "main", kind, encoder.part(500, true)).await.unwrap();
    let playlist = origin.text("main/media.m3u8").await;
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-GAP\n"), "{playlist}");
    origin.stop().await;
}
