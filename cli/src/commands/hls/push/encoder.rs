//! ffmpeg as the encoder: which flags give clean parts, and what it says when it fails.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::error::{Failure, Result, os};

/// Frames a second of the encoded stream; every part is a whole number of frames.
const FRAME_RATE: u32 = 30;
/// Seconds between keyframes: the target duration, so that every segment begins with one.
const KEYFRAME_SECONDS: u32 = 2;
/// The widest picture, in pixels: what an ordinary machine encodes in real time.
const WIDTH_MAX: u32 = 1280;
/// Bits a second at most of a rendition, by the square of its height: 3.1 Mbit/s at 720 lines.
const BITS_PER_SQUARE_LINE: u32 = 6;
/// How many lines of what ffmpeg said are kept for the case that it fails.
const LINES_KEPT: usize = 4;

/// Where ffmpeg takes its input from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// A file, perhaps again and again.
    File { path: &'a Path, repeat: bool },
    /// What is written to its stdin.
    Pipe,
}

/// What is to come out.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How many frames one fragment has.
    pub(super) fragment: u32,
    /// The heights of the pictures, one output each; none is one output as large as the input, within
    /// [`WIDTH_MAX`].
    pub(super) heights: Vec<u32>,
}

impl Plan {
    /// Fragments that are parts of about this many milliseconds; whole segments without.
    pub(super) fn new(part_millis: Option<u32>, heights: Vec<u32>) -> Self {
        Self { fragment: part_millis.map_or(FRAME_RATE * KEYFRAME_SECONDS, frames), heights }
    }
}

/// A running ffmpeg.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The process; its stdout is the first output, an fMP4.
    pub(super) child: Child,
    /// Where it brings the other outputs, in order.
    pub(super) others: Vec<UnixListener>,
    said: JoinHandle<VecDeque<String>>,
    /// Holds the sockets.
    _folder: Option<TempDir>,
}

/// How many frames a part of about this many milliseconds has.
pub(super) fn frames(part_ms: u32) -> u32 {
    ((part_ms * FRAME_RATE + 500) / 1000).max(1)
}

/// The part target of parts of so many frames, in seconds, rounded up to a millisecond.
pub(super) fn part_target(frames: u32) -> f64 {
    f64::from((frames * 1000).div_ceil(FRAME_RATE)) / 1000.0
}

/// The part target of sound alone, in seconds, where that of pictures would be `target`: the encoder takes
/// one more of its frames (1024 samples of 48 kHz) than fits, and part targets are whole milliseconds.
pub(super) fn sound_target(target: f64) -> f64 {
    ((target + 1024.0 / 48_000.0) * 1000.0).ceil() / 1000.0
}

/// Starts ffmpeg.
pub(super) fn start(input: Input<'_>, plan: &Plan) -> Result<Encoder> {
    let beside = plan.heights.len().saturating_sub(1);
    let folder = if beside > 0 { Some(folder()?) } else { None };
    let sockets: Vec<PathBuf> =
        (0..beside).filter_map(|number| Some(folder.as_ref()?.path().join(number.to_string()))).collect();
    let others = sockets
        .iter()
        .map(UnixListener::bind)
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| Failure::failed("cannot take what ffmpeg encodes", os(&error), ROOM))?;
    let mut command = Command::new("ffmpeg");
    command
        .args(arguments(input, plan, &sockets))
        .stdin(match input {
            Input::File { .. } => Stdio::null(),
            Input::Pipe => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C is for mobzctl, which ends the stream first and ffmpeg after it.
        .process_group(0);
    let mut child = command.spawn().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Failure::failed(
                "cannot encode the media",
                "ffmpeg is not on PATH",
                "install it (apt-get install ffmpeg), or pipe a fragmented MP4 to `mobzctl hls push ROOM -`",
            )
        } else {
            Failure::failed("cannot start ffmpeg", os(&error), "check that it runs: ffmpeg -version")
        }
    })?;
    let said = tokio::spawn(keep(child.stderr.take()));
    Ok(Encoder { child, others, said, _folder: folder })
}

/// What to do where the sockets between ffmpeg and this process cannot be made.
const ROOM: &str = "point TMPDIR at a folder with a short name that can be written to";

/// A folder of this user's alone.
fn folder() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("mobzctl-")
        .tempdir()
        .map_err(|error| Failure::failed("cannot take what ffmpeg encodes", os(&error), ROOM))
}

impl Encoder {
    /// Waits for its end, and says why it failed if it did.
    pub(super) async fn end(mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .await
            .map_err(|error| Failure::failed("cannot wait for ffmpeg", os(&error), "try again"))?;
        if status.success() {
            return Ok(());
        }
        let said: Vec<String> = self.said.await.unwrap_or_default().into();
        let why = if said.is_empty() { status.to_string() } else { said.join("; ") };
        Err(Failure::failed("ffmpeg could not encode the media", why, "check the input: ffmpeg -i FILE"))
    }
}

