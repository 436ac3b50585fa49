//! `mobzctl room close`.

use crate::args::room::Close;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Ends a room, after asking.
pub(super) async fn run(args: &Close, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    confirm(output, args.yes, &format!("room {} ends, and everyone in it is removed", args.room))?;
    let done = endpoint.close(&args.room).await;
    super::removed(done, args.if_exists, output, &format!("closed room {}", args.room))
}
