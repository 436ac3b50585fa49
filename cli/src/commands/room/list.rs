//! `mobzctl room list`.

use serde_json::{Value, json};

use super::odd;
use crate::args::room::{List, RoomMode};
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};

/// How many rooms one request asks for with `--all`.
const ALL_PAGE: usize = 1000;

/// Shows the rooms there are.
pub(super) async fn run(args: &List, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let page = if args.all {
        all(&endpoint, args.mode).await?
    } else {
        let limit = usize::try_from(args.limit).unwrap_or(ALL_PAGE);
        endpoint.rooms(args.mode.map(Into::into), args.cursor.as_deref(), limit).await?
    };
    let rooms = page["rooms"].as_array().ok_or_else(|| odd("cannot list rooms"))?;
    output.document(&page, |output| table(output, rooms))?;
    if let Some(cursor) = page["cursor"].as_str() {
        output.note(&format!("there is more: --cursor {cursor}, or --all"));
    }
    Ok(Exit::Done)
}

async fn all(endpoint: &Endpoint, mode: Option<RoomMode>) -> Result<Value> {
    let mut rooms = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut page = endpoint.rooms(mode.map(Into::into), cursor.as_deref(), ALL_PAGE).await?;
        let Value::Array(listed) = page["rooms"].take() else { return Err(odd("cannot list rooms")) };
        rooms.extend(listed);
        let next = page["cursor"].as_str().map(str::to_owned);
        if next.is_none() || next == cursor {
            return Ok(json!({ "rooms": rooms, "cursor": null }));
        }
        cursor = next;
    }
}

pub(in crate::commands) fn table(output: &Output, rooms: &[Value]) -> String {
    if rooms.is_empty() {
        return "no rooms".to_owned();
    }
    let text = |room: &Value, key: &str| match &room[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "-".to_owned(),
    };
    let rows = rooms.iter().map(|room| {
        [
            text(room, "room"),
            text(room, "mode"),
            text(room, "owner"),
            text(room, "participants"),
            text(room, "publishers"),
            text(room, "viewers"),
            text(room, "stations"),
            age(room["createdAt"].as_str().unwrap_or("-")),
        ]
    });
    let heading = ["ROOM", "MODE", "OWNER", "PARTICIPANTS", "PUBLISHERS", "VIEWERS", "STATIONS", "AGE"];
    output.table(heading, rows.collect())
}
