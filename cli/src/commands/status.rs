//! `mobzctl status`.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::munit::{self, Kind};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};
use crate::stack::{self, Stack};

/// How long a stack may take to tell of its munits.
const ANSWER_MAX: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize)]
struct Status {
    stacks: Vec<Running>,
}

#[derive(Debug, Serialize)]
struct Running {
    #[serde(flatten)]
    stack: Stack,
    /// `null` where the stack does not tell.
    munits: Option<Vec<Value>>,
}

/// Shows the stacks of this machine, with their munits.
pub async fn run(output: &Output) -> Result<Exit> {
    let mut stacks = Vec::new();
    for stack in stack::living() {
        let munits = tokio::time::timeout(ANSWER_MAX, munits(&stack)).await;
        stacks.push(Running { munits: munits.ok().and_then(Result::ok), stack });
    }
    let status = Status { stacks };
    output.document(&status, |output| screen(output, &status.stacks))?;
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
