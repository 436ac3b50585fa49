//! `mobzctl context add`.

use crate::args::Global;
use crate::args::context::Add;
use crate::context::{Context, Contexts, LOCAL};
use crate::endpoint::{Place, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// Adds a context, or changes the one of that name.
pub(super) fn run(args: Add, global: &Global, output: &Output) -> Result<Exit> {
    let what = format!("cannot add context {}", args.name);
    if args.name == LOCAL || args.name.is_empty() {
        return Err(Failure::usage(
            what,
            format!("{LOCAL} always means the stack on this machine"),
            "choose another name",
        ));
    }
    let Some(endpoint) = global.endpoint.clone() else {
        return Err(Failure::usage(what, "it has no endpoint", "name one with --endpoint URL"));
    };
    let keys = args.keys.map(std::path::absolute).transpose().map_err(|error| {
        Failure::usage(&what, crate::error::os(&error), "name the file of keys by its full path")
    })?;
    let context = Context { endpoint, token: global.token.clone(), key: args.key, keys };
    // Looked up once, so that a bad URL or key is told now and not at the next command.
    let place = Place::find(&Where { endpoint: Some(context.endpoint.clone()), ..Where::default() })?;
    if let Some(key) = &context.key {
        crate::keys::from_text(key)?;
    }
    if let Some(file) = &context.keys {
        crate::keys::from_file(file)?;
    }
    let mut contexts = Contexts::load()?;
    contexts.contexts.insert(args.name.clone(), context);
    if args.make_current {
        contexts.current = Some(args.name.clone());
    }
    contexts.save()?;
    output.note(&format!("context {} is {}", args.name, place.shown()));
    if !args.make_current {
        output.note(&format!("use it with `mobzctl context use {}`", args.name));
    }
    Ok(Exit::Done)
}
