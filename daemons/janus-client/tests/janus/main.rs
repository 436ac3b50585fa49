//! Tests against a real Janus, and against one that says what the test tells it to.

mod real;
mod scripted;
mod spawn;
mod support;
