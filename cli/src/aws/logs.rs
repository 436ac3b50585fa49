//! CloudWatch's logs.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Cloud;
use super::error::{code, failure};
use crate::error::Result;

/// A line that something logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// The log stream: container and task.
    pub stream: String,
    /// What.
    pub text: String,
}

/// Reads a log group from a time on, each line once.
#[derive(Clone, Debug)]
pub struct Tail {
    group: String,
    from: i64,
    /// The lines that would be read again, and their times.
    seen: HashMap<String, i64>,
}

/// For how long after a line others of an earlier time may still come: that far back is read again.
const LATE_MS: i64 = 10_000;

impl Tail {
    /// Reads a group from this time on.
    pub fn new(group: &str, from: Timestamp) -> Self {
        Self { group: group.to_owned(), from: from.as_millisecond(), seen: HashMap::new() }
    }
}

impl Cloud {
    /// The last lines of one stream, the oldest first.
    pub async fn last_lines(&self, group: &str, stream: &str, most: i32) -> Result<Vec<String>> {
        let request = self.logs.get_log_events().log_group_name(group).log_stream_name(stream).limit(most);
        let answer = request.start_from_head(false).send().await;
        let answer = answer.map_err(|error| failure(&format!("cannot read the log {stream}"), &error))?;
        let lines = answer.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
        Ok(lines.map(|line| line.trim_end().to_owned()).collect())
    }

    /// Lines that this reader has not seen yet, in the order of their times.
    pub async fn lines(&self, tail: &mut Tail) -> Result<Vec<Line>> {
        let what = format!("cannot read the logs {}", tail.group);
        let mut lines = Vec::new();
        let mut newest = tail.from;
        let mut token = None;
        loop {
            let request = self.logs.filter_log_events().log_group_name(&tail.group).start_time(tail.from);
            let page = match request.set_next_token(token.take()).send().await {
                Ok(page) => page,
                // A group without streams yet, or none: nothing has been logged.
                Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(lines),
                Err(error) => return Err(failure(&what, &error)),
            };
            for event in page.events.unwrap_or_default() {
                let at = event.timestamp.unwrap_or_default();
                newest = newest.max(at);
                if tail.seen.insert(event.event_id.unwrap_or_default(), at).is_none() {
                    lines.push(Line {
                        at: Timestamp::from_millisecond(at).unwrap_or_default(),
                        stream: event.log_stream_name.unwrap_or_default(),
                        text: event.message.unwrap_or_default().trim_end().to_owned(),
                    });
                }
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        tail.from = tail.from.max(newest - LATE_MS);
        tail.seen.retain(|_, at| *at >= tail.from);
        lines.sort_by_key(|line| line.at);
        Ok(lines)
    }
}
