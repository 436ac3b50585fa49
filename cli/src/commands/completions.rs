//! `mobzctl completions`.

use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::args::Shell;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// The variable by which the script asks this binary for candidates.
const VARIABLE: &str = "COMPLETE";

/// Prints the completion script of a shell.
pub fn run(shell: Shell, output: &Output) -> Result<Exit> {
    output.raw(script(shell)?.as_bytes())?;
    Ok(Exit::Done)
}

/// The completion script: it asks `mobzctl` itself, so it knows every command, flag and id there is.
pub fn script(shell: Shell) -> Result<String> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "mobzctl", "mobzctl", "mobzctl", &mut script).map_err(|error| {
        Failure::failed("cannot write the script", error.to_string(), "report this as a bug")
    })?;
    let script = String::from_utf8_lossy(&script);
    Ok(format!("{}\n", script.trim()))
}
