//! What may go wrong, with Janus' own codes kept.

use std::fmt;
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use crate::id::SessionId;

/// Why a request to Janus has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The WebSocket could not be opened.
    #[error("cannot reach Janus at {url}")]
    Connect {
        /// Where Janus was looked for.
        url: String,
        /// What the WebSocket said.
        #[source]
        source: Box<tungstenite::Error>,
    },
    /// The WebSocket was not open within [`crate::Options::connect_timeout`].
    #[error("Janus at {url} did not open a WebSocket within {within:?}")]
    ConnectTimedOut {
        /// Where Janus was looked for.
        url: String,
        /// How long was waited.
        within: Duration,
    },
    /// There is no connection now; nothing was sent, so the request can be made again later.
    #[error("there is no connection to Janus; {request} was not sent")]
    NotConnected {
        /// The request's name.
        request: &'static str,
    },
    /// The connection went while Janus had the request: whether it was carried out is unknown.
    #[error("the connection to Janus was lost before {request} was answered")]
    Lost {
        /// The request's name.
        request: &'static str,
    },
    /// Janus did not answer in time: whether it was carried out is unknown. A late answer of a plugin
    /// arrives as an event.
    #[error("Janus did not answer {request} within {within:?}")]
    TimedOut {
        /// The request's name.
        request: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// The session went while Janus had the request: it timed out, was destroyed, or Janus is another.
    #[error("session {session} ended before {request} was answered")]
    SessionGone {
        /// The request's name.
        request: &'static str,
        /// The session that is no more.
        session: SessionId,
    },
    /// The client was closed.
    #[error("the client is closed; {request} was not sent")]
    Closed {
        /// The request's name.
        request: &'static str,
    },
    /// The Janus core refused.
    #[error("Janus refused {request}: {reason} ({code})")]
    Janus {
        /// The request's name.
        request: &'static str,
        /// Janus' code.
        code: JanusCode,
        /// Janus' words.
        reason: String,
    },
    /// The VideoRoom plugin refused.
    #[error("VideoRoom refused {request}: {reason} ({code})")]
    VideoRoom {
        /// The request's name.
        request: &'static str,
        /// The plugin's code.
        code: VideoRoomCode,
        /// The plugin's words.
        reason: String,
    },
    /// The request cannot be written as JSON; only a request from outside this crate can be so.
    #[error("{request} cannot be written as a JSON object")]
    Unwritable {
        /// The request's name.
        request: &'static str,
        /// What the writer said.
        #[source]
        source: serde_json::Error,
    },
    /// The answer lacks what it should hold.
    #[error("the answer of Janus to {request} cannot be understood: {answer}")]
    Unexpected {
        /// The request's name.
        request: &'static str,
        /// The answer, cut at [`crate::QUOTE_MAX`] bytes.
        answer: String,
        /// What is wrong with it, where a parser said so.
        #[source]
        source: Option<serde_json::Error>,
    },
}

impl Error {
    /// The VideoRoom plugin's code, if it was the plugin that refused.
    pub fn video_room_code(&self) -> Option<VideoRoomCode> {
        if let Self::VideoRoom { code, .. } = self { Some(*code) } else { None }
    }

    /// The core's code, if it was the core that refused.
    pub fn janus_code(&self) -> Option<JanusCode> {
        if let Self::Janus { code, .. } = self { Some(*code) } else { None }
    }

    /// Whether Janus may have carried the request out although it was not heard to say so.
    pub fn is_unsure(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::TimedOut { .. } | Self::SessionGone { .. } | Self::Unexpected { .. }
        )
    }
}

/// A request that was refused, with the handle it was made on: to try again, or to detach.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused<H> {
    /// The handle, as it was before.
    pub handle: H,
    /// Why.
    #[source]
    pub error: Error,
}

impl<H> From<Refused<H>> for Error {
    fn from(refused: Refused<H>) -> Self {
        refused.error
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $constant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$each])* pub const $constant: Self = Self($value);)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

