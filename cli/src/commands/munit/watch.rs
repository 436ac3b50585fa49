//! `mobzctl munit watch`.

use serde_json::Value;

use super::Kind;
use crate::args::munit::Watch;
use crate::commands::interrupted;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::follow::{Change, Follower};
use crate::output::{Format, Output};

/// Follows what happens to munits and their stations until it is interrupted.
pub(super) async fn run(args: &Watch, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    // Followed first and looked at second, so that nothing between the two is missed.
    let mut changes = Follower::start(&endpoint, output, None).await?;
    let now = match &args.munit {
        Some(munit) => vec![endpoint.munit(munit).await?],
        None => super::all(&endpoint, Kind::Munits).await?,
    };
    if output.format == Format::Table {
        output.text(&super::list::table(output, &now))?;
        output.text("")?;
    }
    let interrupted = interrupted()?;
    tokio::pin!(interrupted);
    loop {
        let change = tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            change = changes.next() => change?,
        };
        let is_told = change.name.starts_with("munit.") || change.name.starts_with("station.");
        if is_told && args.munit.as_ref().is_none_or(|munit| is_of(&change, munit.as_str())) {
            output.object(&change.all, |output| change.line(output))?;
        }
    }
}

/// Whether a change is of this munit, be it by name or by one of its stations.
fn is_of(change: &Change, munit: &str) -> bool {
    let text = |key: &str| change.all.get(key).and_then(Value::as_str);
    let names = |key: &str| {
        text(key).and_then(|station| station.rsplit_once('-')).is_some_and(|(named, _)| named == munit)
    };
    text("munit") == Some(munit) || ["station", "from", "to"].into_iter().any(names)
}
