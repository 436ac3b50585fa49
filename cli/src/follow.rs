//! Following events over lost connections: each once, in order, for as long as anyone wants.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use mobz_core::id::RoomId;
use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::sse;

/// How often a lost connection is tried again in a row before following ends with exit code 6.
pub const RECONNECTS_MAX: u32 = 20;
/// How long it waits before the first try.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// How long at most between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// One state change as it is printed: `seq`, `at`, `name` and the details.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its place in the order.
    pub seq: Option<u64>,
    /// What happened.
    pub name: String,
    /// All of it, `name` included.
    pub all: Map<String, Value>,
}

impl Change {
    fn read(event: sse::Event) -> Option<Self> {
        let Ok(Value::Object(data)) = serde_json::from_str(&event.data) else { return None };
        let seq = event.id.as_deref().and_then(|id| id.parse().ok()).or_else(|| data["seq"].as_u64());
        let mut all = Map::new();
        for key in ["seq", "at"] {
            all.extend(data.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        all.insert("name".to_owned(), event.name.clone().into());
        for (key, value) in data {
            all.entry(key).or_insert(value);
        }
        Some(Self { seq, name: event.name, all })
    }

    /// Whether it is of this room.
    pub fn is_of(&self, room: &RoomId) -> bool {
        self.all.get("room").and_then(Value::as_str) == Some(room.as_str())
    }

    /// On one line, for people: `12:00:01.250Z  participant.joined  room=demo user=ann`.
    pub fn line(&self, output: &Output) -> String {
        let at = self.all.get("at").and_then(Value::as_str).unwrap_or("-");
        let details: Vec<String> = self
            .all
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "seq" | "at" | "name"))
            .map(|(key, value)| match value.as_str() {
                Some(text) => format!("{key}={text}"),
                None => format!("{key}={value}"),
            })
            .collect();
        format!("{}  {:<20}  {}", output.dim(at), self.name, details.join(" "))
    }
}

/// Events from an endpoint, one connection after another.
pub struct Follower<'a> {
    endpoint: &'a Endpoint,
    output: &'a Output,
    last: Option<u64>,
    stream: BoxStream<'static, Result<sse::Event>>,
}

impl<'a> Follower<'a> {
    /// Connects; `since` asks for what was kept after that event first.
    pub async fn start(endpoint: &'a Endpoint, output: &'a Output, since: Option<u64>) -> Result<Self> {
        let stream = endpoint.events(since).await?;
        Ok(Self { endpoint, output, last: since, stream })
    }

    /// The next change; waits, and connects again where the connection is lost.
    pub async fn next(&mut self) -> Result<Change> {
        loop {
            match self.stream.next().await {
                Some(Ok(event)) => {
                    let Some(change) = Change::read(event) else { continue };
                    // What was replayed and comes again is told once.
                    if change.seq.is_some() && change.seq <= self.last {
                        continue;
                    }
                    self.last = change.seq.or(self.last);
                    return Ok(change);
                }
                Some(Err(failure)) => self.reconnect(failure).await?,
                None => {
                    let failure = Failure::unreachable(
                        "cannot follow events",
                        "the endpoint ended the connection",
                        "try again",
                    );
                    self.reconnect(failure).await?;
                }
            }
        }
    }

    async fn reconnect(&mut self, mut failure: Failure) -> Result<()> {
        self.output.note(&format!("connection lost ({}); connecting again", failure.why()));
        let mut backoff = BACKOFF_MIN;
        for _ in 0..RECONNECTS_MAX {
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            match self.endpoint.events(self.last).await {
                Ok(stream) => {
                    self.stream = stream;
                    return Ok(());
                }
                Err(again) if again.exit() == Exit::Unreachable => failure = again,
                Err(refused) => return Err(refused),
            }
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn event(data: &str) -> sse::Event {
        sse::Event { id: Some("7".into()), name: "participant.joined".into(), data: data.into() }
    }

    #[test]
    fn a_change_is_one_object_with_its_order_first() {
        let change =
            Change::read(event(r#"{"user":"ann","room":"demo","at":"2026-01-01T00:00:00Z","seq":7}"#))
                .unwrap();
        assert_eq!(change.seq, Some(7));
        assert!(change.is_of(&"demo".parse().unwrap()));
        let line = change.line(&Output::new(Format::Json, true, 0));
        assert_eq!(line, "2026-01-01T00:00:00Z  participant.joined    room=demo user=ann");
    }

    #[test]
    fn data_that_is_no_object_is_no_change() {
        assert_eq!(Change::read(event("ping")), None);
    }
}
