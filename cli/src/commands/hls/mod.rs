//! `mobzctl hls …`.

pub(in crate::commands) mod playlist;
mod probe;
mod push;
pub(in crate::commands) mod tail;

use crate::args::hls::Hls;
use crate::endpoint::Where;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `hls`.
pub async fn run(verb: Hls, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Hls::Probe(args) => probe::run(args, output).await,
        Hls::Push(args) => push::run(args, place, output).await,
        Hls::Tail(args) => tail::run(args, place, output).await,
    }
}
