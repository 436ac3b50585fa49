//! `mobzctl status`.

use serde::Serialize;

use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age};
use crate::stack::{self, Stack};

#[derive(Debug, Serialize)]
struct Status {
    stacks: Vec<Stack>,
}

/// Shows the stacks of this machine.
pub fn run(output: &Output) -> Result<Exit> {
    let status = Status { stacks: stack::living() };
    output.document(&status, |output| {
        if status.stacks.is_empty() {
            return "nothing runs here; start a stack with `mobzctl up`".to_owned();
        }
        let rows = status.stacks.iter().map(|stack| {
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
        output.table(["PORT", "PID", "UP", "STORE", "CONTROL", "ORIGIN", "DEMO"], rows.collect())
    })?;
    Ok(Exit::Done)
}
