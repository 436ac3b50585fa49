//! `mobzctl hls tail` through what can happen to a stream.

use std::path::Path;

use mobz_tests::{Media, Process, SOON, Signal, Stack};
use serde_json::{Value, json};

/// The tail's next line that is as wanted; those before it are kept.
fn line(tail: &mut Process, seen: &mut Vec<Value>, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = tail.line(SOON).unwrap_or_else(|| unreachable!("no {what}: {}", tail.log()));
        let line: Value = serde_json::from_str(&line).unwrap();
        seen.push(line.clone());
        if wanted(&line) {
            return line;
        }
    }
}

fn push(stack: &Stack) -> Process {
    let mut command = stack.mobzctl();
    Process::start(command.args(["hls", "push", "live", "--loop"]).arg(Media::file()))
}

/// How many bytes of parts there are up to each discontinuity.
fn bytes_of_timelines(lines: &[Value]) -> Vec<u64> {
    let mut sums = vec![0];
    for part in lines.iter().filter(|line| line["kind"] == "part") {
        if part["discontinuity"] == true {
            sums.push(0);
        }
        *sums.last_mut().unwrap() += part["size"].as_u64().unwrap();
    }
    sums
}

async fn plays(path: &Path) {
    let path = path.to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || Media::play(&path, 600)).await.unwrap();
}

#[tokio::test]
async fn a_tail_goes_on_from_publisher_to_publisher_and_saves_what_each_sent_as_a_file_that_plays() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = stack.connect().await;
    ann.join("live", "p2m", "ann").await;
    ann.request_data(json!({ "type": "Data", "kind": "init" }), &fragments.init).await;
    let part = || json!({ "type": "Data", "kind": "part" });
    ann.request_data(part(), &fragments.parts[0]).await;

    let folder = tempfile::Builder::new().prefix("mobz-tail-").tempdir().unwrap();
    let copy = folder.path().join("copy.mp4");
    let mut command = stack.mobzctl();
    let mut tail =
        Process::start(command.args(["hls", "tail", "live", "--output", "json", "--bytes"]).arg(&copy));
    let mut seen = Vec::new();
    line(&mut tail, &mut seen, "first part", |line| line["kind"] == "part");
    for bytes in &fragments.parts[1..] {
        ann.request_data(part(), bytes).await;
    }
    ann.close(1000).await;
    let begins_anew = |line: &Value| line["kind"] == "part" && line["discontinuity"] == true;
    let is_second_segment = |line: &Value| line["kind"] == "segment" && line["discontinuity"] == false;
    let mut publisher = push(&stack);
    line(&mut tail, &mut seen, "other init", begins_anew);
    line(&mut tail, &mut seen, "whole segment", is_second_segment);
    publisher.signal(Signal::KILL);
    publisher.wait(SOON);
    let publisher = push(&stack);
    line(&mut tail, &mut seen, "the same init on another timeline", begins_anew);
    line(&mut tail, &mut seen, "whole segment", is_second_segment);
    publisher.signal(Signal::INT);
    while let Some(line) = tail.line(SOON) {
        seen.push(serde_json::from_str(&line).unwrap());
    }

    assert_eq!(tail.wait(SOON).code, Some(0), "{}", tail.log());
    let numbers: Vec<_> = seen
        .iter()
        .filter(|line| line["kind"] == "part")
        .map(|line| (line["msn"].as_u64().unwrap(), line["part"].as_u64().unwrap()))
        .collect();
    assert!(numbers.is_sorted() && numbers.windows(2).all(|two| two[0] != two[1]), "{numbers:?}");
    let files: Vec<_> =
        ["copy.mp4", "copy-2.mp4", "copy-3.mp4"].iter().map(|name| folder.path().join(name)).collect();
    let sums = bytes_of_timelines(&seen);
    assert_eq!((sums.len(), folder.path().read_dir().unwrap().count()), (3, 3), "{}", tail.log());
    for (file, media) in files.iter().zip(sums) {
        let size = file.metadata().unwrap().len();
        assert!(size > media && size < media + 4_096, "{file:?}: {size} bytes, {media} of media");
        plays(file).await;
    }
    assert_eq!(files[0].metadata().unwrap().len(), {
        let sizes = fragments.parts.iter().map(Vec::len).sum::<usize>() + fragments.init.len();
        u64::try_from(sizes).unwrap()
    });
}

#[tokio::test]
async fn of_several_tracks_one_is_followed_and_the_others_are_told_of() {
    let stack = Stack::up();
    let mut command = stack.mobzctl();
    command.args(["hls", "push", "live", "--loop", "--renditions", "180p,90p"]).arg(Media::file());
    let _push = Process::start(&mut command);
    let follow = |flags: &[&str]| {
        let mut command = stack.mobzctl();
        command
            .args(["hls", "tail", "live", "--wait", "20s", "--parts", "8", "--output", "json"])
            .args(flags);
        let mut tail = Process::start(&mut command);
        let mut seen = Vec::new();
        line(&mut tail, &mut seen, "last part", |line| line["kind"] == "part" && line["storeMs"].is_i64());
        while let Some(line) = tail.line(SOON) {
            seen.push(serde_json::from_str(&line).unwrap());
        }
        let size = seen.iter().filter(|line| line["kind"] == "part").filter_map(|line| line["size"].as_u64());
        (size.sum::<u64>(), tail.log())
    };

    let (first, told) = follow(&[]);
    let (second, told_too) = follow(&["--track", "90p"]);

    assert!(told.contains("/hls/live/180p/media.m3u8"), "{told}");
    assert!(told_too.contains("/hls/live/90p/media.m3u8"), "{told_too}");
    for told in [&told, &told_too] {
        assert!(told.contains("180p/media.m3u8, 90p/media.m3u8; choose with --track"), "{told}");
    }
    assert!(first > second, "{first} bytes of 180 lines, {second} of 90");
    let mut nowhere = Process::start(stack.mobzctl().args(["hls", "tail", "live", "--track", "720p"]));
    assert_eq!(nowhere.wait(SOON).code, Some(3), "{}", nowhere.log());
}
