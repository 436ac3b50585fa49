//! `mobzctl munit list`.

use serde_json::Value;

use super::{Kind, odd};
use crate::args::munit::List;
use crate::commands::room::word;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};

/// Shows the munits there are.
pub(super) async fn run(args: &List, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let page = super::page(&endpoint, Kind::Munits, &args.page).await?;
    let munits = page["munits"].as_array().ok_or_else(|| odd("cannot list munits"))?;
    output.document(&page, |output| table(output, munits))?;
    if let Some(cursor) = page["cursor"].as_str() {
        output.note(&format!("there is more: --cursor {cursor}, or --all"));
    }
    Ok(Exit::Done)
}

/// Munits as rows.
pub(in crate::commands) fn table(output: &Output, munits: &[Value]) -> String {
    if munits.is_empty() {
        return "no munits".to_owned();
    }
    let of = |count: &Value, most: &Value| format!("{}/{}", word(count), word(most));
    let rows = munits.iter().map(|munit| {
        let capacity = &munit["capacity"];
        [
            word(&munit["id"]),
            state(output, &munit["state"]),
            of(&munit["stations"], &capacity["stations"]),
            of(&munit["viewers"], &capacity["viewers"]),
            word(&munit["region"]),
            word(&munit["address"]),
            word(&munit["version"]),
            age(munit["since"].as_str().unwrap_or("-")),
            munit["heartbeatAgeMs"].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        ]
    });
    let heading =
        ["MUNIT", "STATE", "STATIONS", "VIEWERS", "REGION", "ADDRESS", "VERSION", "AGE", "HEARTBEAT"];
    output.table(heading, rows.collect())
}

/// A state in its colour.
pub(super) fn state(output: &Output, state: &Value) -> String {
    let text = word(state);
    match text.as_str() {
        "active" => output.good(&text),
        "lost" => output.bad(&text),
        "draining" | "starting" => output.warn(&text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Format;

    #[test]
    fn a_munit_is_a_row() {
        let munit = json!({
            "id": "m1", "state": "active", "region": "local", "address": "127.0.0.1", "stations": 3,
            "viewers": 12, "capacity": {"stations": 100, "viewers": 1000}, "version": "0.1.0",
            "since": "once", "heartbeatAgeMs": 412
        });
        let text = table(&Output::new(Format::Json, true, 0), &[munit]);
        let expected = "\
MUNIT  STATE   STATIONS  VIEWERS  REGION  ADDRESS    VERSION  AGE   HEARTBEAT
m1     active  3/100     12/1000  local   127.0.0.1  0.1.0    once  412 ms";
        assert_eq!(text, expected);
    }
}
