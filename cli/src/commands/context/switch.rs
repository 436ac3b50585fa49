//! `mobzctl context use`.

use crate::args::context::Use;
use crate::context::{Contexts, LOCAL};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Makes a context the one in use.
pub(super) fn run(args: &Use, output: &Output) -> Result<Exit> {
    let mut contexts = Contexts::load()?;
    contexts.current = if args.name == LOCAL {
        None
    } else {
        contexts.get(&args.name)?;
        Some(args.name.clone())
    };
    contexts.save()?;
    output.note(&format!("context {} is in use", args.name));
    Ok(Exit::Done)
}
