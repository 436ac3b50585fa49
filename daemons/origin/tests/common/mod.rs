//! An origin over a memory store, and media from ffmpeg.

#![allow(dead_code, reason = "each test file uses its part of the harness")]
#![allow(clippy::unwrap_used, reason = "a harness has nobody else to report to")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use mobz_core::hls::data::{DataAck, DataKind, DataSignal, PartFields};
use mobz_core::hls::split::{Piece, Splitter};
use mobz_core::hls::stream;
use mobz_core::id::{RoomId, UserId};
use mobz_core::store::Store;
use mobz_origin::{ServeError, Settings};
use mobz_runtime::clock;
use mobz_runtime::streams::{IngestError, Streams};
use mobz_store::MemoryStore;
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long an origin may take to end.
const END_MAX: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// A running origin with one room, `demo`, and its publisher, `ann`.
pub(crate) struct Origin {
    pub(crate) streams: Arc<Streams>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) address: SocketAddr,
    pub(crate) room: RoomId,
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
    publisher: UserId,
    prefix: String,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[], stream::Settings::default()).await
    }

    pub(crate) async fn start_with(flags: &[&str], streams: stream::Settings) -> Self {
        Self::start_on(MemoryStore::new(), flags, streams).await
    }

    pub(crate) async fn start_on(store: Arc<dyn Store>, flags: &[&str], streams: stream::Settings) -> Self {
        let settings = Arguments::parse_from([&["origin"], flags].concat()).settings;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving =
            tokio::spawn(mobz_origin::serve(settings, Arc::clone(&store), listener, shutdown.clone()));
        let streams = Arc::new(Streams::new(Arc::clone(&store), Arc::new(clock::now), streams));
        Self {
            streams,
            store,
            address,
            room: "demo".parse().unwrap(),
            client: Client::builder().no_proxy().build().unwrap(),
            shutdown,
            serving,
            publisher: "ann".parse().unwrap(),
            prefix: "/hls/demo/".to_owned(),
        }
    }

    pub(crate) fn under_token(&mut self, token: &str) {
        self.prefix = format!("/hls/demo/~{token}/");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, self.prefix)
    }

    pub(crate) fn get(&self, path: &str) -> impl Future<Output = reqwest::Response> + use<> {
        let request = self.client.get(self.url(path));
        async move { request.send().await.unwrap() }
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    pub(crate) async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status().as_u16()
    }

    /// A number of `/metrics`; 0 where it is not told.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = self.client.get(format!("http://{}/metrics", self.address)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().parse().unwrap_or(0)
    }

    pub(crate) async fn send(&self, kind: DataKind, payload: Bytes) -> Result<DataAck, IngestError> {
        self.send_on("main", kind, payload).await
    }

    pub(crate) async fn send_on(
        &self,
        track: &str,
        kind: DataKind,
        payload: Bytes,
    ) -> Result<DataAck, IngestError> {
        self.send_through(&self.streams, track, kind, payload).await
    }

    pub(crate) async fn send_through(
        &self,
        streams: &Streams,
        track: &str,
        kind: DataKind,
        payload: Bytes,
    ) -> Result<DataAck, IngestError> {
        let track = track.parse().unwrap();
        let signal = DataSignal { id: Some("1".to_owned()), track, kind, chunk: None, payload };
        streams.ingest(&self.room, &self.publisher, &signal).await
    }

    pub(crate) async fn part(&self, payload: Bytes) -> DataAck {
        self.send(DataKind::Part(PartFields::default()), payload).await.unwrap()
    }

    pub(crate) async fn end(&self) {
        self.send(DataKind::End, Bytes::new()).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(END_MAX, self.serving).await.unwrap().unwrap().unwrap();
    }
}

/// Why an origin with these flags does not start.
pub(crate) async fn refused(flags: &[&str]) -> ServeError {
    let settings = Arguments::parse_from([&["origin"], flags].concat()).settings;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    mobz_origin::serve(settings, MemoryStore::new(), listener, CancellationToken::new()).await.unwrap_err()
}

/// What ffmpeg encoded.
pub(crate) struct Media {
    pub(crate) init: Bytes,
    pub(crate) parts: Vec<Bytes>,
}

/// So many seconds of moving picture and tone in parts of a third of a second, a keyframe every two seconds;
/// `more` are ffmpeg arguments that come after these.
pub(crate) async fn media(seconds: u32, more: &[&str]) -> Media {
    let seconds = seconds.to_string();
    let arguments = "-v error -nostdin -f lavfi -i testsrc2=size=320x240:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 \
         -c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 60 -keyint_min 60 -sc_threshold 0 \
         -x264-params open-gop=0:force-cfr=1 -pix_fmt yuv420p -c:a aac -video_track_timescale 90000 \
         -movflags +cmaf+empty_moov+default_base_moof+frag_keyframe+skip_sidx+skip_trailer \
         -frag_duration 333333 -use_editlist 0 -f mp4";
    let output = Command::new("ffmpeg")
        .args(arguments.split_ascii_whitespace())
        .args(["-t", &seconds])
        .args(more)
        .arg("-")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("ffmpeg must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut splitter = Splitter::new();
    splitter.feed(&output.stdout);
    let (mut init, mut parts) = (None, Vec::new());
    while let Some(piece) = splitter.next_piece().unwrap() {
        match piece {
            Piece::Init(bytes) => init = Some(bytes),
            Piece::Part(bytes) => parts.push(bytes),
        }
    }
    Media { init: init.expect("ffmpeg wrote an init"), parts }
}

/// What ffprobe reads from a URL, every frame of the video counted.
pub(crate) async fn ffprobe(url: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("ffprobe must be installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The type of the first frame that a decoder makes of these bytes; what is cut off after it does not matter.
pub(crate) async fn first_frame(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-select_streams", "v", "-read_intervals", "%+#1"])
        .args(["-show_entries", "frame=pict_type", "-of", "csv=p=0"])
        .arg(file.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("ffprobe must be installed");
    String::from_utf8_lossy(&output.stdout).trim().trim_end_matches(',').to_owned()
}

/// Plays so many seconds of a URL with ffmpeg, without an error; returns how many video frames came.
pub(crate) async fn play(url: &str, seconds: u32) -> u64 {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i", url, "-t", &seconds.to_string()])
        .args(["-map", "0:v", "-f", "framecrc", "-"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("ffmpeg must be installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count() as u64
}
