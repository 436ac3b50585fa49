//! A crowd that waits for one part: it is fetched once, and everybody gets it.

#![allow(clippy::unwrap_used, reason = "a test has nobody else to report to")]

mod common;

use std::time::Duration;

use common::Origin;
use mobz_core::hls::data::{DataKind, InitFields};
use mobz_core::hls::testing::{Encoder, video_init};
use reqwest::Client;

/// How many wait, half for the part and half for the playlist with it.
const CROWD: usize = 10_000;
/// How many share a connection: fewer than the origin takes at once.
const PER_CONNECTION: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_wait_for_one_part_make_one_fetch() {
    let origin = Origin::start().await;
    let mut encoder = Encoder::default();
    // Long targets: who comes first of so many waits for the last.
    let init = InitFields { target_duration: Some(60.0), ..InitFields::default() };
    origin.send(DataKind::Init(init), video_init()).await.unwrap();
    origin.part(encoder.part(500, true)).await;
    origin.text("main/media.m3u8?_HLS_msn=0&_HLS_part=0").await;
    let fetched_before = origin.metric("mobz_origin_media_fetches_total").await;

    let mut waiters = Vec::with_capacity(CROWD);
    for _ in 0..CROWD / PER_CONNECTION {
        let client = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        for number in 0..PER_CONNECTION {
            let path =
                if number % 2 == 0 { "main/0.1.m4s" } else { "main/media.m3u8?_HLS_msn=0&_HLS_part=1" };
            let request = client.get(origin.url(path));
            waiters.push(tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (number % 2 == 0, response.status().as_u16(), response.bytes().await.unwrap())
            }));
        }
    }
    while origin.metric("mobz_origin_blocked_requests").await < CROWD as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(origin.metric("mobz_origin_views").await, 1, "one room is watched, once");
    let media = encoder.part(500, false);
    origin.part(media.clone()).await;

    let mut playlist = None;
    for waiter in waiters {
        let (is_part, status, body) = waiter.await.unwrap();
        assert_eq!(status, 200);
        if is_part {
            assert_eq!(body, media);
        } else {
            assert_eq!(*playlist.get_or_insert_with(|| body.clone()), body, "all get the same playlist");
        }
    }
    assert_eq!(origin.metric("mobz_origin_media_fetches_total").await - fetched_before, 1);
    assert_eq!(origin.metric("mobz_origin_blocked_requests").await, 0);
    let kept = origin.metric("mobz_origin_cache_bytes").await;
    assert!((media.len() as u64..media.len() as u64 + 1_024).contains(&kept), "{kept}");
    origin.stop().await;
}
