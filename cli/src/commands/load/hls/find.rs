//! What is loaded: the server, its stream's multivariant playlist and the media playlist in it.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use reqwest::Url;
use tokio::net::lookup_host;

use super::super::limits::WHAT;
use super::tail::{Readings, Tail, path_of, text_of};
use super::wire::{Keep, Line, Server, Trouble};
use crate::args::load::Hls;
use crate::commands::hls::playlist;
use crate::error::{Failure, Result, os};

/// How long a request may take beside what the server may block it: three target durations.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How many target durations a server may block a request, at most.
const BLOCKED_TARGETS_MAX: u32 = 3;

/// A stream that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) server: Server,
    pub(super) multivariant: Option<String>,
    /// The media playlist.
    pub(super) url: Url,
}

impl Found {
    /// Looks for the stream as a player does.
    pub(super) async fn at(url: &Url, args: &Hls) -> Result<Self> {
        let mut server = server(url, args.http2).await?;
        let mut line = Line::new();
        let answer = line.get(&server, &path_of(url), None, Keep::Body).await;
        let text = text_of(&answer.map_err(|trouble| absent(url, &trouble))?);
        let text = text.map_err(|why| unreadable(url, why))?;
        let mut found = Self { server: server.clone(), multivariant: None, url: url.clone() };
        if let Some(variants) = playlist::variants(&text) {
            let track = args.track.as_deref();
            let is_it = |uri: &&String| track.is_none_or(|track| uri.split('/').any(|piece| piece == track));
            let uri = variants.iter().find(is_it).ok_or_else(|| {
                let why = format!("the stream has {}", variants.join(", "));
                let what = format!("there is no track {}", track.unwrap_or_default());
                Failure::not_found(what, why, "choose one of them with --track")
            })?;
            found.multivariant = Some(path_of(url));
            found.url =
                url.join(uri).map_err(|error| unreadable(url, format!("{uri} is no URI: {error}")))?;
        }
        let tail = found.look(&mut line, args).await?;
        server.patience = BLOCKED_TARGETS_MAX * tail.target_duration + ANSWER_MAX;
        found.server = server;
        Ok(found)
    }

    /// Looks whether viewers can do with the media playlist what they are to do.
    async fn look(&self, line: &mut Line, args: &Hls) -> Result<Arc<Tail>> {
        let answer = line.get(&self.server, &path_of(&self.url), None, Keep::Body).await;
        let answer = answer.map_err(|trouble| absent(&self.url, &trouble))?;
        let tail = Readings::new(self.url.clone()).read(&answer).map_err(|why| unreadable(&self.url, why))?;
        if tail.parts.is_empty() || !(tail.can_block || args.saturate) {
            let why = format!("{} lists no parts, or its reloads do not block", self.url);
            return Err(Failure::refused(WHAT, why, "load a low-latency stream"));
        }
        if tail.has_ended && !args.saturate {
            let why = format!("{} has ended", self.url);
            return Err(Failure::refused(WHAT, why, "load a stream while it is live"));
        }
        Ok(tail)
    }
}

async fn server(url: &Url, is_http2: bool) -> Result<Server> {
    if url.scheme() != "http" {
        let why = format!("{url} is not http://, and TLS would cost the viewers more than the server");
        return Err(Failure::usage(WHAT, why, "name the server's plain port"));
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let unknown = |why: String| Failure::unreachable(format!("cannot find {host}"), why, "check the URL");
    let mut addresses =
        lookup_host((host.trim_matches(['[', ']']), port)).await.map_err(|error| unknown(os(&error)))?;
    let address = addresses.next().ok_or_else(|| unknown("it has no address".to_owned()))?;
    let host =
        HeaderValue::from_str(&format!("{host}:{port}")).map_err(|error| unknown(error.to_string()))?;
    Ok(Server { address, host, is_http2, patience: ANSWER_MAX })
}

fn absent(url: &Url, trouble: &Trouble) -> Failure {
    let what = format!("cannot fetch {url}");
    match trouble {
        Trouble::Status(status @ (StatusCode::NOT_FOUND | StatusCode::GONE)) => Failure::not_found(
            what,
            format!("the server answered {status}"),
            "publish something there: `mobzctl hls push`, or --publish FILE",
        ),
        Trouble::Status(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => Failure::refused(
            what,
            format!("the server answered {status}"),
            "use the playback URL of a JoinAck: it carries a token",
        ),
        Trouble::Status(status) => {
            Failure::failed(what, format!("the server answered {status}"), "look into the server's log")
        }
        Trouble::Lost(why) => {
            Failure::unreachable(what, why.clone(), "check that the server runs, and the URL")
        }
    }
}

fn unreadable(url: &Url, why: String) -> Failure {
    Failure::failed(format!("cannot read the playlist at {url}"), why, "name the URL of an HLS playlist")
}
