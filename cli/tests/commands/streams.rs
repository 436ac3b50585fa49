//! `hls push` and `hls tail` against a stack, with media from ffmpeg.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Home, Running, eventually};

/// A few seconds of picture and sound, made by ffmpeg.
pub(crate) fn media(home: &Home) -> String {
    let path = home.path().join("media.mp4").display().to_string();
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"])
        .args(["-f", "lavfi", "-i", "sine", "-t", "4", "-c:v", "libx264", "-preset", "ultrafast", &path])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    path
}

fn end(mut push: Running) {
    push.signal(Signal::INT);
    while push.json()["state"] != "ended" {}
    assert_eq!(push.ended(), Some(0));
}

#[test]
fn a_file_becomes_a_stream_that_can_be_followed_saved_and_ended() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let push = home.start(&["hls", "push", "demo", &media(&home), "--loop", "--output", "json"]);
    let copy = home.path().join("copy.mp4").display().to_string();
    let tail = ["hls", "tail", "demo", "--wait", "20s", "--parts", "8", "--bytes", &copy, "--output", "json"];
    let followed = home.run(&tail);
    followed.done();
    let lines: Vec<serde_json::Value> =
        followed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let parts: Vec<_> = lines.iter().filter(|line| line["kind"] == "part").collect();
    assert_eq!((parts.len(), &parts[0]["independent"]), (8, &true.into()));
    assert!(
        parts.iter().all(|part| part["size"].as_u64() > Some(0) && part["captureMs"].is_i64()),
        "{parts:?}"
    );
    let probed = Command::new("ffprobe")
        .args(["-loglevel", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &copy])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&probed.stdout), "h264\naac\n");

    end(push);
    let ended = home.run(&["hls", "tail", "demo"]);
    ended.done();
    assert!(ended.err.contains("the stream has ended"), "{}", ended.err);
}

#[test]
fn a_fragmented_mp4_on_stdin_goes_as_it_is() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let mut encoder = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"])
        .args([
            "-t",
            "3",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-bf",
            "0",
            "-g",
            "25",
        ])
        .args(["-movflags", "+cmaf+empty_moov+default_base_moof+frag_keyframe+skip_trailer"])
        .args(["-frag_duration", "200000", "-f", "mp4", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut command = home.mobzctl(&["hls", "push", "demo", "-", "--output", "json"]);
    let output = command.stdin(encoder.stdout.take().unwrap()).output().unwrap();
    encoder.wait().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    // 3 s in parts of 200 ms.
    assert_eq!(
        (&last["state"], &last["parts"], &last["mediaSeconds"]),
        (&"ended".into(), &15.into(), &3.0.into())
    );
}

#[test]
fn a_second_publisher_and_a_missing_file_are_told() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let file = media(&home);
    let push = home.start(&["hls", "push", "demo", &file, "--loop", "--output", "json"]);
    eventually("the room is there", || (home.run(&["room", "inspect", "demo"]).code == 0).then_some(()));
    let second = home.run(&["hls", "push", "demo", &file, "--user", "other"]);
    second.failed(4);
    home.run(&["hls", "push", "demo", "/nowhere/at/all.mp4"]).failed(3);
    home.run(&["hls", "push", "demo", "-"]).failed(1);
    home.run(&["hls", "tail", "nowhere"]).failed(3);
    home.run(&["hls", "tail", "nowhere", "--wait", "1s"]).failed(5);
    end(push);
}

#[test]
fn without_ffmpeg_a_push_says_how_to_get_it() {
    let home = Home::new();
    let file = home.path().join("file.mp4");
    std::fs::write(&file, "x").unwrap();
    let mut command = home.mobzctl(&["hls", "push", "demo", &file.display().to_string()]);
    let output = command.env("PATH", "/nonexistent").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("ffmpeg is not on PATH") && said.contains("install it"), "{said}");
}
