//! `mobzctl config …`.

mod check;

use crate::args::deploy::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `config`.
pub fn run(verb: &Config, output: &Output) -> Result<Exit> {
    match verb {
        Config::Check(args) => check::run(args, output),
    }
}
