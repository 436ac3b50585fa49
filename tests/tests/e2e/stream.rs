//! Streams through what can happen to them, from outside: PROTOCOL.md §5.

use mobz_tests::{Client, End, Fragments, Media, Process, Redis, Stack, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A moment all parts of a test count from, in milliseconds since the epoch.
const EPOCH: u64 = 1_790_000_000_000;
/// How long a part of [`Fragments`] lasts, in milliseconds, about.
const PART_MILLIS: u64 = 333;

fn init() -> Value {
    json!({ "type": "Data", "kind": "init" })
}

fn part(number: usize) -> Value {
    json!({ "type": "Data", "kind": "part", "programDateTime": EPOCH + number as u64 * PART_MILLIS })
}

/// A publisher that has sent its init, and its secret to come back with.
async fn publisher(stack: &Stack, room: &str, fragments: &Fragments) -> (Client, Value) {
    let mut ann = stack.connect().await;
    let joined = ann.join(room, "p2m", "ann").await;
    acknowledged(&ann.request_data(init(), &fragments.init).await);
    (ann, joined["resume"].clone())
}

/// Where an acknowledgement says that a part is: `<msn>.<part>`.
fn acknowledged(ack: &Value) -> String {
    assert_eq!(ack["type"], "DataAck", "{ack}");
    format!("{}.{}", ack["msn"], ack["part"])
}

async fn playlist(stack: &Stack, room: &str) -> String {
    let response = stack.fetch(&format!("{}/hls/{room}/main/media.m3u8", stack.origin)).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.unwrap()
}

async fn media(stack: &Stack, room: &str, name: &str) -> Vec<u8> {
    let response = stack.fetch(&format!("{}/hls/{room}/main/{name}.m4s", stack.origin)).await;
    assert_eq!(response.status(), StatusCode::OK, "{name}");
    response.bytes().await.unwrap().to_vec()
}

/// The parts that a playlist lists, in order.
fn listed(playlist: &str) -> Vec<&str> {
    let parts = playlist.lines().filter(|line| line.starts_with("#EXT-X-PART:"));
    parts.map(|line| line.split("URI=\"").nth(1).unwrap().split(".m4s").next().unwrap()).collect()
}

#[tokio::test]
async fn a_publisher_killed_in_the_middle_of_a_part_goes_on_with_nothing_missing_and_nothing_twice() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let (mut ann, resume) = publisher(&stack, "live", &fragments).await;
    let mut stored = Vec::new();
    for number in 0..3 {
        stored.push(acknowledged(&ann.request_data(part(number), &fragments.parts[number]).await));
    }
    // Half of the next part, and one whole whose acknowledgement never arrives.
    ann.send_data(&part(3), &fragments.parts[3]).await;
    let mut piece = part(4);
    piece["id"] = json!("in two");
    piece["chunk"] = json!({ "index": 0, "count": 2 });
    ann.send_data(&piece, &fragments.parts[4][..fragments.parts[4].len() / 2]).await;
    ann.cut();

    let mut ann = stack.connect().await;
    ann.join_with(json!({ "room": "live", "mode": "p2m", "resume": resume })).await;
    acknowledged(&ann.request_data(init(), &fragments.init).await);
    // It knows of three. What it sends again carries the number it had, or would have had.
    for number in 2..6 {
        let mut again = part(number);
        again["msn"] = json!(0);
        again["part"] = json!(number);
        let name = acknowledged(&ann.request_data(again, &fragments.parts[number]).await);
        if number > 2 {
            stored.push(name);
        }
    }

    assert_eq!(stored, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
    let playlist = playlist(&stack, "live").await;
    assert_eq!(listed(&playlist), stored, "{playlist}");
    assert!(!playlist.contains("#EXT-X-GAP") && !playlist.contains("#EXT-X-DISCONTINUITY\n"), "{playlist}");
    for (name, bytes) in stored.iter().zip(&fragments.parts) {
        assert_eq!(media(&stack, "live", name).await, *bytes, "{name}");
    }
}

#[tokio::test]
async fn garbage_and_late_and_oversized_parts_are_refused_and_the_stream_is_as_if_they_had_never_come() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let (mut calm, _) = publisher(&stack, "calm", &fragments).await;
    let (mut storm, resume) = publisher(&stack, "storm", &fragments).await;
    let sent = |number: usize| {
        let mut part = part(number);
        // Six parts of a third of a second are one segment.
        part["msn"] = json!(number / 6);
        part["part"] = json!(number % 6);
        part["last"] = json!(number % 6 == 5);
        part
    };
    let numbered =
        |msn: usize, number: usize| json!({ "type": "Data", "kind": "part", "msn": msn, "part": number });
    for number in 0..12 {
        let bytes = &fragments.parts[number];
        let mut long = fragments.parts[number].clone();
        long.extend_from_slice(&fragments.parts[(number + 1) % 12]);
        let mut garbled = bytes.clone();
        garbled[4..8].copy_from_slice(b"free");
        for (what, header, media, codes) in [
            ("no media", sent(number), &b"not a box"[..], &["bad_signal"][..]),
            ("cut off", sent(number), &bytes[..bytes.len() - 9], &["bad_signal"]),
            ("garbled", sent(number), &garbled, &["bad_signal"]),
            ("two in one", sent(number), &long, &["bad_signal"]),
            ("skipping one", numbered(number / 6, number % 6 + 1), bytes, &["bad_signal", "stale"]),
            ("beyond the window", numbered(10_000, 0), bytes, &["bad_signal"]),
        ] {
            // The first part chooses where the stream begins and how long a part is; and one past a segment's
            // last is no leap.
            let chooses = number == 0 && ["two in one", "beyond the window"].contains(&what);
            if chooses || (what == "skipping one" && number % 6 == 5) {
                continue;
            }
            let refusal = storm.request_data(header, media).await;
            let code = refusal["code"].as_str().unwrap_or_default();
            assert!(codes.contains(&code), "{what} at {number}: {refusal}");
        }
        if number > 6 {
            let late = storm.request_data(numbered(0, 1), bytes).await;
            assert_eq!(late["code"], "stale", "{late}");
        }
        for client in [&mut calm, &mut storm] {
            acknowledged(&client.request_data(sent(number), bytes).await);
        }
    }
    // A message over the limit is refused and ends the connection; the publisher comes back and goes on.
    storm.send_data(&sent(12), &vec![0; 1 << 20]).await;
    storm.expect_refusal("too_large").await;
    assert_eq!(storm.end().await, End::Closed(1009));
    let mut storm = stack.connect().await;
    storm.join_with(json!({ "room": "storm", "mode": "p2m", "resume": resume })).await;
    // Media that is only offered in part is none.
    let mut piece = sent(12);
    piece["id"] = json!("never whole");
    piece["chunk"] = json!({ "index": 0, "count": 2 });
    storm.send_data(&piece, &fragments.parts[0]).await;
    storm.done(json!({ "type": "Heartbeat" })).await;

    let (calm, storm) = (playlist(&stack, "calm").await, playlist(&stack, "storm").await);
    assert_eq!(calm, storm);
    assert_eq!(listed(&storm).len(), 12, "{storm}");
    for name in listed(&storm) {
        assert_eq!(media(&stack, "calm", name).await, media(&stack, "storm", name).await, "{name}");
    }
}

