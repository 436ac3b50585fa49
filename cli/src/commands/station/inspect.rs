//! `mobzctl station inspect`.

use crate::args::station::Inspect;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Shows one station.
pub(super) async fn run(args: &Inspect, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let station = endpoint.station(&args.station).await?;
    output.document(&station, |output| super::list::table(output, std::slice::from_ref(&station)))?;
    Ok(Exit::Done)
}
