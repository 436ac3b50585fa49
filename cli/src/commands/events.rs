//! `mobzctl events`.

use crate::args::room::Events;
use crate::commands::interrupted;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::follow::Follower;
use crate::output::Output;

/// Follows every state change until it is interrupted.
pub async fn run(args: &Events, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let mut changes = Follower::start(&endpoint, output, args.since).await?;
    output.detail("following events");
    let interrupted = interrupted()?;
    tokio::pin!(interrupted);
    loop {
        let change = tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            change = changes.next() => change?,
        };
        if args.room.as_ref().is_none_or(|room| change.is_of(room)) {
            output.object(&change.all, |output| change.line(output))?;
        }
    }
}
