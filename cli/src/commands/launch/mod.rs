//! `mobzctl launch …`: one daemon in the foreground, as the containers run it.

mod janus;
mod origin;
mod regulator;
mod signaling;

use mobz_runtime::config::Common;
use tokio::net::TcpListener;

use crate::args::stack::Launch;
use crate::commands::{serve_on, serve_on_one_thread};
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;

/// Runs a daemon until it is asked to end.
pub fn run(daemon: Launch, output: &Output) -> Result<Exit> {
    mobz_runtime::lifecycle::log_to_stderr(level(output));
    match daemon {
        Launch::Signaling(args) => serve_on(signaling::run(args.settings)),
        Launch::Origin(args) => serve_on(origin::run(args.settings)),
        // Its Janus is slower by far.
        Launch::Regulator(args) => serve_on_one_thread(regulator::run(args.settings)),
        Launch::Janus(args) => serve_on(janus::run(args.settings)),
    }
}

fn level(output: &Output) -> &'static str {
    match (output.is_quiet(), output.verbosity()) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    }
}

/// The Redis that a daemon by itself needs: its store is what it shares with the others.
fn redis(common: &Common, daemon: &str) -> Result<String> {
    common.redis.clone().ok_or_else(|| {
        Failure::usage(
            format!("cannot launch {daemon}"),
            "there is no store",
            "name a Redis with --redis URL (MOBZ_REDIS), or run the whole stack in memory with `mobzctl up`",
        )
    })
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::refused(
            format!("cannot listen on {address}"),
            os(&error),
            "end what listens there, or choose another address with --listen ADDR:PORT",
        )
    })
}
