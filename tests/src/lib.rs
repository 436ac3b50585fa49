//! Harness of the end-to-end tests: real `mobzctl` processes, a WebSocket client that knows only the wire
//! contract, media from ffmpeg, a real coturn. Everything listens on free loopback ports, and everything
//! started here ends with its guard, and with the test process however that ends.
//!
//! The harness reports failures by panicking, with what was said on the wire: a test reads as its story.
#![allow(clippy::panic, reason = "a harness has nobody else to report to")]
#![allow(clippy::missing_panics_doc, reason = "everything here panics when the stack does not do its part")]

mod aws;
mod client;
mod control;
mod janus;
mod media;
mod netns;
mod peer;
mod process;
mod stack;
mod token;
mod turn;

pub use aws::{Aws, Snapshot, mobzctl_at};
pub use client::{Client, End};
pub use control::{Control, EventStream};
pub use janus::Janus;
pub use media::{Fragments, Media};
pub use mobz_runtime::testing::ScriptedMunit;
pub use mobz_store::testing::{Redis, RedisCluster};
pub use netns::is_inside;
pub use peer::{Peer, Picture};
pub use process::{Ended, Process, allow_many_files, eventually};
pub use rustix::process::Signal;
pub use stack::{Stack, mobzctl};
pub use token::Key;
pub use turn::Coturn;

use std::time::Duration;

/// How long anything that should happen soon may take before a test fails. Generous: a test run shares
/// two cores with its own build and browsers.
pub const SOON: Duration = Duration::from_secs(20);
