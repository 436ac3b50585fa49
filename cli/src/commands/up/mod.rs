//! `mobzctl up`.

use crate::args::stack::Up;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the whole stack.
pub fn run(_args: Up, _output: &Output) -> Result<Exit> {
    Ok(Exit::Failed)
}
