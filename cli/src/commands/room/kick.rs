//! `mobzctl room kick`.

use crate::args::room::Kick;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Removes a participant, after asking.
pub(super) async fn run(args: &Kick, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    confirm(output, args.yes, &format!("{} is removed from room {}", args.user, args.room))?;
    let done = endpoint.kick(&args.room, &args.user, args.reason.as_deref()).await;
    super::removed(done, args.if_exists, output, &format!("kicked {} from room {}", args.user, args.room))
}
