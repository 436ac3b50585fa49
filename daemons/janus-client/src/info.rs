//! What Janus says of itself.

use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::event::Raw;
use crate::wire::read;

/// The answer to `info`.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The version, `"1.1.2"` say.
    pub version: String,
    /// The version as a number that can be compared, 1102 say.
    pub version_number: u32,
    /// The server's name, as configured.
    pub server_name: Option<String>,
    /// How long a silent session lives, in seconds; 0 is for ever.
    pub session_timeout: u64,
    /// How long a session without a transport can be claimed, in seconds; 0 is not at all.
    pub reclaim_session_timeout: u64,
    /// Whether `create` is refused ([`crate::Admin::accept_new_sessions`]).
    pub accepting_new_sessions: bool,
    /// How many event loops handles share; `None` when each has a thread of its own.
    pub event_loops: Option<u32>,
    /// All of it.
    pub raw: Raw,
}

impl ServerInfo {
    pub(crate) fn read(request: &'static str, text: &Utf8Bytes) -> Result<Self, Error> {
        let wire: Wire = read(request, text)?;
        Ok(Self {
            version: wire.version_string,
            version_number: wire.version,
            server_name: wire.server_name,
            session_timeout: wire.session_timeout,
            reclaim_session_timeout: wire.reclaim_session_timeout,
            accepting_new_sessions: wire.accepting_new_sessions,
            event_loops: wire.static_event_loops,
            raw: Raw(text.clone()),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Wire {
    version: u32,
    #[serde(rename = "version_string")]
    version_string: String,
    server_name: Option<String>,
    #[serde(default)]
    session_timeout: u64,
    #[serde(default)]
    reclaim_session_timeout: u64,
    #[serde(default = "yes")]
    accepting_new_sessions: bool,
    static_event_loops: Option<u32>,
}

fn yes() -> bool {
    true
}
