//! `mobzctl station unassign`.

use crate::args::station::Unassign;
use crate::commands::room::removed;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Takes a station from its munit, after asking.
pub(super) async fn run(args: &Unassign, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    confirm(output, args.yes, &format!("station {} ends, and all that watch it lose it", args.station))?;
    let done = endpoint.unassign(&args.station).await;
    removed(done, args.if_exists, output, &format!("unassigned station {}", args.station))
}
