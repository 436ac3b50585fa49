//! `mobzctl munit inspect`.

use std::fmt::Write;

use serde_json::Value;

use super::list::state;
use crate::args::munit::Inspect;
use crate::commands::media;
use crate::commands::room::word;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};

/// Shows one munit.
pub(super) async fn run(args: &Inspect, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let munit = endpoint.munit_inspected(&args.munit).await?;
    output.document(&munit, |output| screen(output, &munit))?;
    Ok(Exit::Done)
}

fn screen(output: &Output, munit: &Value) -> String {
    let mut text = String::new();
    let capacity = &munit["capacity"];
    let facts = [
        ("munit", word(&munit["id"])),
        ("state", state(output, &munit["state"])),
        ("region", word(&munit["region"])),
        ("address", word(&munit["address"])),
        ("version", word(&munit["version"])),
        ("age", age(munit["since"].as_str().unwrap_or("-"))),
        ("heartbeat", munit["heartbeatAgeMs"].as_u64().map_or("-".to_owned(), |ms| format!("{ms} ms ago"))),
        ("stations", format!("{} of {}", word(&munit["stations"]), word(&capacity["stations"]))),
        ("viewers", format!("{} of {}", word(&munit["viewers"]), word(&capacity["viewers"]))),
    ];
    for (label, fact) in facts {
        let _ = writeln!(text, "{label:<11}{fact}");
    }
    if let Some(deadline) = munit["deadline"].as_str() {
        let _ = writeln!(text, "{:<11}{deadline}", "deadline");
    }
    if munit["migrate"] == true {
        let _ = writeln!(text, "{:<11}live stations move to other munits", "migrating");
    }
    if let Some(assigned) = munit["assigned"].as_array().filter(|list| !list.is_empty()) {
        let rows = assigned.iter().map(|station| {
            let [bitrate, lost, codecs, layers] = media::columns(&station["media"]);
            [
                word(&station["station"]),
                word(&station["room"]),
                word(&station["user"]),
                station["since"].as_str().map_or_else(|| "-".to_owned(), age),
                word(&station["viewers"]),
                bitrate,
                lost,
                codecs,
                layers,
            ]
        });
        let [bitrate, lost, codecs, layers] = media::HEADING;
        let heading = ["STATION", "ROOM", "USER", "THERE FOR", "VIEWERS", bitrate, lost, codecs, layers];
        let table = output.table(heading, rows.collect());
        let _ = write!(text, "\n{}\n{table}\n", output.bold("stations"));
    }
    text
}
