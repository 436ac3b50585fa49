//! `mobzctl context …`.

mod add;
mod list;
mod switch;

use crate::args::Global;
use crate::args::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `context`.
pub fn run(verb: Context, global: &Global, output: &Output) -> Result<Exit> {
    match verb {
        Context::List(_) => list::run(output),
        Context::Use(args) => switch::run(&args, output),
        Context::Add(args) => add::run(args, global, output),
    }
}
