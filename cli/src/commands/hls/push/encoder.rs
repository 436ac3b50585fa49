//! ffmpeg as the encoder: which flags give clean parts, and what it says when it fails.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::error::{Failure, Result, os};

/// Frames a second of the encoded stream; every part is a whole number of frames.
const FRAME_RATE: u32 = 30;
/// Seconds between keyframes: the target duration, so that every segment begins with one.
const KEYFRAME_SECONDS: u32 = 2;
/// The widest picture, in pixels: what an ordinary machine encodes in real time.
const WIDTH_MAX: u32 = 1280;
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

/// A running ffmpeg.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The process; its stdout is the fMP4.
    pub(super) child: Child,
    said: JoinHandle<VecDeque<String>>,
}

/// How many frames a part of about this many milliseconds has.
pub(super) fn frames(part_ms: u32) -> u32 {
    ((part_ms * FRAME_RATE + 500) / 1000).max(1)
}

/// The part target of parts of so many frames, in seconds, rounded up to a millisecond.
pub(super) fn part_target(frames: u32) -> f64 {
    f64::from((frames * 1000).div_ceil(FRAME_RATE)) / 1000.0
}

/// Starts ffmpeg.
pub(super) fn start(input: Input<'_>, part_ms: u32) -> Result<Encoder> {
    let mut command = Command::new("ffmpeg");
    command
        .args(arguments(input, part_ms))
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
    Ok(Encoder { child, said })
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

fn arguments(input: Input<'_>, part_ms: u32) -> Vec<OsString> {
    let keyframes = (FRAME_RATE * KEYFRAME_SECONDS).to_string();
    let part = (u64::from(frames(part_ms)) * 1_000_000 / u64::from(FRAME_RATE)).to_string();
    let scale = format!("scale='trunc(min({WIDTH_MAX},iw)/2)*2':-2,format=yuv420p");
    let rate = FRAME_RATE.to_string();
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
    let encoding: &[&str] = &[
        "-map",
        "0:v:0?",
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
        "4M",
        "-bufsize",
        "4M",
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
        &part,
        "-use_editlist",
        "0",
        "-f",
        "mp4",
        "-flush_packets",
        "1",
        "pipe:1",
    ];
    list.extend(encoding.iter().map(Into::into));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_frames_and_their_target_is_rounded_up() {
        assert_eq!((frames(333), part_target(frames(333))), (10, 0.334));
        assert_eq!((frames(200), part_target(frames(200))), (6, 0.2));
        assert_eq!(frames(50), 2);
    }

    #[test]
    fn a_file_is_looped_and_a_pipe_is_not() {
        let looped = arguments(Input::File { path: "a.mp4".as_ref(), repeat: true }, 333);
        assert!(looped.windows(2).any(|pair| pair[0] == "-stream_loop" && pair[1] == "-1"));
        assert!(looped.windows(2).any(|pair| pair[0] == "-frag_duration" && pair[1] == "333333"));
        assert!(!arguments(Input::Pipe, 333).contains(&"-stream_loop".into()));
    }
}
