//! `mobzctl hls push`.

mod clock;
mod encoder;
mod frames;
mod joiner;
mod publisher;
mod report;
mod source;

use crate::args::hls::Push;
use crate::endpoint::{Place, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Publishes a file or stdin until it ends or is interrupted.
pub(super) async fn run(args: Push, place: &Where, output: &Output) -> Result<Exit> {
    let place = Place::find(place)?;
    let url = place.signal_url(args.signal_url.as_deref())?;
    let source = source::open(&args).await?;
    publisher::publish(&args, &place, url, source, output).await?;
    Ok(Exit::Done)
}
