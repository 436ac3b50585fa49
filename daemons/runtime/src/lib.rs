//! Load, apply, commit, perform; start-up, shutdown, telemetry, clock. May touch core and tokio; no wire format.

pub mod clock;
pub mod config;
pub mod control;
pub mod hub;
pub mod lifecycle;
mod message;
pub mod metrics;
pub mod node;
pub mod streams;
pub mod stun;
#[cfg(feature = "testing")]
pub mod testing;
pub mod views;
