//! Media made by ffmpeg: never committed, made once per test process at most.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::Process;

/// A stream in the pieces that data signals carry.
#[derive(Clone, Debug)]
pub struct Fragments {
    /// `ftyp` and `moov`.
    pub init: Vec<u8>,
    /// Each `moof` with its `mdat`, a third of a second long; the first and every sixth are independent.
    pub parts: Vec<Vec<u8>>,
}

impl Fragments {
    /// One part in base64.
    pub fn base64(&self, part: usize) -> String {
        STANDARD.encode(&self.parts[part])
    }

    fn read(file: &[u8]) -> Self {
        let (mut init, mut parts) = (Vec::new(), Vec::<Vec<u8>>::new());
        let mut rest = file;
        while let Some((head, _)) = rest.split_first_chunk::<8>() {
            let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let (piece, after) = rest.split_at(size);
            match &head[4..] {
                b"moof" => parts.push(piece.to_vec()),
                b"mdat" => parts.last_mut().expect("moof comes before mdat").extend_from_slice(piece),
                _ => init.extend_from_slice(piece),
            }
            rest = after;
        }
        Self { init, parts }
    }
}

/// A test picture with a tone, as files and as a live stream.
#[derive(Clone, Copy, Debug)]
pub struct Media;

impl Media {
    /// An MP4 file as a camera would save it, some seconds long: H.264 with a keyframe every 2 s, AAC.
    pub fn file() -> PathBuf {
        static FILE: OnceLock<TempDir> = OnceLock::new();
        let directory = FILE.get_or_init(|| {
            let directory =
                tempfile::Builder::new().prefix("mobz-media-").tempdir().expect("a temporary directory");
            let mut command = ffmpeg();
            command.args(source("8")).args(CODECS).args(["-movflags", "+faststart"]);
            run(command.arg(directory.path().join("sample.mp4")));
            directory
        });
        directory.path().join("sample.mp4")
    }

    /// A file with a tone alone, some seconds long: AAC.
    pub fn sound() -> PathBuf {
        static FILE: OnceLock<TempDir> = OnceLock::new();
        let directory = FILE.get_or_init(|| {
            let directory =
                tempfile::Builder::new().prefix("mobz-media-").tempdir().expect("a temporary directory");
            let tone =
                ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=8", "-c:a", "aac"];
            run(ffmpeg().args(tone).arg(directory.path().join("sound.m4a")));
            directory
        });
        directory.path().join("sound.m4a")
    }

    /// Four seconds of what [`Media::live`] writes.
    pub fn fragments() -> Fragments {
        let directory =
            tempfile::Builder::new().prefix("mobz-media-").tempdir().expect("a temporary directory");
        let path = directory.path().join("live.mp4");
        run(ffmpeg().args(source("4")).args(CODECS).args(FRAGMENTS).arg(&path));
        Fragments::read(&std::fs::read(path).expect("ffmpeg wrote its file"))
    }

    /// ffmpeg as a live encoder: fragmented MP4 on its standard output, in real time, without end.
    pub fn live() -> Command {
        let mut command = ffmpeg();
        command.arg("-re").args(source("3600")).args(CODECS).args(FRAGMENTS).arg("-");
        command
    }

    /// Plays `seconds` of a URL with ffmpeg, and expects frames of both tracks in them.
    pub fn play(url: &str, seconds: u32) {
        let mut command = ffmpeg();
        command.args(["-i", url, "-t", &seconds.to_string(), "-map", "0:v:0", "-map", "0:a:0"]);
        run(command.args(["-xerror", "-f", "null", "-"]));
    }

    /// Starts `command` with [`Media::live`] on its standard input; → the encoder, and the command.
    pub fn live_into(command: &mut Command) -> (Process, Process) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let encoder = Process::start_with(&mut Self::live(), Stdio::null(), Stdio::from(writer));
        let publisher = Process::start_with(command, Stdio::from(reader), Stdio::piped());
        (encoder, publisher)
    }
}

const CODECS: [&str; 28] = [
    "-map",
    "0:v",
    "-map",
    "1:a",
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-tune",
    "zerolatency",
    "-pix_fmt",
    "yuv420p",
    "-bf",
    "0",
    "-g",
    "60",
    "-keyint_min",
    "60",
    "-sc_threshold",
    "0",
    "-x264-params",
    "open-gop=0:force-cfr=1",
    "-c:a",
    "aac",
    "-video_track_timescale",
    "90000",
    "-use_editlist",
    "0",
];

/// Each moof and mdat is one part of a third of a second.
const FRAGMENTS: [&str; 6] = [
    "-movflags",
    "+cmaf+empty_moov+default_base_moof+frag_keyframe+skip_sidx+skip_trailer",
    "-frag_duration",
    "333333",
    "-f",
    "mp4",
];

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
    command
}

fn source(seconds: &str) -> [String; 8] {
    let picture = format!("testsrc2=size=320x240:rate=30:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone].map(ToOwned::to_owned)
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start ffmpeg (is it installed?): {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
}
