//! Fetching as a low-latency player does: blocking reloads, each part as it becomes visible.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::RANGE;
use reqwest::{StatusCode, Url};
use tokio::time::sleep;

use super::super::playlist::{self, Media, Resource};
use crate::control::CONNECT_TIMEOUT;
use crate::error::{Failure, Result, chain};

/// How long a request may take beyond what the server may block it: three target durations.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a failed request is made again before the tail ends with its error.
const ATTEMPTS_MAX: u32 = 5;
/// How long it waits between two tries, times the number of the try.
const RETRY_WAIT: Duration = Duration::from_millis(300);
/// The target duration that is assumed before the first playlist.
const TARGET_ASSUMED: f64 = 10.0;

/// One player of one media playlist.
#[derive(Debug)]
pub(super) struct Player {
    http: reqwest::Client,
    url: Url,
    /// What the stream has, each as its multivariant playlist names it; none where there is no such playlist.
    renditions: Vec<String>,
    target_duration: f64,
}

impl Player {
    /// Opens a stream at a multivariant or media playlist; `track` chooses among several.
    pub(super) async fn open(url: Url, track: Option<&str>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("mobzctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::failed(
                    "cannot make an HTTP client",
                    chain(&error),
                    "check the TLS roots of this machine",
                )
            })?;
        let mut player = Self { http, url, renditions: Vec::new(), target_duration: TARGET_ASSUMED };
        let text = player.text(player.url.clone()).await?;
        if let Some(variants) = playlist::variants(&text) {
            let chosen = match track {
                None => variants.first(),
                Some(track) => variants.iter().find(|uri| uri.split('/').any(|piece| piece == track)),
            };
            let uri = chosen.ok_or_else(|| {
                let known = variants.join(", ");
                Failure::not_found(
                    format!("cannot tail track {}", track.unwrap_or_default()),
                    format!("the stream has {known}"),
                    "choose one of them with --track",
                )
            })?;
            player.url = player.resolve(uri)?;
            player.renditions = variants;
        }
        Ok(player)
    }

    /// The media playlist's URL.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// What the stream has, as its multivariant playlist names it.
    pub(super) fn renditions(&self) -> &[String] {
        &self.renditions
    }

    /// The track, where its playlist lies as PROTOCOL.md §6 has it: `<track>/media.m3u8`.
    pub(super) fn track(&self) -> Option<&str> {
        self.url.path_segments()?.rev().nth(1)
    }

    /// The playlist now, or, with `next` (a segment and its part), once that is there.
    pub(super) async fn reload(&mut self, next: Option<(u64, Option<u64>)>) -> Result<Media> {
        let mut url = self.url.clone();
        if let Some((msn, part)) = next {
            let mut query = url.query_pairs_mut();
            query.append_pair("_HLS_msn", &msn.to_string());
            if let Some(part) = part {
                query.append_pair("_HLS_part", &part.to_string());
            }
        }
        let text = self.text(url).await?;
        let media = playlist::media(&text).map_err(|why| {
            Failure::failed(
                format!("cannot read the playlist at {}", self.url),
                why,
                "name the URL of an HLS playlist",
            )
        })?;
        self.target_duration = media.target_duration;
        Ok(media)
    }

    /// Fetches media.
    pub(super) async fn fetch(&self, resource: &Resource) -> Result<Bytes> {
        let url = self.resolve(&resource.uri)?;
        let response = self.get(url, resource.range).await?;
        let url = response.url().clone();
        response.bytes().await.map_err(|error| broken(&url, &error))
    }

    async fn text(&self, url: Url) -> Result<String> {
        let response = self.get(url, None).await?;
        let url = response.url().clone();
        response.text().await.map_err(|error| broken(&url, &error))
    }

    /// A GET, tried again while the server is away or blocked too long.
    async fn get(&self, url: Url, range: Option<(u64, u64)>) -> Result<reqwest::Response> {
        let patience = Duration::from_secs_f64(self.target_duration * 3.0) + ANSWER_TIMEOUT;
        let mut attempt = 1;
        loop {
            let mut request = self.http.get(url.clone()).timeout(patience);
            if let Some((first, length)) = range {
                request = request.header(RANGE, format!("bytes={first}-{}", first + length.max(1) - 1));
            }
            let failure = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => Failure::unreachable(
                    format!("cannot fetch {url}"),
                    "the server had nothing new for three target durations",
                    "see whether the publisher still sends: `mobzctl room inspect`",
                ),
                Ok(response) => return Err(refused(&url, response.status())),
                Err(error) => broken(&url, &error),
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(failure);
            }
            sleep(RETRY_WAIT * attempt).await;
            attempt += 1;
        }
    }

    fn resolve(&self, uri: &str) -> Result<Url> {
        self.url.join(uri).map_err(|error| {
            Failure::failed(
                format!("cannot read the playlist at {}", self.url),
                format!("{uri} is no URI: {error}"),
                "the server must mend it",
            )
        })
    }
}

fn refused(url: &Url, status: StatusCode) -> Failure {
    let what = format!("cannot fetch {url}");
    let why = format!("the server answered {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::not_found(
            what,
            why,
            "check that something is published there (`mobzctl hls push`), or wait for it with --wait 30s",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::refused(what, why, "use the playback URL of a JoinAck: it carries a token")
        }
        _ => Failure::failed(what, why, "look into the server's log"),
    }
}

fn broken(url: &Url, error: &reqwest::Error) -> Failure {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { root.to_string() };
    let why = why.split(" (os error").next().unwrap_or_default().to_lowercase();
    Failure::unreachable(format!("cannot fetch {url}"), why, "check that the origin runs, and the URL")
}
