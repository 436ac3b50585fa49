//! A client of the control API (PROTOCOL.md §7).

mod resources;

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use mobz_core::id::{RoomId, UserId};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::error::{Failure, Result, chain};
use crate::exit::Exit;
use crate::sse::{Event, Parser};

/// How long a connection may take to stand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take in all; event streams are exempt.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// What to do where the rules say no.
pub const REFUSED_REMEDY: &str = "do as that says, then try again";

/// Whether a URL leads to this machine.
pub fn is_on_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Talks to one control API.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

impl Client {
    /// A client for the API at `base`, which shows `token` where there is one.
    pub fn new(base: Url, token: Option<String>) -> Result<Self> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("mobzctl/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" && is_on_loopback(&base) {
            // The machine's TLS roots are 150 files to read, and memory that `up` never needs again.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| {
            let why = chain(&error);
            Failure::failed("cannot make an HTTP client", why, "check the TLS roots of this machine")
        })?;
        Ok(Self { http, base, token })
    }

    /// The API's URL.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// `GET /v1/rooms`.
    pub async fn rooms(&self, mode: Option<&str>, cursor: Option<&str>, limit: usize) -> Result<Value> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(mode.map(|mode| ("mode", mode.to_owned())));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let url = self.url(&["v1", "rooms"], &query);
        self.json(Method::GET, url, "cannot list rooms").await
    }

    /// `GET /v1/rooms/{room}`.
    pub async fn room(&self, room: &RoomId) -> Result<Value> {
        let url = self.url(&["v1", "rooms", room.as_str()], &[]);
        self.json(Method::GET, url, &format!("cannot inspect room {room}")).await
    }

    /// `GET /v1/rooms/{room}/hls`.
    pub async fn hls(&self, room: &RoomId) -> Result<Value> {
        let url = self.url(&["v1", "rooms", room.as_str(), "hls"], &[]);
        self.json(Method::GET, url, &format!("cannot look at the stream of room {room}")).await
    }

    /// `DELETE /v1/rooms/{room}`.
    pub async fn close(&self, room: &RoomId) -> Result<()> {
        let url = self.url(&["v1", "rooms", room.as_str()], &[]);
        self.ask(Method::DELETE, url, &format!("cannot close room {room}")).await.map(drop)
    }

    /// `DELETE /v1/rooms/{room}/participants/{user}`.
    pub async fn kick(&self, room: &RoomId, user: &UserId, reason: Option<&str>) -> Result<()> {
        let query: Vec<_> = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
        let url = self.url(&["v1", "rooms", room.as_str(), "participants", user.as_str()], &query);
        self.ask(Method::DELETE, url, &format!("cannot kick {user} from room {room}")).await.map(drop)
    }

    /// `GET /v1/events`: one connection's events, those after `last` first.
    pub async fn events(&self, last: Option<u64>) -> Result<BoxStream<'static, Result<Event>>> {
        let what = "cannot follow events";
        let mut request =
            self.http.get(self.url(&["v1", "events"], &[])).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(what, &error))?;
        let response = self.accepted(response, what).await?;
        let base = self.base.clone();
        let mut parser = Parser::default();
        Ok(response
            .bytes_stream()
            .map(move |bytes| match bytes {
                Ok(bytes) => parser.push(&bytes).into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(Failure::unreachable(
                    what,
                    format!("the connection to {base} broke: {}", chain(&error)),
                    "try again",
                ))],
            })
            .flat_map(futures_util::stream::iter)
            .boxed())
    }

    /// Whether `path` (`healthz`, `readyz`) answers 200; the answer's text where it does not.
    pub async fn probe(&self, path: &str) -> Result<()> {
        let url = self.url(&[path], &[]);
        self.ask(Method::GET, url, &format!("/{path} is not well")).await.map(drop)
    }

    async fn json(&self, method: Method, url: Url, what: &str) -> Result<Value> {
        self.read(self.ask(method, url, what).await?, what).await
    }

    async fn read(&self, response: reqwest::Response, what: &str) -> Result<Value> {
        response.json().await.map_err(|error| {
            Failure::failed(
                what,
                format!("{} did not answer in JSON: {}", self.base, chain(&error)),
                "check that the endpoint is a MobZ control API",
            )
        })
    }

    async fn ask(&self, method: Method, url: Url, what: &str) -> Result<reqwest::Response> {
        self.send(self.http.request(method, url), what).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, what: &str) -> Result<reqwest::Response> {
        self.send_within(ANSWER_TIMEOUT, request, what).await
    }

    async fn send_within(
        &self,
        within: Duration,
        request: reqwest::RequestBuilder,
        what: &str,
    ) -> Result<reqwest::Response> {
        let mut request = request.timeout(within);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(what, &error))?;
        self.accepted(response, what).await
    }

    async fn accepted(&self, response: reqwest::Response, what: &str) -> Result<reqwest::Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(refusal(&self.base, status, &text, what))
    }

    fn unreachable(&self, what: &str, error: &reqwest::Error) -> Failure {
        let (why, exit) = if error.is_timeout() {
            (format!("{} did not answer in time", self.base), Exit::Unreachable)
        } else {
            (format!("{} cannot be reached: {}", self.base, root(error)), Exit::Unreachable)
        };
        Failure::new(
            exit,
            what,
            why,
            "start a stack with `mobzctl up`, or name another endpoint with --endpoint; `mobzctl doctor` checks it",
        )
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// The innermost cause: "connection refused" rather than how it got there.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn refusal(base: &Url, status: StatusCode, text: &str, what: &str) -> Failure {
    let problem: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let code = problem["code"].as_str().unwrap_or_default();
    let words = problem["detail"]
        .as_str()
        .or_else(|| problem["title"].as_str())
        .map_or_else(|| text.trim().chars().take(200).collect(), str::to_owned);
    let why = match (words.is_empty(), code) {
        (true, _) => format!("{base} answered {status}"),
        (false, "") => format!("{words} ({status})"),
        (false, code) => format!("{words} ({code})"),
    };
    let (exit, remedy) = match status {
        StatusCode::UNAUTHORIZED => (
            Exit::Refused,
            "give an admin token with --token or MOBZ_TOKEN (`mobzctl token create --grant admin`)",
        ),
        StatusCode::FORBIDDEN => (Exit::Refused, "use a token with the grant admin"),
        StatusCode::NOT_FOUND if code.is_empty() => {
            (Exit::NotFound, "check that the endpoint is a MobZ control API")
        }
        StatusCode::NOT_FOUND if code == "no_such_munit" => {
            (Exit::NotFound, "see what is there with `mobzctl munit list`")
        }
        StatusCode::NOT_FOUND if code == "no_such_station" => {
            (Exit::NotFound, "see what is there with `mobzctl station list`")
        }
        StatusCode::NOT_FOUND => (Exit::NotFound, "see what is there with `mobzctl room list`"),
        StatusCode::CONFLICT => (Exit::Refused, REFUSED_REMEDY),
        StatusCode::PRECONDITION_FAILED | StatusCode::TOO_MANY_REQUESTS => {
            (Exit::Refused, "wait a moment and try again")
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            (Exit::Failed, "correct what was asked for")
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            (Exit::Unreachable, "see what is wrong with `mobzctl doctor`, then try again")
        }
        _ => (Exit::Failed, "look into the daemon's log"),
    };
    Failure::new(exit, what, why, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        "http://127.0.0.1:7880".parse().unwrap()
    }

    #[test]
    fn loopback_is_known_however_it_is_written() {
        let is_on_loopback = |url: &str| is_on_loopback(&url.parse().unwrap());
        assert!(
            ["http://localhost:1/", "http://127.0.0.2/", "https://[::1]:1/"].into_iter().all(is_on_loopback)
        );
        assert!(!["http://10.0.0.1/", "http://localhost.example.org/"].into_iter().any(is_on_loopback));
    }

    #[test]
    fn a_problem_is_told_in_its_own_words_with_the_exit_code_of_its_kind() {
        let text = r#"{"title":"Not Found","detail":"there is no room demo","code":"no_such_room"}"#;
        let failure = refusal(&base(), StatusCode::NOT_FOUND, text, "cannot inspect room demo");
        assert_eq!(failure.exit(), Exit::NotFound);
        assert_eq!(failure.why(), "there is no room demo (no_such_room)");
    }

    #[test]
    fn an_answer_of_something_else_is_told_by_its_status() {
        let failure = refusal(&base(), StatusCode::BAD_GATEWAY, "", "cannot list rooms");
        assert_eq!(failure.exit(), Exit::Unreachable);
        assert_eq!(failure.why(), "http://127.0.0.1:7880/ answered 502 Bad Gateway");
    }

    #[test]
    fn ids_are_escaped_in_the_path_and_the_bases_own_path_is_kept() {
        let client = Client::new("https://example.org/mobz/".parse().unwrap(), None).unwrap();
        let url = client.url(&["v1", "rooms", "a", "participants", "x@y:1"], &[("reason", "a b".into())]);
        assert_eq!(url.as_str(), "https://example.org/mobz/v1/rooms/a/participants/x@y:1?reason=a+b");
    }
}
