//! The stacks `mobzctl up` runs on this machine: one state file each, locked for as long as it lives.
//!
//! The lock says who is alive, not the process id: ids are used again, and a process that was killed
//! writes nothing. A file without a lock is a leftover and is cleared away by whoever finds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::absolute;

/// How often a new stack tries for its lock while a reader holds it for a moment.
const LOCK_ATTEMPTS_MAX: usize = 50;
/// How long it waits between two tries.
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// What is known of a running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stack {
    /// The process that holds it.
    pub pid: u32,
    /// The control API.
    pub control: String,
    /// Where clients connect.
    pub signal: String,
    /// Where players fetch.
    pub origin: String,
    /// The demo site.
    pub demo: String,
    /// The store, without credentials.
    pub store: String,
    /// The file of keys it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<PathBuf>,
    /// Its munits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub munits: Vec<Munit>,
    /// Where its log goes, when it is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// When it was ready, RFC 3339.
    pub since: String,
    /// The control API's port, which names the stack.
    pub port: u16,
}

/// What is known of a munit of a running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Munit {
    /// Its id.
    pub id: String,
    /// The API of its Janus, as it was when the stack was ready.
    pub janus: String,
}

/// The state file of a stack, held by its process; removed when dropped.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The folder of state files: `$XDG_RUNTIME_DIR/mobz`, else `$XDG_STATE_HOME/mobz`, else
/// `~/.local/state/mobz`; `None` without a home.
pub fn folder() -> Option<PathBuf> {
    absolute("XDG_RUNTIME_DIR")
        .or_else(|| absolute("XDG_STATE_HOME"))
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .map(|base| base.join("mobz"))
}

/// Writes and holds the state file of a stack.
pub fn hold(stack: &Stack) -> io::Result<Held> {
    let folder = folder().ok_or_else(|| io::Error::other("neither XDG_RUNTIME_DIR nor HOME is set"))?;
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("stack-{}.json", stack.port));
    for _ in 0..LOCK_ATTEMPTS_MAX {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(serde_json::to_string_pretty(stack)?.as_bytes())?;
                return Ok(Held { path, _file: file });
            }
            Ok(()) | Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} is held by another process", path.display())))
}

/// The stacks that live, the lowest port first; leftovers of dead ones are removed.
pub fn living() -> Vec<Stack> {
    let Some(entries) = folder().and_then(|folder| fs::read_dir(folder).ok()) else { return Vec::new() };
    let mut stacks: Vec<Stack> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_state(path))
        .filter_map(|path| look(&path))
        .collect();
    stacks.sort_by_key(|stack| stack.port);
    stacks
}

/// Whether this stack still lives.
pub fn lives(stack: &Stack) -> bool {
    living().iter().any(|other| other.port == stack.port && other.pid == stack.pid)
}

fn look(path: &Path) -> Option<Stack> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            serde_json::from_str(&text).ok()
        }
        Ok(()) => {
            if is_at(&file, path) {
                let _ = fs::remove_file(path);
            }
            None
        }
        Err(TryLockError::Error(_)) => None,
    }
}

fn is_state(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
        && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("stack-"))
}

/// Whether the file at `path` is still this one, and not a later one of the same name.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => held.ino() == there.ino() && held.dev() == there.dev(),
        _ => false,
    }
}
