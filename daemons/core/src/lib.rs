//! The rules of the house, pure: no runtime, no Redis, no clock, no randomness. Time, chance and fresh ids
//! come in as arguments; refusals come out as effects.

pub mod connection;
pub mod fsck;
pub mod hls;
pub mod id;
pub mod munit;
pub mod placement;
pub mod room;
pub mod settings;
pub mod signal;
pub mod store;
pub mod time;
pub mod token;
pub mod turn;
