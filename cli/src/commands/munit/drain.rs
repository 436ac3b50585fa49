//! `mobzctl munit drain`.

use mobz_core::id::MunitId;
use mobz_runtime::clock;
use mobz_runtime::control::{Draining, Time};

use super::wait::{self, Goal, left, named};
use super::{Kind, odd};
use crate::args::munit::Drain;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Drains munits, and waits for it where asked to.
pub(super) async fn run(args: &Drain, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let munits = if args.all { all(&endpoint).await? } else { args.munits.clone() };
    let mut connections = 0;
    for munit in &munits {
        connections += left(&endpoint.munit(munit).await?);
    }
    let fate = match (args.migrate, args.deadline) {
        (true, None) => "their stations move to other munits".to_owned(),
        (true, Some(after)) => {
            format!("their stations move to other munits, and what is left is cut after {after:?}")
        }
        (false, None) => "they wait for their stations to end".to_owned(),
        (false, Some(after)) => format!("what is left is cut after {after:?}"),
    };
    let what = format!(
        "{} ({connections} stations and watches) {} no new station; {fate}",
        named(&munits),
        if munits.len() == 1 { "takes" } else { "take" }
    );
    confirm(output, args.yes, &what)?;
    let deadline = args.deadline.map(|after| Time(clock::now().after(after)));
    let draining = Draining { deadline, migrate: args.migrate };
    let mut states = Vec::with_capacity(munits.len());
    for munit in &munits {
        states.push(endpoint.drain(munit, &draining).await?);
    }
    wait::end(&endpoint, &munits, states, Goal::Drained, &args.waiting, output).await
}

async fn all(endpoint: &Endpoint) -> Result<Vec<MunitId>> {
    let munits = super::all(endpoint, Kind::Munits).await?;
    let ids = munits.iter().map(|munit| munit["id"].as_str().and_then(|id| id.parse().ok()));
    ids.collect::<Option<_>>().ok_or_else(|| odd("cannot list munits"))
}
