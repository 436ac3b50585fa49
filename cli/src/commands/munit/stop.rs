//! `mobzctl munit stop`.

use mobz_core::time::millis;
use mobz_runtime::control::Stopping;

use super::wait::{self, Goal, named};
use crate::args::munit::Stop;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Ends munits, and waits for it where asked to.
pub(super) async fn run(args: &Stop, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let cut = if args.force { ", live calls are cut" } else { "" };
    confirm(output, args.yes, &format!("{} stopped within {:?}{cut}", named(&args.munits), args.grace))?;
    let stopping = Stopping { grace: Some(millis(args.grace)), force: args.force };
    let mut states = Vec::with_capacity(args.munits.len());
    for munit in &args.munits {
        states.push(endpoint.stop(munit, &stopping).await?);
    }
    wait::end(&endpoint, &args.munits, states, Goal::Stopped, &args.waiting, output).await
}
