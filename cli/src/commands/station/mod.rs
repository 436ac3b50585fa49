//! `mobzctl station …`.

mod assign;
mod inspect;
mod list;
mod unassign;

use crate::args::station::Station;
use crate::endpoint::Where;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `station`.
pub async fn run(verb: Station, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Station::List(args) => list::run(&args, place, output).await,
        Station::Inspect(args) => inspect::run(&args, place, output).await,
        Station::Assign(args) => assign::run(&args, place, output).await,
        Station::Unassign(args) => unassign::run(&args, place, output).await,
    }
}
