//! Every playlist of a minute, read by two parsers that are not ours.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mobz_tests::{Media, Process, Stack, eventually};
use quick_m3u8::Reader;
use quick_m3u8::config::ParsingOptions;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long the stream is followed.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_reload_of_a_minute_is_read_by_hls_parser_and_quick_m3u8() {
    let stack = Stack::up();
    let mut push = stack.mobzctl();
    push.args(["hls", "push", "live", "--renditions", "360p,180p", "--loop"]).arg(Media::file());
    let push = Process::start(&mut push);
    let base = format!("{}/hls/live", stack.origin);
    let index = eventually("both renditions are there", async || {
        let response = stack.fetch(&format!("{base}/index.m3u8")).await;
        let index = (response.status() == StatusCode::OK).then_some(response.text().await.ok()?)?;
        (media_playlists(&index).len() == 2).then_some(index)
    })
    .await;
    let tracks = media_playlists(&index);

    let folder = tempfile::Builder::new().prefix("mobz-playlists-").tempdir().unwrap();
    keep(&folder, "index", 0, &index);
    let follow = async |track: &str| {
        let url = format!("{base}/{track}");
        let name = track.split('/').next().unwrap();
        follow(&stack, &url, &folder, name).await
    };
    let (first, second) = tokio::join!(follow(tracks[0]), follow(tracks[1]));

    // Three parts a second, each with a reload of its own; a busy machine may put two into one.
    assert!(first > 90 && second > 90, "{first} and {second} reloads; {}", push.log());
    assert_eq!(parsed_by_hls_parser(folder.path()), first + second + 1);
}

/// The media playlists that a multivariant playlist names, in its order.
fn media_playlists(index: &str) -> Vec<&str> {
    index.lines().filter(|line| line.ends_with("/media.m3u8")).collect()
}

/// Reloads a media playlist for a minute as a player would, every second one as a delta update, and has
/// each read; returns how many there were.
async fn follow(stack: &Stack, url: &str, folder: &TempDir, name: &str) -> usize {
    let end = Instant::now() + MINUTE;
    let mut query = String::new();
    let mut count = 0;
    while Instant::now() < end {
        let response = stack.fetch(&format!("{url}{query}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        let text = response.text().await.unwrap();
        read_strictly(&text);
        keep(folder, name, count, &text);
        count += 1;
        let (msn, part) = hinted(&text).unwrap_or_else(|| unreachable!("no hint in {text}"));
        let skip = if count % 2 == 0 { "&_HLS_skip=YES" } else { "" };
        query = format!("?_HLS_msn={msn}&_HLS_part={part}{skip}");
    }
    count
}

/// The part that a playlist says comes next.
fn hinted(playlist: &str) -> Option<(u64, u64)> {
    let hint = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT:"))?;
    let (msn, part) = hint.split("URI=\"").nth(1)?.split(".m4s").next()?.split_once('.')?;
    Some((msn.parse().ok()?, part.parse().ok()?))
}

fn read_strictly(text: &str) {
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    loop {
        match reader.read_line() {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => unreachable!("{error} in\n{text}"),
        }
    }
}

fn keep(folder: &TempDir, name: &str, number: usize, text: &str) {
    std::fs::write(folder.path().join(format!("{name}-{number:04}.m3u8")), text).unwrap();
}

fn parsed_by_hls_parser(folder: &Path) -> usize {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/e2e/parse-playlists.mjs");
    let output = Command::new("node").arg(script).arg(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}