#[tokio::test]
async fn a_redis_that_restarts_empty_leaves_a_marked_gap_and_the_stream_goes_on() {
    let mut redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let mut push = stack.mobzctl();
    let push = Process::start(push.args(["hls", "push", "live"]).arg(Media::file()).arg("--loop"));
    let segments = async |wanted: u64| {
        eventually("the stream is that long", async || {
            let response = stack.fetch(&format!("{}/hls/live/main/media.m3u8", stack.origin)).await;
            let text = response.text().await.ok()?;
            (last_segment(&text)? >= wanted).then_some(text)
        })
        .await
    };
    let before = segments(2).await;
    assert!(!before.contains("#EXT-X-GAP"), "{before}");

    redis.restart().unwrap();

    let at = last_segment(&before).unwrap();
    let after = segments(at + 4).await;
    assert!(after.contains("#EXT-X-GAP"), "what is lost is marked: {after}");
    assert_eq!(media_sequence(&before), media_sequence(&after), "no number goes back or is left out");
    // What is no gap is there.
    let mut is_gap = false;
    for line in after.lines() {
        if line == "#EXT-X-GAP" {
            is_gap = true;
        } else if line.strip_suffix(".m4s").is_some() && !std::mem::take(&mut is_gap) {
            assert!(!media(&stack, "live", line.trim_end_matches(".m4s")).await.is_empty());
        }
    }
    let url = format!("{}/hls/live/index.m3u8", stack.origin);
    tokio::task::spawn_blocking(move || Media::play(&url, 3)).await.unwrap();
    drop(push);
}

/// The number of the last whole segment.
fn last_segment(playlist: &str) -> Option<u64> {
    let listed = playlist.lines().filter(|line| line.starts_with("#EXTINF:")).count() as u64;
    (media_sequence(playlist)? + listed).checked_sub(1)
}

fn media_sequence(playlist: &str) -> Option<u64> {
    playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))?.parse().ok()
}