async fn keep(stderr: Option<ChildStderr>) -> VecDeque<String> {
    let mut kept = VecDeque::new();
    let Some(stderr) = stderr else { return kept };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept
}

fn arguments(input: Input<'_>, plan: &Plan, sockets: &[PathBuf]) -> Vec<OsString> {
    let mut list: Vec<OsString> = ["-hide_banner", "-loglevel", "error", "-nostdin"].map(Into::into).into();
    // `-re` reads no faster than the media plays, also where a pipe brings it faster.
    match input {
        Input::File { path, repeat } => {
            if repeat {
                list.extend(["-stream_loop", "-1"].map(Into::into));
            }
            list.extend(["-re".into(), "-i".into(), path.into()]);
        }
        Input::Pipe => list.extend(["-re", "-i", "pipe:0"].map(Into::into)),
    }
    if plan.heights.is_empty() {
        output(&mut list, plan, None, "pipe:1".into());
    }
    let beside = sockets.iter().map(|socket| {
        let mut url = OsString::from("unix:");
        url.push(socket);
        url
    });
    for (height, url) in plan.heights.iter().zip(std::iter::once("pipe:1".into()).chain(beside)) {
        output(&mut list, plan, Some(*height), url);
    }
    list
}

/// One output: of every one the same frames are keyframes, and the same frames and sound one fragment.
fn output(list: &mut Vec<OsString>, plan: &Plan, height: Option<u32>, url: OsString) {
    let keyframes = (FRAME_RATE * KEYFRAME_SECONDS).to_string();
    let fragment = (u64::from(plan.fragment) * 1_000_000 / u64::from(FRAME_RATE)).to_string();
    let (picture, scale, most) = match height {
        None => ("0:v:0?", format!("'trunc(min({WIDTH_MAX},iw)/2)*2':-2"), "4M".to_owned()),
        Some(height) => {
            ("0:v:0", format!("-2:{height}"), (height * height * BITS_PER_SQUARE_LINE).to_string())
        }
    };
    let scale = format!("scale={scale},format=yuv420p");
    let rate = FRAME_RATE.to_string();
    let encoding: &[&str] = &[
        "-map",
        picture,
        "-map",
        "0:a:0?",
        "-sn",
        "-dn",
        "-vf",
        &scale,
        "-r",
        &rate,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-tune",
        "zerolatency",
        "-bf",
        "0",
        "-g",
        &keyframes,
        "-keyint_min",
        &keyframes,
        "-sc_threshold",
        "0",
        "-x264-params",
        "open-gop=0:force-cfr=1",
        "-maxrate",
        &most,
        "-bufsize",
        &most,
        // Where an input's sound has a hole, as at the seam of a loop, it is filled.
        "-af",
        "aresample=async=1",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        "-ar",
        "48000",
        "-ac",
        "2",
        "-video_track_timescale",
        "90000",
        "-movflags",
        "+cmaf+empty_moov+default_base_moof+frag_keyframe+skip_sidx+skip_trailer",
        "-frag_duration",
        &fragment,
        "-use_editlist",
        "0",
        "-f",
        "mp4",
        "-flush_packets",
        "1",
    ];
    list.extend(encoding.iter().map(Into::into));
    list.push(url);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(list: &[OsString], name: &str, value: &str) -> usize {
        list.windows(2).filter(|pair| pair[0] == name && pair[1] == value).count()
    }

    #[test]
    fn parts_are_whole_frames_and_their_target_is_rounded_up() {
        assert_eq!((frames(333), part_target(frames(333))), (10, 0.334));
        assert_eq!((frames(200), part_target(frames(200))), (6, 0.2));
        assert_eq!(frames(50), 2);
        assert!((sound_target(0.334) - 0.356).abs() < 1e-9);
    }

    #[test]
    fn a_file_is_looped_and_a_pipe_is_not() {
        let plan = Plan::new(Some(333), Vec::new());
        let looped = arguments(Input::File { path: "a.mp4".as_ref(), repeat: true }, &plan, &[]);
        assert_eq!(has(&looped, "-stream_loop", "-1"), 1);
        assert_eq!(has(&looped, "-frag_duration", "333333"), 1);
        assert!(!arguments(Input::Pipe, &plan, &[]).contains(&"-stream_loop".into()));
    }

    #[test]
    fn each_rendition_is_an_output_with_the_same_keyframes_and_fragments() {
        let plan = Plan::new(None, vec![720, 360]);
        let list = arguments(Input::Pipe, &plan, &["/tmp/x/0".into()]);
        assert_eq!((has(&list, "-g", "60"), has(&list, "-frag_duration", "2000000")), (2, 2));
        assert_eq!(has(&list, "-vf", "scale=-2:360,format=yuv420p"), 1);
        assert_eq!(has(&list, "-flush_packets", "1"), 2);
        let urls: Vec<_> = list.iter().filter(|word| *word == "pipe:1" || *word == "unix:/tmp/x/0").collect();
        assert_eq!(urls, ["pipe:1", "unix:/tmp/x/0"]);
    }
}
