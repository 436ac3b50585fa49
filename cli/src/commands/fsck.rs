//! `mobzctl fsck`.

use std::io::{self, IsTerminal};

use serde_json::{Value, json};

use super::room::{odd, word};
use crate::args::fsck::Fsck;
use crate::confirm::confirm;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// What this command does, where it fails.
const WHAT: &str = "cannot check";

/// Checks all there is, and mends it where asked to.
pub async fn run(args: &Fsck, place: &Where, output: &Output) -> Result<Exit> {
    if args.repair && !args.yes && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        confirm(output, false, "what is found to be wrong is mended")?;
    }
    let endpoint = Endpoint::open(place).await?;
    let mut checked = check(&endpoint, args.repair && args.yes, output).await?;
    if args.repair && !args.yes && checked.mendable > 0 {
        output.note(&table(output, &checked.findings));
        let noun = if checked.mendable == 1 { "finding is" } else { "findings are" };
        confirm(output, false, &format!("{} {noun} mended", checked.mendable))?;
        checked = check(&endpoint, true, output).await?;
    }
    let Checked { munits, stations, rooms, findings, left, .. } = checked;
    let document = json!({
        "munits": munits, "stations": stations, "rooms": rooms, "findings": findings, "left": left,
    });
    output.document(&document, |output| {
        if findings.is_empty() { "nothing is wrong".to_owned() } else { table(output, &findings) }
    })?;
    output.note(&format!("looked at {munits} munits, {stations} stations and {rooms} rooms"));
    let repair_helps = findings.iter().any(|found| found["outcome"] == "found");
    if repair_helps {
        output.note("mend it with `mobzctl fsck --repair`");
    }
    Ok(if left == 0 { Exit::Done } else { Exit::Failed })
}

/// All pages of a check.
#[derive(Default)]
struct Checked {
    munits: u64,
    stations: u64,
    rooms: u64,
    findings: Vec<Value>,
    /// Those that stand.
    left: usize,
    /// Those that a repair may mend.
    mendable: usize,
}

async fn check(endpoint: &Endpoint, repair: bool, output: &Output) -> Result<Checked> {
    let progress = Progress::waiting(output, "looking");
    let mut checked = Checked::default();
    let mut cursor: Option<String> = None;
    loop {
        let mut page = endpoint.fsck(repair, cursor.as_deref()).await?;
        let count = |key: &str| page[key].as_u64().unwrap_or_default();
        checked.munits += count("munits");
        checked.stations += count("stations");
        checked.rooms += count("rooms");
        let Value::Array(findings) = page["findings"].take() else { return Err(odd(WHAT)) };
        let with = |outcome: &str| findings.iter().filter(|found| found["outcome"] == outcome).count();
        checked.left += with("found") + with("left");
        checked.mendable += with("found");
        checked.findings.extend(findings);
        let next = page["cursor"].as_str().map(str::to_owned);
        progress.say(format!(
            "looked at {} munits, {} stations and {} rooms: {} findings",
            checked.munits,
            checked.stations,
            checked.rooms,
            checked.findings.len()
        ));
        if next.is_none() || next == cursor {
            return Ok(checked);
        }
        cursor = next;
    }
}

fn table(output: &Output, findings: &[Value]) -> String {
    let rows = findings.iter().map(|found| {
        let outcome = word(&found["outcome"]);
        let outcome = match outcome.as_str() {
            "mended" => output.good(&outcome),
            "left" => output.bad(&outcome),
            _ => output.warn(&outcome),
        };
        let message = match found["advice"].as_str() {
            Some(advice) => format!("{}: {advice}", word(&found["message"])),
            None => word(&found["message"]),
        };
        [word(&found["kind"]).replace('_', " "), outcome, message]
    });
    output.table(["FINDING", "OUTCOME", "WHAT"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    #[test]
    fn a_finding_is_a_row_with_what_became_of_it() {
        let findings = [
            json!({"kind": "silent_munit", "munit": "m1", "message": "munit m1 is silent", "outcome": "mended"}),
            json!({"kind": "mute_munit", "munit": "m2", "message": "munit m2 says nothing", "outcome": "left",
                   "advice": "see its log"}),
        ];
        let expected = "\
FINDING       OUTCOME  WHAT
silent munit  mended   munit m1 is silent
mute munit    left     munit m2 says nothing: see its log";
        assert_eq!(table(&Output::new(Format::Json, true, 0), &findings), expected);
    }
}
