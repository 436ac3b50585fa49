//! `mobzctl down`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::args::stack::Down;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::stack::{self, Stack};

/// How often it looks whether the stack has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize)]
struct Stopped {
    stopped: Vec<Stack>,
}

/// Stops stacks of this machine and waits until they have ended.
pub fn run(args: &Down, output: &Output) -> Result<Exit> {
    let stacks = chosen(args, stack::living())?;
    for stack in &stacks {
        stop(stack, args.timeout, output)?;
    }
    let stopped = Stopped { stopped: stacks };
    output.document(&stopped, |_| {
        if stopped.stopped.is_empty() {
            return "nothing to stop".to_owned();
        }
        let lines = stopped.stopped.iter().map(|stack| format!("stopped the stack at {}", stack.control));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

fn chosen(args: &Down, mut stacks: Vec<Stack>) -> Result<Vec<Stack>> {
    if let Some(port) = args.port_base {
        stacks.retain(|stack| stack.port == port);
    } else if stacks.len() > 1 && !args.all {
        let ports: Vec<_> = stacks.iter().map(|stack| stack.port.to_string()).collect();
        return Err(Failure::refused(
            "did not stop anything",
            format!("{} stacks run here, at ports {}", stacks.len(), ports.join(", ")),
            "name one with --port-base N, or stop them with --all",
        ));
    }
    Ok(stacks)
}

fn stop(stack: &Stack, timeout: Duration, output: &Output) -> Result<()> {
    let what = format!("cannot stop the stack at {}", stack.control);
    let pid = i32::try_from(stack.pid).ok().and_then(Pid::from_raw).ok_or_else(|| {
        Failure::failed(&what, format!("{} is no process id", stack.pid), "remove the file of its state")
    })?;
    let _progress = Progress::waiting(output, format!("waiting for process {} to end", stack.pid));
    if let Err(error) = kill_process(pid, Signal::TERM)
        && stack::lives(stack)
    {
        return Err(Failure::refused(what, os(&error.into()), "run it as the user who started it"));
    }
    let started = Instant::now();
    while stack::lives(stack) {
        if started.elapsed() > timeout {
            return Err(Failure::timed_out(
                what,
                format!("process {} was told to end and still runs", stack.pid),
                format!(
                    "wait longer with --timeout, look into its log, or end it with `kill -9 {}`",
                    stack.pid
                ),
            ));
        }
        sleep(LOOK_INTERVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(port: u16) -> Stack {
        Stack {
            pid: 1,
            control: String::new(),
            signal: String::new(),
            origin: String::new(),
            demo: String::new(),
            store: String::new(),
            keys: None,
            munits: Vec::new(),
            log: None,
            since: String::new(),
            port,
        }
    }

    fn args(port_base: Option<u16>, all: bool) -> Down {
        Down { port_base, all, timeout: Duration::from_secs(1) }
    }

    #[test]
    fn one_of_several_stacks_must_be_named() {
        let two = || vec![stack(1), stack(2)];
        assert_eq!(chosen(&args(None, false), two()).unwrap_err().exit(), Exit::Refused);
        assert_eq!(chosen(&args(Some(2), false), two()).unwrap(), [stack(2)]);
        assert_eq!(chosen(&args(None, true), two()).unwrap().len(), 2);
    }
}
