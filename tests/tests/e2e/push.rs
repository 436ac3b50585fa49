//! `mobzctl hls push` through what can happen to it.

use mobz_tests::{Media, Process, Redis, SOON, Signal, Stack, eventually};
use serde_json::Value;

/// How many parts are pushed before and after something happens: four seconds.
const SOME_PARTS: u64 = 12;

fn push(stack: &Stack, flags: &[&str]) -> Process {
    let mut command = stack.mobzctl();
    command.args(["hls", "push", "live"]).arg(Media::file()).args(["--loop", "--output", "json"]).args(flags);
    Process::start(&mut command)
}

/// The push's next line that is as wanted.
fn line(push: &mut Process, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = push.line(SOON).unwrap_or_else(|| unreachable!("no {what}: {}", push.log()));
        let line: Value = serde_json::from_str(&line).unwrap();
        if wanted(&line) {
            return line;
        }
    }
}

fn parts(line: &Value) -> u64 {
    line["parts"].as_u64().unwrap()
}

async fn text(stack: &Stack, url: &str) -> String {
    let response = stack.fetch(url).await;
    assert!(response.status().is_success(), "{url}: {}", response.status());
    response.text().await.unwrap()
}

/// What a playlist lists of media that is there: seconds, and bytes.
async fn listed(stack: &Stack, folder: &str) -> (f64, u64) {
    let playlist = text(stack, &format!("{folder}/media.m3u8")).await;
    let (mut seconds, mut bytes, mut duration, mut is_gap) = (0.0, 0, 0.0, false);
    for line in playlist.lines() {
        if let Some(value) = line.strip_prefix("#EXTINF:") {
            duration = value.trim_end_matches(',').parse::<f64>().unwrap();
        } else if line == "#EXT-X-GAP" {
            is_gap = true;
        } else if !line.starts_with('#') && !std::mem::take(&mut is_gap) {
            let response = stack.fetch(&format!("{folder}/{line}")).await;
            assert!(response.status().is_success(), "{line}: {}", response.status());
            bytes += response.bytes().await.unwrap().len() as u64;
            seconds += duration;
        }
    }
    (seconds, bytes)
}

#[tokio::test]
async fn a_daemon_killed_and_started_again_costs_no_acknowledged_part() {
    let redis = Redis::start().unwrap();
    let origin = Stack::origin(&redis.url(), &[]).await;
    let flags = ["--origin-url", origin.origin.as_str()];
    let signaling = Stack::signaling(&redis.url(), &flags).await;
    let mut push = push(&signaling, &[]);
    let before = line(&mut push, "parts", |line| parts(line) >= SOME_PARTS);

    let _signaling = signaling.killed_and_started_again(&redis.url(), &flags).await;
    line(&mut push, "parts after it", |line| parts(line) >= parts(&before) + SOME_PARTS);
    push.signal(Signal::INT);
    let ended = line(&mut push, "end", |line| line["state"] == "ended");
    assert_eq!(push.wait(SOON).code, Some(0), "{}", push.log());
    assert!(push.log().contains("resumed"), "{}", push.log());

    let folder = format!("{}/hls/live/main", origin.origin);
    assert!(text(&origin, &format!("{folder}/media.m3u8")).await.contains("#EXT-X-ENDLIST"));
    let (seconds, bytes) = listed(&origin, &folder).await;
    assert_eq!(bytes, ended["bytes"].as_u64().unwrap(), "every byte acknowledged, and each once");
    let acknowledged = parts(&ended) as f64 / 3.0;
    assert!((seconds - acknowledged).abs() < 0.01, "{seconds} s are listed of {acknowledged}");
}

#[tokio::test]
async fn a_daemon_that_comes_back_without_memory_is_published_to_on() {
    let (mut stack, port) = Stack::up_on_ports_of_its_own();
    let mut push = push(&stack, &[]);
    let before = line(&mut push, "parts", |line| parts(line) >= SOME_PARTS);
    stack.process.signal(Signal::KILL);
    stack.process.wait(SOON);
    let stack = Stack::up_on(port);
    line(&mut push, "parts after it", |line| parts(line) >= parts(&before) + SOME_PARTS);
    assert!(push.log().contains("joined anew"), "{}", push.log());
    let url = format!("{}/hls/live/index.m3u8", stack.origin);
    tokio::task::spawn_blocking(move || Media::play(&url, 3)).await.unwrap();
    push.signal(Signal::INT);
    assert_eq!(push.wait(SOON).code, Some(0), "{}", push.log());
}

#[tokio::test]
async fn renditions_are_tracks_with_the_same_segments_at_the_same_dates() {
    let stack = Stack::up();
    let mut push = push(&stack, &["--renditions", "180p,90p"]);
    // Of two tracks.
    line(&mut push, "parts", |line| parts(line) >= 4 * SOME_PARTS);
    let room = format!("{}/hls/live", stack.origin);
    let index = text(&stack, &format!("{room}/index.m3u8")).await;
    for wanted in
        ["RESOLUTION=240x180", "RESOLUTION=120x90", "180p/media.m3u8", "90p/media.m3u8", "mp4a.40.2"]
    {
        assert!(index.contains(wanted), "no {wanted} in {index}");
    }
    // What both list: parts, segments and dates are the same, line by line.
    let media = |playlist: String| -> Vec<String> {
        let lines = playlist.lines().filter(|line| !line.contains("-REPORT") && !line.contains("-HINT"));
        lines.map(ToOwned::to_owned).collect()
    };
    eventually("both are at the same part", async || {
        let high = media(text(&stack, &format!("{room}/180p/media.m3u8")).await);
        let low = media(text(&stack, &format!("{room}/90p/media.m3u8")).await);
        (high == low).then_some(())
    })
    .await;
    let url = format!("{room}/index.m3u8");
    tokio::task::spawn_blocking(move || Media::play(&url, 3)).await.unwrap();
    push.signal(Signal::INT);
    line(&mut push, "end", |line| line["state"] == "ended");
    for track in ["180p", "90p"] {
        let playlist = text(&stack, &format!("{room}/{track}/media.m3u8")).await;
        assert!(playlist.contains("#EXT-X-ENDLIST"), "{track}: {playlist}");
    }
}

#[tokio::test]
async fn without_parts_whole_segments_are_pushed() {
    let stack = Stack::up();
    let mut push = push(&stack, &["--parts", "off"]);
    let last = line(&mut push, "segments", |line| parts(line) >= 3);
    assert!(last["part"].is_null() && last["msn"].is_u64(), "{last}");
    let folder = format!("{}/hls/live/main", stack.origin);
    let playlist = text(&stack, &format!("{folder}/media.m3u8")).await;
    assert!(
        !playlist.contains("#EXT-X-PART") && playlist.matches("#EXTINF:2.00000,").count() >= 3,
        "{playlist}"
    );
    let url = format!("{}/hls/live/index.m3u8", stack.origin);
    tokio::task::spawn_blocking(move || Media::play(&url, 3)).await.unwrap();
}

#[tokio::test]
async fn a_live_encoder_is_pushed_in_whole_segments_too() {
    let stack = Stack::up();
    let mut command = stack.mobzctl();
    command.args(["hls", "push", "live", "-", "--parts", "off", "--output", "json"]);
    let (_encoder, mut push) = Media::live_into(&mut command);
    line(&mut push, "segments", |line| parts(line) >= 2);
    let playlist = text(&stack, &format!("{}/hls/live/main/media.m3u8", stack.origin)).await;
    assert!(playlist.matches("#EXTINF:2.00000,").count() >= 2, "{playlist}");
}
