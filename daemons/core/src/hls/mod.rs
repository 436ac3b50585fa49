//! HLS and Low-Latency HLS as pure values: what a publisher sends, what a player is answered.

pub mod data;
pub mod split;
pub mod store;
