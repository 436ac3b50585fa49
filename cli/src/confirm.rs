//! Asking before something changes.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::{Failure, Result, os};
use crate::output::Output;

/// Says what will be done and asks on a terminal; without one, `yes` must have been given.
pub fn confirm(output: &Output, yes: bool, what: &str) -> Result<()> {
    if yes {
        output.detail(&format!("{what}."));
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::refused(
            format!("did not go ahead: {what}"),
            "this changes things, and there is no terminal to ask on",
            "add --yes",
        ));
    }
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{what}. Go ahead? [y/N] ").and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    asked
        .and_then(|()| io::stdin().lock().read_line(&mut answer).map(drop))
        .map_err(|error| Failure::refused(format!("did not go ahead: {what}"), os(&error), "add --yes"))?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::refused(
            format!("did not go ahead: {what}"),
            "the answer was no",
            "answer y, or add --yes",
        ))
    }
}
