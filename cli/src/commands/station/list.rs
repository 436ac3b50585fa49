//! `mobzctl station list`.

use serde_json::Value;

use crate::args::station::List;
use crate::commands::munit::{self, Kind};
use crate::commands::room::{odd, word};
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Shows the stations there are.
pub(super) async fn run(args: &List, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let page = munit::page(&endpoint, Kind::Stations, &args.page).await?;
    let stations = page["stations"].as_array().ok_or_else(|| odd("cannot list stations"))?;
    output.document(&page, |output| table(output, stations))?;
    if let Some(cursor) = page["cursor"].as_str() {
        output.note(&format!("there is more: --cursor {cursor}, or --all"));
    }
    Ok(Exit::Done)
}

/// Stations as rows.
pub(super) fn table(output: &Output, stations: &[Value]) -> String {
    if stations.is_empty() {
        return "no stations".to_owned();
    }
    let columns = ["station", "room", "user", "munit", "state", "viewers"];
    let rows = stations.iter().map(|station| columns.map(|column| word(&station[column])));
    output.table(["STATION", "ROOM", "USER", "MUNIT", "STATE", "VIEWERS"], rows.collect())
}
