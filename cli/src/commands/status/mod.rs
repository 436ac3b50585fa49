//! `mobzctl status`.

mod environment;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::munit::{self, Kind};
use crate::args::stack::Status as Args;
use crate::config::FILE;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};
use crate::stack::{self, Stack};

/// How long a stack may take to tell of its munits.
const ANSWER_MAX: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize)]
struct Status {
    stacks: Vec<Running>,
    /// Only where a configuration names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<environment::Environment>,
}

#[derive(Debug, Serialize)]
struct Running {
    #[serde(flatten)]
    stack: Stack,
    /// `null` where the stack does not tell.
    munits: Option<Vec<Value>>,
}

/// Shows the stacks of this machine, with their munits, and the environment on AWS.
pub async fn run(args: &Args, place: &Where, output: &Output) -> Result<Exit> {
    let default = Some(Path::new(FILE)).filter(|file| file.exists());
    let environment = match (args.file.as_deref(), default) {
        (Some(file), _) => Some(environment::look(file, args.watch, place, output).await?),
        // Asked for, if only by --watch: then it must be there.
        (None, Some(file)) if args.watch => Some(environment::look(file, true, place, output).await?),
        (None, Some(file)) => match environment::look(file, false, place, output).await {
            Ok(environment) => Some(environment),
            Err(failure) => {
                output.note(&format!("the environment of {FILE} is not shown: {}", failure.why()));
                None
            }
        },
        (None, None) => None,
    };
    let mut stacks = Vec::new();
    for stack in stack::living() {
        let munits = tokio::time::timeout(ANSWER_MAX, munits(&stack)).await;
        stacks.push(Running { munits: munits.ok().and_then(Result::ok), stack });
    }
    let status = Status { stacks, environment };
    output.document(&status, |output| match &status.environment {
        Some(environment) if status.stacks.is_empty() => environment.text(output),
        Some(environment) => format!("{}\n\n{}", screen(output, &status.stacks), environment.text(output)),
        None => screen(output, &status.stacks),
    })?;
    Ok(Exit::Done)
}

async fn munits(stack: &Stack) -> Result<Vec<Value>> {
    munit::all(&Endpoint::of(stack)?, Kind::Munits).await
}

fn screen(output: &Output, stacks: &[Running]) -> String {
    if stacks.is_empty() {
        return "nothing runs here; start a stack with `mobzctl up`".to_owned();
    }
    let rows = stacks.iter().map(|Running { stack, .. }| {
        [
            stack.port.to_string(),
            stack.pid.to_string(),
            age(&stack.since),
            stack.store.clone(),
            stack.control.clone(),
            stack.origin.clone(),
            stack.demo.clone(),
        ]
    });
    let mut text = output.table(["PORT", "PID", "UP", "STORE", "CONTROL", "ORIGIN", "DEMO"], rows.collect());
    for Running { stack, munits } in stacks {
        match munits.as_deref() {
            Some([]) => {}
            Some(munits) => {
                let heading = output.bold(&format!("munits of {}", stack.port));
                let _ = write!(text, "\n\n{heading}\n{}", munit::table(output, munits));
            }
            None => {
                let _ = write!(text, "\n\nthe stack on port {} does not tell of its munits", stack.port);
            }
        }
    }
    text
}
