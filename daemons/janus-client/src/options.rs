//! How a connection behaves, and its limits.

use std::time::Duration;

/// How many changes of a connection wait for a reader; of more, the oldest are dropped and counted as
/// [`crate::Change::Missed`].
pub const CHANGES_MAX: usize = 64;
/// How many requests wait to be written; who makes another waits, within its time.
pub const QUEUE_MAX: usize = 1024;
/// How many requests may be unanswered at once by default; who makes another waits, within its time.
pub const OUTSTANDING_MAX: usize = 4096;
/// The largest message taken from Janus, in bytes; a larger one costs the connection. The `list` of 20,000
/// rooms fits.
pub const MESSAGE_MAX: usize = 16 << 20;
/// How long Janus may take to read what it is sent before the connection counts as lost.
pub const WRITE_MAX: Duration = Duration::from_secs(10);

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the WebSocket may take to open.
    pub connect_timeout: Duration,
    /// How long a request may take, from the call to the answer, where the call does not say otherwise.
    pub request_timeout: Duration,
    /// How often sessions are kept alive; well below Janus' `session_timeout`. A keepalive that is not
    /// answered within [`Options::request_timeout`] costs the connection: so a silent Janus is noticed
    /// after the sum of both at the latest.
    pub keepalive: Duration,
    /// The pause after the first attempt to connect again that failed; it doubles each time. There is no
    /// jitter, as a Janus has one controller.
    pub backoff_min: Duration,
    /// The longest pause between two attempts. They go on until the client is closed or dropped.
    pub backoff_max: Duration,
    /// How many requests may be unanswered at once; see [`OUTSTANDING_MAX`].
    pub outstanding_max: usize,
    /// Janus' `api_secret`, where it has one.
    pub api_secret: Option<String>,
    /// Janus' `admin_secret`, for the Admin API.
    pub admin_secret: Option<String>,
    /// A token, where Janus runs with `token_auth`.
    pub token: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(5),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            outstanding_max: OUTSTANDING_MAX,
            api_secret: None,
            admin_secret: None,
            token: None,
        }
    }
}
