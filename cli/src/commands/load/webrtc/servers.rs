//! The processes under test: their memory and CPU.

use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use super::super::measure::lock;
use super::super::process::Process;
use crate::error::Result;

/// The processes under test.
#[derive(Debug, Default)]
pub(super) struct Servers {
    watched: Vec<Watched>,
    /// The most memory each had.
    peaks: Mutex<Vec<u64>>,
}

#[derive(Debug)]
struct Watched {
    process: Process,
    name: String,
    memory_before: u64,
}

/// What one of them used.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Used {
    pub(super) pid: u32,
    /// What the process is called.
    pub(super) name: String,
    /// Before the first client came.
    pub(super) memory_before_bytes: u64,
    /// The most that a sample a second saw.
    pub(super) memory_peak_bytes: u64,
    /// CPU time in a second of the time measured.
    pub(super) cpu_cores: f64,
}

impl Servers {
    /// Those that were named, else that of the local stack of which this is true; each with what it started.
    ///
    /// # Errors
    ///
    /// When one that was named is not there, or may not be looked at.
    pub(super) fn find(named: &[u32], signal: &str) -> Result<Self> {
        let is_of = |stack: &crate::stack::Stack| stack.signal == signal;
        let mut found = Vec::new();
        for pid in named {
            found.extend(Process::find(Some(*pid), is_of)?);
        }
        if named.is_empty() {
            found.extend(Process::find(None, is_of)?);
        }
        let with_children: Vec<Process> =
            found.into_iter().flat_map(|process| [vec![process], process.children()].concat()).collect();
        let watched: Vec<Watched> = with_children
            .into_iter()
            .filter_map(|process| {
                Some(Watched { process, name: process.name()?, memory_before: process.memory()? })
            })
            .collect();
        let peaks = watched.iter().map(|watched| watched.memory_before).collect();
        Ok(Self { watched, peaks: Mutex::new(peaks) })
    }

    /// The memory of all now, where there are any; it is noted.
    pub(super) fn look(&self) -> Option<u64> {
        let mut peaks = lock(&self.peaks);
        let mut sum = None;
        for (watched, peak) in self.watched.iter().zip(peaks.iter_mut()) {
            let memory = watched.process.memory().unwrap_or_default();
            *peak = memory.max(*peak);
            *sum.get_or_insert(0) += memory;
        }
        sum
    }

    /// The CPU time of each until now.
    pub(super) fn cpu(&self) -> Vec<Duration> {
        self.watched.iter().map(|watched| watched.process.cpu().unwrap_or_default()).collect()
    }

    /// What each used in so many seconds, since it had used `before`.
    pub(super) fn used(&self, before: &[Duration], seconds: f64) -> Vec<Used> {
        let now = self.cpu();
        let peaks = lock(&self.peaks);
        let each = self.watched.iter().zip(peaks.iter()).zip(before.iter().zip(now));
        each.map(|((watched, peak), (before, now))| Used {
            pid: watched.process.pid,
            name: watched.name.clone(),
            memory_before_bytes: watched.memory_before,
            memory_peak_bytes: *peak,
            cpu_cores: now.saturating_sub(*before).as_secs_f64() / seconds,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_named_process_started_is_watched_too() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let servers = Servers::find(&[std::process::id()], "").unwrap();
        let before = servers.cpu();
        assert!(servers.look().is_some_and(|memory| memory > 0));
        let used = servers.used(&before, 1.0);
        assert_eq!(used[0].pid, std::process::id());
        assert!(used.iter().any(|used| used.pid == child.id() && used.memory_peak_bytes > 0), "{used:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Servers::find(&[u32::MAX], "").is_err());
    }
}
