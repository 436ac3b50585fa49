//! Playback over a real Redis, which may go away and come back empty.

#![allow(clippy::unwrap_used, reason = "a test has nobody else to report to")]

mod common;

use std::time::Duration;

use common::Origin;
use mobz_core::hls::data::{DataKind, InitFields, PartFields};
use mobz_core::hls::stream::Settings;
use mobz_core::hls::testing::{Encoder, video_init};
use mobz_runtime::streams::IngestError;
use mobz_store::testing::Redis;
use tokio::time::Instant;

/// How long anything that should happen soon may take.
const SOON: Duration = Duration::from_secs(20);

async fn origin_on(redis: &Redis, settings: Settings) -> Origin {
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    Origin::start_on(store, &[], settings).await
}

async fn publish(origin: &Origin, encoder: &mut Encoder, parts: std::ops::Range<u32>) {
    for part in parts {
        origin.part(encoder.part(500, part % 4 == 0)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_origins_play_from_one_redis() {
    let redis = Redis::start().unwrap();
    let here = origin_on(&redis, Settings::default()).await;
    let there = origin_on(&redis, Settings::default()).await;
    let mut encoder = Encoder::default();
    here.send(DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    publish(&here, &mut encoder, 0..5).await;
    let hinted = tokio::spawn(there.get("main/1.1.m4s"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let media = encoder.part(500, false);
    here.part(media.clone()).await;
    assert_eq!(hinted.await.unwrap().bytes().await.unwrap(), media);
    let edge = "main/media.m3u8?_HLS_msn=1&_HLS_part=1";
    assert_eq!(here.text(edge).await, there.text(edge).await);
    here.stop().await;
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_its_redis_and_what_was_lost_is_a_gap() {
    let mut redis = Redis::start().unwrap();
    let origin = origin_on(&redis, Settings::default()).await;
    let mut encoder = Encoder::default();
    origin.send(DataKind::Init(InitFields::default()), video_init()).await.unwrap();
    publish(&origin, &mut encoder, 0..6).await;
    origin.text("main/media.m3u8?_HLS_msn=1&_HLS_part=1").await;

    redis.kill();
    let part = encoder.part(500, false);
    let failed = origin.send(DataKind::Part(PartFields::default()), part.clone()).await;
    assert!(matches!(failed, Err(IngestError::Store(_))), "{failed:?}");
    redis.restart().unwrap();

    let deadline = Instant::now() + SOON;
    let ack = loop {
        match origin.send(DataKind::Part(PartFields::default()), part.clone()).await {
            Ok(ack) => break ack,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((ack.msn, ack.part), (Some(2), Some(0)));
    let playlist = origin.text("main/media.m3u8?_HLS_msn=2&_HLS_part=0").await;
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:0\n"), "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-GAP").count(), 2, "{playlist}");
    assert_eq!(origin.get("main/2.0.m4s").await.bytes().await.unwrap(), part);
    assert_eq!(origin.get("main/init-0.mp4").await.bytes().await.unwrap(), video_init());
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_the_past_is_listed_and_followed() {
    let redis = Redis::start().unwrap();
    let settings = Settings { window: Duration::from_secs(3600), ..Settings::default() };
    let origin = origin_on(&redis, settings).await;
    let mut encoder = Encoder::default();
    let init = InitFields { part_target: Some(2.0), ..InitFields::default() };
    origin.send(DataKind::Init(init), video_init()).await.unwrap();
    for segment in 0..2_500 {
        origin.part(encoder.part(2000, true)).await;
        if segment == 0 {
            origin.text("main/media.m3u8?_HLS_msn=0").await;
        }
    }
    // The origin hears of them a little later than the publisher of their being stored.
    let deadline = Instant::now() + SOON;
    let playlist = loop {
        let playlist = origin.text("main/media.m3u8").await;
        if playlist.contains("\n2499.m4s\n") {
            break playlist;
        }
        assert!(Instant::now() < deadline, "{playlist}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(playlist.matches("#EXTINF").count(), 1800);
    assert_eq!(origin.status("main/700.m4s").await, 200);
    let delta = origin.text("main/media.m3u8?_HLS_msn=2499&_HLS_skip=YES").await;
    assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=1794\n"), "{delta}");
    origin.stop().await;
}
