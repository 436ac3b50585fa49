//! `mobzctl munit …`.

mod drain;
mod inspect;
mod list;
mod revive;
mod scale;
mod stop;
mod wait;
mod watch;

pub(super) use list::table;
use serde_json::{Value, json};
pub(super) use wait::left;

use super::room::odd;
use crate::args::munit::{Munit, Page};
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// How many entries one request asks for with `--all`.
const ALL_PAGE: usize = 1000;

/// Runs a verb of `munit`.
pub async fn run(verb: Munit, place: &Where, output: &Output) -> Result<Exit> {
    match verb {
        Munit::List(args) => list::run(&args, place, output).await,
        Munit::Inspect(args) => inspect::run(&args, place, output).await,
        Munit::Drain(args) => drain::run(&args, place, output).await,
        Munit::Revive(args) => revive::run(&args, place, output).await,
        Munit::Stop(args) => stop::run(&args, place, output).await,
        Munit::Scale(args) => scale::run(&args, output).await,
        Munit::Watch(args) => watch::run(&args, place, output).await,
    }
}

/// A list that comes in pages.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Munits,
    Stations,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Munits => "munits",
            Self::Stations => "stations",
        }
    }

    async fn ask(self, endpoint: &Endpoint, cursor: Option<&str>, limit: usize) -> Result<Value> {
        match self {
            Self::Munits => endpoint.munits(cursor, limit).await,
            Self::Stations => endpoint.stations(cursor, limit).await,
        }
    }
}

/// The page that was asked for, or all of them as one.
pub(super) async fn page(endpoint: &Endpoint, kind: Kind, page: &Page) -> Result<Value> {
    if page.all {
        let all = all(endpoint, kind).await?;
        return Ok(json!({ kind.as_str(): all, "cursor": null }));
    }
    let limit = usize::try_from(page.limit).unwrap_or(ALL_PAGE);
    kind.ask(endpoint, page.cursor.as_deref(), limit).await
}

/// All entries, over all pages.
pub(super) async fn all(endpoint: &Endpoint, kind: Kind) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut page = kind.ask(endpoint, cursor.as_deref(), ALL_PAGE).await?;
        let Value::Array(listed) = page[kind.as_str()].take() else {
            return Err(odd(&format!("cannot list {}", kind.as_str())));
        };
        entries.extend(listed);
        let next = page["cursor"].as_str().map(str::to_owned);
        if next.is_none() || next == cursor {
            return Ok(entries);
        }
        cursor = next;
    }
}
