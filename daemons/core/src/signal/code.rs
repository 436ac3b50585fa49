//! Error codes and the refusal that carries one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why something was refused (PROTOCOL.md §3, error codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum Code {
    BadSignal,
    UnknownSignal,
    TooLarge,
    RateLimited,
    NotJoined,
    AlreadyJoined,
    ResumeFailed,
    Unauthorized,
    Forbidden,
    RoomFull,
    PublishersFull,
    ModeMismatch,
    NoSuchRoom,
    NoSuchUser,
    NoSuchStation,
    NoSuchMunit,
    NotFound,
    NotPublisher,
    NoCapacity,
    MunitUnavailable,
    Timeout,
    MediaError,
    Stale,
    Internal,
}

impl Code {
    /// Whether a connection that earns many of these in a short time is closed (PROTOCOL.md §3:
    /// malformed, unknown, forbidden or over the rate).
    pub const fn is_strike(self) -> bool {
        match self {
            Self::BadSignal
            | Self::UnknownSignal
            | Self::TooLarge
            | Self::RateLimited
            | Self::Unauthorized
            | Self::Forbidden => true,
            Self::NotJoined
            | Self::AlreadyJoined
            | Self::ResumeFailed
            | Self::RoomFull
            | Self::PublishersFull
            | Self::ModeMismatch
            | Self::NoSuchRoom
            | Self::NoSuchUser
            | Self::NoSuchStation
            | Self::NoSuchMunit
            | Self::NotFound
            | Self::NotPublisher
            | Self::NoCapacity
            | Self::MunitUnavailable
            | Self::Timeout
            | Self::MediaError
            | Self::Stale
            | Self::Internal => false,
        }
    }
}

/// A refusal: a code and a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for programs.
    pub code: Code,
    /// Why and what to do, for people.
    pub message: String,
    /// Where in the signal the fault is (`bad_signal`), as `participants[0].user`.
    pub path: Option<String>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal without path or time.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, retry_after: None }
    }

    /// A `bad_signal` at a path.
    pub fn bad(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::new(Code::BadSignal, message) }
    }

    /// The same, with a time after which trying again may help.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}
