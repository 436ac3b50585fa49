//! What a process uses, by `/proc` (proc(5)).

use std::time::Duration;

use crate::error::{Failure, Result};
use crate::stack;

/// Clock ticks a second in `/proc/<pid>/stat`: 100 on every Linux that tokio runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
}

impl Process {
    /// The process that was named, or the one of the local stack of which this is true.
    ///
    /// # Errors
    ///
    /// When the process that was named is not there, or may not be looked at.
    pub(super) fn find(named: Option<u32>, is_of: impl Fn(&stack::Stack) -> bool) -> Result<Option<Self>> {
        let known = || stack::living().into_iter().find(|stack| is_of(stack)).map(|stack| stack.pid);
        let process = named.or_else(known).map(|pid| Self { pid });
        if let Some(Self { pid }) = process.filter(|process| process.memory().is_none()) {
            let why = format!("there is no process {pid} here that may be looked at");
            return Err(Failure::not_found("cannot measure the server", why, "check --pid, or leave it out"));
        }
        Ok(process)
    }

    /// What it is called.
    pub(super) fn name(self) -> Option<String> {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_end().to_owned())
    }

    /// The processes it has started, whichever of its threads did.
    pub(super) fn children(self) -> Vec<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let listed = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids = |list: String| -> Vec<u32> { list.split_whitespace().flat_map(str::parse).collect() };
        listed.flat_map(pids).map(|pid| Self { pid }).collect()
    }

    /// Resident memory in bytes; `None` when there is no such process, or none that may be looked at.
    pub(super) fn memory(self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes << 10)
    }

    /// CPU time used so far, in the kernel and outside it.
    pub(super) fn cpu(self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // The command's name, in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let user: u64 = times.next()?.parse().ok()?;
        let system: u64 = times.next()?.parse().ok()?;
        Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_a_process_that_is_not_there_none() {
        let own = Process { pid: std::process::id() };
        assert!(own.memory().unwrap() > 100 << 10);
        assert!(own.cpu().is_some());
        assert_eq!(Process { pid: u32::MAX }.memory(), None);
    }

    #[test]
    fn what_a_process_starts_is_known_by_name() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = || {
            let children = Process { pid: std::process::id() }.children();
            children.iter().find(|process| process.pid == child.id()).copied().and_then(Process::name)
        };
        // It is there a moment before it has the name of what it runs.
        let is_known = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            name().as_deref() == Some("sleep")
        });
        assert!(is_known, "{:?}", name());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
