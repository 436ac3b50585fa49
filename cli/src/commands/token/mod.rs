//! `mobzctl token …`.

mod create;

use crate::args::token::Token;
use crate::endpoint::Where;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `token`.
pub fn run(verb: &Token, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Token::Create(args) => create::run(args, place, output),
    }
}
