//! Real media from data signal to player: ffmpeg encodes, ffmpeg plays.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Media, Origin, media};
use mobz_core::hls::data::{DataKind, InitFields};
use quick_m3u8::Reader;
use quick_m3u8::config::ParsingOptions;

#[allow(clippy::panic, reason = "the playlist belongs in the message")]
/// Reads a playlist with a parser that is not ours; every line must be one it knows.
fn assert_reads(text: &str) {
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    let mut lines = 0;
    while let Some(line) = reader.read_line().unwrap_or_else(|error| panic!("{error}\n{text}")) {
        lines += 1;
        drop(line);
    }
    assert!(lines > 3, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ffmpeg_publishes_ffmpeg_plays() {
    let origin = Origin::start().await;
    let Media { init, parts } = media(6, &[]).await;
    origin.send(DataKind::Init(InitFields::default()), init).await.unwrap();
    for part in parts {
        origin.part(part).await;
    }
    origin.end().await;

    let probed = common::ffprobe(&origin.url("index.m3u8")).await;

    assert!(probed.contains("codec_name=h264"), "{probed}");
    assert!(probed.contains("codec_name=aac"), "{probed}");
    assert!(probed.contains("nb_read_frames=180"), "{probed}");
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_plays_a_stream_while_it_runs() {
    let origin = Arc::new(Origin::start().await);
    let Media { init, parts } = media(14, &[]).await;
    origin.send(DataKind::Init(InitFields::default()), init).await.unwrap();
    let (past, future) = parts.split_at(18);
    for part in past {
        origin.part(part.clone()).await;
    }
    let publisher = tokio::spawn({
        let (origin, future) = (Arc::clone(&origin), future.to_vec());
        async move {
            for part in future {
                tokio::time::sleep(Duration::from_millis(333)).await;
                origin.part(part).await;
            }
        }
    });

    let played = common::play(&origin.url("index.m3u8"), 8).await;

    assert!(played >= 200, "{played} frames");
    publisher.abort();
    let _ = publisher.await;
    Arc::into_inner(origin).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlists_of_a_running_stream_are_well_formed_at_every_part() {
    let origin = Origin::start().await;
    let Media { init, parts } = media(8, &[]).await;
    origin.send(DataKind::Init(InitFields::default()), init).await.unwrap();
    let (mut msn, mut number) = (0, 0);
    for part in parts {
        let ack = origin.part(part).await;
        assert!(
            (ack.msn, ack.part) == (Some(msn), Some(number))
                || (ack.msn, ack.part) == (Some(msn + 1), Some(0)),
            "{ack:?} after {msn}.{number}"
        );
        (msn, number) = (ack.msn.unwrap(), ack.part.unwrap() + 1);
        let edge = format!("main/media.m3u8?_HLS_msn={msn}&_HLS_part={}", number - 1);
        let reloaded = origin.text(&edge).await;
        assert_reads(&reloaded);
        assert_eq!(origin.text("main/media.m3u8").await, reloaded);
    }
    assert_reads(&origin.text("main/iframes.m3u8").await);
    let multivariant = origin.text("index.m3u8").await;
    assert_reads(&multivariant);
    assert!(multivariant.contains("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH="), "{multivariant}");
    assert!(multivariant.contains("RESOLUTION=320x240,FRAME-RATE=30.000"), "{multivariant}");
    assert!(multivariant.contains("CODECS=\"avc1."), "{multivariant}");
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_decodes_every_iframe_by_itself() {
    let origin = Origin::start().await;
    let Media { init, parts } = media(6, &[]).await;
    origin.send(DataKind::Init(InitFields::default()), init.clone()).await.unwrap();
    for part in parts {
        origin.part(part).await;
    }
    origin.end().await;
    let playlist = origin.text("main/iframes.m3u8").await;
    let lines: Vec<&str> = playlist.lines().collect();
    let mut frames = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some((length, offset)) =
            line.strip_prefix("#EXT-X-BYTERANGE:").and_then(|range| range.split_once('@'))
        else {
            continue;
        };
        let (length, offset): (u64, u64) = (length.parse().unwrap(), offset.parse().unwrap());
        let request = origin.client.get(origin.url(&format!("main/{}", lines[at + 2])));
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let frame = request.header("range", range).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(common::first_frame(&[&init[..], &frame].concat()).await, "I");
        frames += 1;
    }
    assert_eq!(frames, 3, "{playlist}");
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_reload_and_a_hinted_part_are_answered_when_the_part_comes() {
    let origin = Origin::start().await;
    let Media { init, parts } = media(3, &[]).await;
    origin.send(DataKind::Init(InitFields::default()), init).await.unwrap();
    origin.part(parts[0].clone()).await;
    let playlist = tokio::spawn(origin.get("main/media.m3u8?_HLS_msn=0&_HLS_part=1"));
    let hinted = tokio::spawn(origin.get("main/0.1.m4s"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!playlist.is_finished() && !hinted.is_finished());

    origin.part(parts[1].clone()).await;

    let playlist = playlist.await.unwrap().text().await.unwrap();
    assert!(playlist.contains("URI=\"0.1.m4s\""), "{playlist}");
    assert!(playlist.contains("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0.2.m4s\""), "{playlist}");
    assert_eq!(hinted.await.unwrap().bytes().await.unwrap(), parts[1]);
    origin.stop().await;
}
