//! `mobzctl munit revive`.

use super::wait::{self, named};
use crate::args::munit::Revive;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Lets munits take stations again.
pub(super) async fn run(args: &Revive, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let again = if args.munits.len() == 1 { "takes stations again" } else { "take stations again" };
    confirm(output, args.yes, &format!("{} {again}", named(&args.munits)))?;
    let mut states = Vec::with_capacity(args.munits.len());
    for munit in &args.munits {
        states.push(endpoint.revive(munit).await?);
    }
    wait::show(output, &states)
}
