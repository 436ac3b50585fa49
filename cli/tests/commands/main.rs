//! The built `mobzctl`, as an operator and a script meet it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod completions;
mod config;
mod contexts;
mod help;
mod munits;
mod probe;
mod rooms;
mod seeded;
mod signal;
mod stack;
mod store;
mod streams;
mod support;
mod tokens;
