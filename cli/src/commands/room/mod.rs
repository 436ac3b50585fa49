//! `mobzctl room …`.

mod close;
mod inspect;
mod kick;
mod list;
mod watch;

use crate::args::room::Room;
use crate::endpoint::Where;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

pub(super) use inspect::word;
pub(super) use list::table;

/// Runs a verb of `room`.
pub async fn run(verb: Room, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Room::List(args) => list::run(&args, place, output).await,
        Room::Inspect(args) => inspect::run(&args, place, output).await,
        Room::Watch(args) => watch::run(&args, place, output).await,
        Room::Kick(args) => kick::run(&args, place, output).await,
        Room::Close(args) => close::run(&args, place, output).await,
    }
}

/// What a removal came to, for scripts.
#[derive(Debug, serde::Serialize)]
struct Removed {
    removed: bool,
}

/// Tells of a removal; with `if_exists` what is not there is as good as removed.
pub(super) fn removed(done: Result<()>, if_exists: bool, output: &Output, words: &str) -> Result<Exit> {
    let removed = match done {
        Ok(()) => true,
        Err(failure) if if_exists && failure.exit() == Exit::NotFound => false,
        Err(failure) => return Err(failure),
    };
    output.document(&Removed { removed }, |_| {
        if removed { words.to_owned() } else { "it was not there".to_owned() }
    })?;
    Ok(Exit::Done)
}

/// An answer of the endpoint that does not have the shape it should.
pub(super) fn odd(what: &str) -> Failure {
    Failure::failed(
        what,
        "the endpoint's answer has another shape than this mobzctl knows",
        "compare the versions, or see the answer as it is with --output json",
    )
}
