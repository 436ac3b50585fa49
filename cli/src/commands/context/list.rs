//! `mobzctl context list`.

use serde::Serialize;

use crate::context::{Contexts, LOCAL};
use crate::endpoint::{Place, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct List {
    contexts: Vec<Row>,
}

/// A context without its secrets.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    current: bool,
    endpoint: String,
    /// `token`, `key`, `keys` or `none`.
    access: &'static str,
}

/// Shows all contexts; secrets stay in the file.
pub(super) fn run(output: &Output) -> Result<Exit> {
    let contexts = Contexts::load()?;
    let local = Place::find(&Where { context: Some(LOCAL.to_owned()), ..Where::default() })?;
    let mut rows = vec![Row {
        name: LOCAL.to_owned(),
        current: contexts.current.as_deref().is_none_or(|current| current == LOCAL),
        endpoint: local.shown(),
        access: if local.keys.is_some() { "keys" } else { "none" },
    }];
    rows.extend(contexts.contexts.iter().map(|(name, context)| Row {
        name: name.clone(),
        current: contexts.current.as_ref() == Some(name),
        endpoint: shown(&context.endpoint),
        access: match (&context.token, &context.key, &context.keys) {
            (Some(_), _, _) => "token",
            (None, Some(_), _) => "key",
            (None, None, Some(_)) => "keys",
            (None, None, None) => "none",
        },
    }));
    let list = List { contexts: rows };
    output.document(&list, |output| {
        let rows = list.contexts.iter().map(|row| {
            let mark = if row.current { "*" } else { "" };
            [mark.to_owned(), row.name.clone(), row.endpoint.clone(), row.access.to_owned()]
        });
        output.table(["", "NAME", "ENDPOINT", "ACCESS"], rows.collect())
    })?;
    Ok(Exit::Done)
}

fn shown(endpoint: &str) -> String {
    let place = Where { endpoint: Some(endpoint.to_owned()), ..Where::default() };
    Place::find(&place).map_or_else(|_| endpoint.to_owned(), |place| place.shown())
}
