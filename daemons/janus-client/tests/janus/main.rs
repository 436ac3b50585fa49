//! Tests against a real Janus, and against one that says what the test tells it to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails has failed its test")]

mod real;
mod scripted;
mod spawn;
mod support;
