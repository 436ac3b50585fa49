//! `mobzctl room watch`.

use crate::args::room::Watch;
use crate::commands::interrupted;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::follow::Follower;
use crate::output::{Format, Output};

/// The event that ends a room.
const ENDED: &str = "room.ended";

/// Follows one room until it ends.
pub(super) async fn run(args: &Watch, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    // Followed first and looked at second, so that nothing between the two is missed.
    let mut changes = Follower::start(&endpoint, output, None).await?;
    match endpoint.room(&args.room).await {
        Ok(room) if output.format == Format::Table => {
            output.text(&super::inspect::screen(output, &room))?;
            output.text("")?;
        }
        Ok(_) => {}
        Err(failure) if failure.exit() == Exit::NotFound && args.wait => {
            output.note(&format!("waiting for room {}", args.room));
        }
        Err(failure) => return Err(failure),
    }
    let interrupted = interrupted()?;
    tokio::pin!(interrupted);
    loop {
        let change = tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            change = changes.next() => change?,
        };
        if !change.is_of(&args.room) {
            continue;
        }
        output.object(&change.all, |output| change.line(output))?;
        if change.name == ENDED && !args.wait {
            output.note(&format!("room {} has ended", args.room));
            return Ok(Exit::Done);
        }
    }
}
