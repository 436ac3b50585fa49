//! A client of the control API (PROTOCOL.md §7).

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::SOON;

/// The control API of one stack.
#[derive(Clone, Debug)]
pub struct Control {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Control {
    /// The one at this URL.
    pub fn new(base: &str, token: Option<&str>) -> Self {
        Self { http: http_client(), base: base.to_owned(), token: token.map(ToOwned::to_owned) }
    }

    /// The same, with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// `GET path`, which must be answered 200 with JSON.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "GET {path} was answered {body}");
        body
    }

    /// `GET path`, where it is answered 200 with JSON.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.call(Method::GET, path).await;
        (status == StatusCode::OK).then_some(body)
    }

    /// `DELETE path`, which must be answered 204.
    pub async fn delete(&self, path: &str) {
        let (status, body) = self.call(Method::DELETE, path).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "DELETE {path} was answered {body}");
    }

    /// A request that must be refused with this status and a problem (RFC 9457) of this code.
    pub async fn refused(&self, method: Method, path: &str, status: u16, code: &str) {
        let what = format!("{method} {path}");
        let response = self.send(method, path, None).await;
        let (answered, kind) = (response.status(), content_type(&response));
        let body = response.text().await.expect("a body");
        assert_eq!(answered.as_u16(), status, "{what} was answered {body}");
        assert_eq!(kind, "application/problem+json", "{what} was answered {body}");
        let problem: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
        assert_eq!(problem["code"], code, "{what} was answered {body}");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {body}");
        }
    }

    /// Any request; → its status, and its body as JSON where it is some, else as a string.
    pub async fn call(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let response = self.send(method, path, None).await;
        let status = response.status();
        let body = response.text().await.expect("a body");
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// `POST path` with a body, none where it is null; → as [`Control::call`].
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.expect("the control API answers");
        let status = response.status();
        let body = response.text().await.expect("a body");
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Whether `/readyz` says yes; a daemon that does not listen yet is not ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|response| response.status() == StatusCode::OK)
    }

    /// `GET /v1/events`, after this event where one is named.
    pub async fn events(&self, last_event_id: Option<&str>) -> EventStream {
        let response = self.send(Method::GET, "/v1/events", last_event_id).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(content_type(&response), "text/event-stream");
        EventStream { response, buffer: String::new() }
    }

    async fn send(&self, method: Method, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        request.send().await.unwrap_or_else(|error| panic!("{}{path} does not answer: {error}", self.base))
    }
}

/// Server-sent events as they come.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    buffer: String,
}

impl EventStream {
    /// The next event; → its name, its id and its data.
    pub async fn next(&mut self) -> (String, String, Value) {
        let deadline = Instant::now() + SOON;
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| {
                    let mut values =
                        block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    values.next().map(|value| value.trim_start().to_owned())
                };
                if let (Some(name), Some(id), Some(data)) = (field("event"), field("id"), field("data")) {
                    let data = serde_json::from_str(&data)
                        .unwrap_or_else(|error| panic!("the data of event {name} is no JSON: {error}"));
                    return (name, id, data);
                }
            }
            let chunk = timeout_at(deadline, self.response.chunk()).await;
            let chunk = chunk
                .unwrap_or_else(|_| panic!("no further event within {SOON:?}; so far: {:?}", self.buffer));
            let chunk = chunk.expect("the event stream goes on").expect("the event stream does not end");
            self.buffer.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next event of this name, skipping others; → its id and its data.
    pub async fn expect(&mut self, name: &str) -> (String, Value) {
        loop {
            let (found, id, data) = self.next().await;
            if found == name {
                return (id, data);
            }
        }
    }
}

/// An HTTP client that gives up after [`SOON`].
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().timeout(SOON).no_proxy().build().expect("an HTTP client")
}

fn content_type(response: &reqwest::Response) -> String {
    let header = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    header.unwrap_or_default().split(';').next().unwrap_or_default().to_owned()
}
