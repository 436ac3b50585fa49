//! What a process uses, by `/proc` (proc(5)).

use std::time::Duration;

use serde::Serialize;

/// Clock ticks a second in `/proc/<pid>/stat`: 100 on every Linux that tokio runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
}

/// The memory of a server with and without clients.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    pub(super) pid: u32,
    pub(super) empty_bytes: u64,
    pub(super) idle_bytes: u64,
    pub(super) per_connection_bytes: u64,
}

impl Process {
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
}
