//! `mobzctl load`.

mod hls;
mod limits;
mod measure;
mod process;
mod relay;
mod series;
mod signaling;
mod webrtc;

use std::future::Future;

use tokio::runtime::Builder;

use crate::args::load::Load;
use crate::commands::block_on;
use crate::endpoint::Where;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;

/// Runs a load test: clients that send on all cores, viewers on one, which leaves the rest to the server.
pub fn run(verb: Load, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Load::Signaling(args) => on_all_cores(signaling::run(*args, place, output)),
        Load::Hls(args) => block_on(hls::run(*args, place, output)),
        Load::Webrtc(args) => on_all_cores(webrtc::run(*args, place, output)),
        Load::Relay => on_all_cores(relay::run(output)),
    }
}

fn on_all_cores<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::failed("cannot start", os(&error), "check the limits of this machine (ulimit -a)")
    })?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}
