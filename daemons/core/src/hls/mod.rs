//! HLS and Low-Latency HLS as pure values: what a publisher sends, what a player is answered.

mod codecs;
pub mod data;
pub mod fmp4;
pub mod iframes;
pub mod multivariant;
pub mod playlist;
mod reports;
pub mod request;
pub mod split;
pub mod store;
pub mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
