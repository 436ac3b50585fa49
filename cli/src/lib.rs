//! The operator's tool: words for people, and JSON for scripts. It holds no rule that the control API
//! does not hold.

pub mod args;
pub mod aws;
pub mod commands;
pub mod complete;
pub mod config;
pub mod confirm;
pub mod context;
pub mod control;
pub mod deploy;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod exit;
pub mod follow;
pub mod keys;
pub mod output;
pub mod progress;
pub mod sse;
pub mod stack;
pub mod wire;
mod yaml;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::exit::Exit;
use crate::output::Output;

/// Runs the command line of this process to its exit code.
pub fn run() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(args::Args::command).complete();
    let args = args::Args::parse();
    let output = Output::new(args.global.output, args.global.quiet, args.global.verbose);
    match commands::run(args, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            Exit::into(failure.exit())
        }
    }
}
