//! The main job: a media file, or a live encoder, becomes a stream.

use std::process::{Command, Output, Stdio};

use mobz_tests::{Media, Process, SOON, Stack, eventually};
use serde_json::Value;

#[tokio::test]
async fn a_file_becomes_a_live_stream() {
    let stack = Stack::up();
    let file = Media::file();
    let mut push = stack.mobzctl();
    let push = Process::start(push.args(["hls", "push", "demo"]).arg(file).arg("--loop"));
    is_live(&stack, "demo", &push).await;
}

#[tokio::test]
async fn a_live_encoder_becomes_a_live_stream() {
    let stack = Stack::up();
    let (_encoder, push) = Media::live_into(stack.mobzctl().args(["hls", "push", "demo", "-"]));
    is_live(&stack, "demo", &push).await;
}

async fn is_live(stack: &Stack, room: &str, push: &Process) {
    let inspected = eventually("the room has a stream", async || {
        let output = run(stack.mobzctl().args(["room", "inspect", room, "--output", "json"]));
        let room: Value = serde_json::from_slice(&output.stdout).ok()?;
        room["hls"]["tracks"][0]["part"].is_u64().then_some(room)
    })
    .await;
    assert_eq!(inspected["mode"], "p2m");
    assert_eq!(inspected["participants"][0]["participantType"], "publisher");
    let track = &inspected["hls"]["tracks"][0];
    assert_eq!(track["track"], "main");
    for number in ["msn", "part", "partTarget", "targetDuration", "bytesStored", "lastPartAgeMs"] {
        assert!(track[number].is_number(), "no {number}: {track}");
    }
    let url = inspected["hls"]["playbackUrl"].as_str().unwrap().to_owned();
    assert_eq!(url, format!("{}/hls/{room}/index.m3u8", stack.origin));

    let mut tail = Process::start(stack.mobzctl().args(["hls", "tail", room, "--output", "json"]));
    let mut numbers = Vec::new();
    while numbers.len() < 8 {
        let line = tail.line(SOON).unwrap_or_else(|| unreachable!("hls tail ended: {}", tail.log()));
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["part"].is_u64() {
            assert!(line["duration"].as_f64().is_some_and(|seconds| seconds > 0.0), "{line}");
            assert!(line["independent"].is_boolean(), "{line}");
            numbers.push((line["msn"].as_u64().unwrap(), line["part"].as_u64().unwrap()));
        }
    }
    assert!(numbers.is_sorted() && numbers.windows(2).all(|two| two[0] != two[1]), "{numbers:?}");

    tokio::task::spawn_blocking(move || Media::play(&url, 3)).await.unwrap();
    assert!(!push.log().to_lowercase().contains("error"), "{}", push.log());
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}
