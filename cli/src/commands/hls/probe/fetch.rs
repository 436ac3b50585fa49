//! Requests, timed.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, ORIGIN, RANGE};
use reqwest::{StatusCode, Url, Version};
use tokio::time::{Instant, timeout};

use super::super::playlist::Resource;
use crate::control::CONNECT_TIMEOUT;
use crate::error::{Failure, Result, chain};

/// How long an answer may take where nothing has to be waited for.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The most bytes of one answer: far above any segment.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The site that requests say they come from, as a browser would.
const SITE: &str = "https://player.example";

/// Makes requests.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    http: reqwest::Client,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub version: Version,
    pub body: Bytes,
    /// When all of it was there.
    pub ended: Instant,
    /// From the question to the last byte.
    pub took: Duration,
    /// From the first byte of the body to the last.
    pub body_took: Duration,
    /// Where it came from, redirects followed.
    pub url: Url,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It did not come in time.
    Overdue(Duration),
    /// The connection broke.
    Broken(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overdue(after) => write!(f, "no answer in {:.1} s", after.as_secs_f64()),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl Fetcher {
    pub(super) fn new() -> Result<Self> {
        Self::of(reqwest::Client::builder())
    }

    /// One that speaks HTTP/2 from the first byte.
    pub(super) fn http2() -> Result<Self> {
        Self::of(reqwest::Client::builder().http2_prior_knowledge())
    }

    fn of(builder: reqwest::ClientBuilder) -> Result<Self> {
        let http = builder
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
        Ok(Self { http })
    }

    /// A plain GET.
    pub(super) async fn get(&self, url: &Url, within: Duration) -> std::result::Result<Answer, Trouble> {
        self.ask(url, &[], within).await
    }

    /// A GET by a client that takes gzip.
    pub(super) async fn get_gzip(&self, url: &Url) -> std::result::Result<Answer, Trouble> {
        self.ask(url, &[(ACCEPT_ENCODING, "gzip".to_owned())], ANSWER_MAX).await
    }

    /// A GET of media, perhaps of a range of it.
    pub(super) async fn media(
        &self,
        base: &Url,
        resource: &Resource,
        within: Duration,
    ) -> std::result::Result<Answer, Trouble> {
        let url = base.join(&resource.uri);
        let url = url.map_err(|error| Trouble::Broken(format!("{} is no URI: {error}", resource.uri)))?;
        let range = resource.range.map(|(first, length)| {
            (RANGE, format!("bytes={first}-{}", first.saturating_add(length.max(1)).saturating_sub(1)))
        });
        self.ask(&url, range.as_slice(), within).await
    }

    async fn ask(
        &self,
        url: &Url,
        headers: &[(HeaderName, String)],
        within: Duration,
    ) -> std::result::Result<Answer, Trouble> {
        let asked = Instant::now();
        let mut request = self.http.get(url.clone()).header(ORIGIN, SITE);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = async {
            let mut response = request.send().await.map_err(|error| broken(&error))?;
            let (status, headers, version) =
                (response.status(), response.headers().clone(), response.version());
            let url = response.url().clone();
            let mut begun = None;
            let mut body = BytesMut::new();
            while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
                begun.get_or_insert_with(Instant::now);
                body.extend_from_slice(&piece);
                if body.len() > BODY_BYTES_MAX {
                    return Err(Trouble::Broken(format!("more than {BODY_BYTES_MAX} bytes")));
                }
            }
            let ended = Instant::now();
            let body_took = begun.map_or(Duration::ZERO, |begun| ended - begun);
            let took = ended - asked;
            Ok(Answer { status, headers, version, body: body.freeze(), ended, took, body_took, url })
        };
        timeout(within, answer).await.unwrap_or(Err(Trouble::Overdue(within)))
    }
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// A header as text; empty where there is none.
    pub(super) fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn broken(error: &reqwest::Error) -> Trouble {
    let mut root = error.source();
    let mut why = error.to_string();
    while let Some(source) = root {
        why = source.to_string();
        root = source.source();
    }
    Trouble::Broken(why.split(" (os error").next().unwrap_or_default().to_lowercase())
}