codes! {
    /// An error code of the Janus core (`apierror.h`).
    JanusCode {
        /// Wrong or missing secret or token.
        UNAUTHORIZED = 403,
        /// The token does not allow this plugin.
        UNAUTHORIZED_PLUGIN = 405,
        /// Something of the transport.
        TRANSPORT = 450,
        /// The message has no request.
        MISSING_REQUEST = 452,
        /// Janus does not know this request.
        UNKNOWN_REQUEST = 453,
        /// Not JSON.
        INVALID_JSON = 454,
        /// JSON, but no object.
        INVALID_JSON_OBJECT = 455,
        /// Something mandatory is missing.
        MISSING_ELEMENT = 456,
        /// This request cannot be made here: without a session, say.
        INVALID_PATH = 457,
        /// There is no such session: it timed out, was destroyed, or Janus has restarted.
        SESSION_NOT_FOUND = 458,
        /// There is no such handle in this session.
        HANDLE_NOT_FOUND = 459,
        /// Janus has no such plugin.
        PLUGIN_NOT_FOUND = 460,
        /// The plugin did not take the handle.
        PLUGIN_ATTACH = 461,
        /// The plugin did not take the message.
        PLUGIN_MESSAGE = 462,
        /// The plugin did not let the handle go.
        PLUGIN_DETACH = 463,
        /// Neither offer nor answer.
        JSEP_UNKNOWN_TYPE = 464,
        /// The SDP does not parse.
        JSEP_INVALID_SDP = 465,
        /// A candidate for a stream that there is not.
        TRICKLE_INVALID_STREAM = 466,
        /// Something has the wrong type.
        INVALID_ELEMENT_TYPE = 467,
        /// A session of this id exists already.
        SESSION_CONFLICT = 468,
        /// An answer to an offer that Janus never made.
        UNEXPECTED_ANSWER = 469,
        /// There is no such token.
        TOKEN_NOT_FOUND = 470,
        /// The peer connection is in no state for this.
        WEBRTC_STATE = 471,
        /// Janus was told to accept no new sessions.
        NOT_ACCEPTING_SESSIONS = 472,
        /// Janus does not know what happened.
        UNKNOWN = 490,
    }
}

codes! {
    /// An error code of the VideoRoom plugin.
    VideoRoomCode {
        /// No message.
        NO_MESSAGE = 421,
        /// Not JSON.
        INVALID_JSON = 422,
        /// The plugin does not know this request, or not on this handle.
        INVALID_REQUEST = 423,
        /// The handle has joined no room yet.
        JOIN_FIRST = 424,
        /// The handle has joined a room already.
        ALREADY_JOINED = 425,
        /// There is no such room.
        NO_SUCH_ROOM = 426,
        /// A room of this id exists already.
        ROOM_EXISTS = 427,
        /// There is no such feed, participant or stream in the room; it may just have left.
        NO_SUCH_FEED = 428,
        /// Something mandatory is missing.
        MISSING_ELEMENT = 429,
        /// Something has a value it cannot have.
        INVALID_ELEMENT = 430,
        /// An answer where an offer belongs, or the other way round.
        INVALID_SDP_TYPE = 431,
        /// As many publish as the room takes. The handle is of no more use: publish on a fresh one.
        PUBLISHERS_FULL = 432,
        /// Wrong or missing secret, pin or token.
        UNAUTHORIZED = 433,
        /// The handle publishes already.
        ALREADY_PUBLISHED = 434,
        /// The handle does not publish.
        NOT_PUBLISHED = 435,
        /// A participant of this id is in the room; after a detach, before it was told `detached`.
        ID_EXISTS = 436,
        /// The SDP cannot be used.
        INVALID_SDP = 437,
        /// The plugin does not know what happened.
        UNKNOWN = 499,
    }
}
