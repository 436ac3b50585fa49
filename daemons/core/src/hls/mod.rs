//! HLS and Low-Latency HLS as pure values: what a publisher sends, what a player is answered.

pub mod store;
