//! `mobzctl outputs`.

use std::collections::BTreeMap;

use super::cloud::Site;
use crate::args::deploy::Outputs;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// Shows what the stacks tell: URLs, names, ids.
pub async fn run(args: &Outputs, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, None).await?;
    let environment = &site.config.environment;
    let stacks = site.find().await?;
    if stacks.is_empty() {
        let why = format!("it has no stack in {}", site.cloud.region);
        return Err(Failure::not_found(
            format!("environment {environment} has no outputs"),
            why,
            "deploy it with `mobzctl deploy`, or name another with --file",
        ));
    }
    let all: BTreeMap<String, String> = stacks.values().flat_map(|stack| stack.outputs.clone()).collect();
    if let Some(name) = &args.name {
        let value = all.get(name).ok_or_else(|| {
            Failure::not_found(
                format!("there is no output {name}"),
                format!("the stacks of {environment} tell none of that name"),
                "see all with `mobzctl outputs`",
            )
        })?;
        output.document(value, |_| value.clone())?;
        return Ok(Exit::Done);
    }
    output.document(&all, |output| {
        let rows = all.iter().map(|(name, value)| [name.clone(), value.clone()]);
        output.table(["OUTPUT", "VALUE"], rows.collect())
    })?;
    Ok(Exit::Done)
}
