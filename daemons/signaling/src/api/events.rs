//! `GET /v1/events`: every state change as a server-sent event.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Response};
use futures_util::stream::{Stream, unfold};
use mobz_core::signal::Code;
use mobz_core::store::Event;
use mobz_runtime::control::{Control, Time};
use serde_json::{Map, Value};

use super::Problem;
use crate::App;

/// How many events are read at once.
const BATCH_MAX: usize = 256;
/// How long one read waits for the next event.
const WAIT: Duration = Duration::from_secs(5);
/// How long to wait before the store is asked again after it failed.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn stream(
    State(app): State<App>,
    State(control): State<Control>,
    headers: HeaderMap,
) -> Result<Response<impl Stream<Item = Result<Sse, Infallible>>>, Problem> {
    let last = headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|id| id.parse().ok()));
    let from: Option<u64> = match last {
        Some(None) => {
            let detail = "Last-Event-ID is the `seq` of an event, a number";
            return Err(Problem::new(StatusCode::BAD_REQUEST, Code::BadSignal, detail));
        }
        Some(Some(seq)) => Some(seq),
        // Where the log ends now, so that nothing between this answer and the first read is missed.
        None => Some(control.events(None, 1, Duration::ZERO).await?.1),
    };
    let start = Reading { control, from, waiting: VecDeque::new() };
    let events = unfold(start, move |reading| {
        let shutdown = app.shutdown.clone();
        async move { shutdown.run_until_cancelled_owned(reading.next()).await }
    });
    Ok(Response::new(events).keep_alive(KeepAlive::default()))
}

struct Reading {
    control: Control,
    from: Option<u64>,
    waiting: VecDeque<Event>,
}

impl Reading {
    /// The next event; waits for it however long that takes.
    async fn next(mut self) -> (Result<Sse, Infallible>, Self) {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return (Ok(sse(&event)), self);
            }
            match self.control.events(self.from, BATCH_MAX, WAIT).await {
                Ok((events, from)) => (self.waiting, self.from) = (events.into(), Some(from)),
                Err(error) => {
                    tracing::debug!(%error, "events wait for the store");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

fn sse(event: &Event) -> Sse {
    let mut data: Map<String, Value> = serde_json::from_str(&event.data).unwrap_or_default();
    data.insert("at".into(), Time(event.at).to_string().into());
    data.insert("seq".into(), event.seq.into());
    Sse::default().event(&event.name).id(event.seq.to_string()).data(Value::Object(data).to_string())
}
