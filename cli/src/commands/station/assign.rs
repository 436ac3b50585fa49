//! `mobzctl station assign`.

use crate::args::station::Assign;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Moves a station's publisher, after asking.
pub(super) async fn run(args: &Assign, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let to = args.munit.as_ref().map_or_else(|| "another munit".to_owned(), |munit| format!("munit {munit}"));
    confirm(output, args.yes, &format!("the publisher on station {} moves to {to}", args.station))?;
    let station = endpoint.assign(&args.station, args.munit.as_ref()).await?;
    output.document(&station, |output| super::list::table(output, std::slice::from_ref(&station)))?;
    Ok(Exit::Done)
}
