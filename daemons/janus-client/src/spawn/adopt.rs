//! Taking over a Janus that an earlier process started and left, killed or not.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::process::Process;
use super::{Config, Janus, LOOK_EVERY};

/// How long another may hold the lock: who looks whether it is free holds it for a moment.
const LOCK_MAX: Duration = Duration::from_secs(1);
/// How long Janus may take to say that it is the one that was left.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What must be known of a Janus to take it over; it holds a secret.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    pid: u32,
    listen: SocketAddr,
    admin_listen: Option<SocketAddr>,
    admin_secret: String,
    server_name: String,
    outlives_us: Option<Duration>,
}

impl Janus {
    /// Takes over the Janus that was started in `directory` by a process that has ended, if it still runs; what
    /// it was started with beyond its ports, secret and name is not known, and is `config`'s.
    pub async fn adopt(config: &Config, directory: &Path) -> Option<Self> {
        let directory = &std::path::absolute(directory).ok()?;
        let note: Note = serde_json::from_slice(&fs::read(note_in(directory)).ok()?).ok()?;
        // Whoever holds it looks after its Janus.
        let lock = lock(directory).await.ok()?;
        let process = Process::adopt(note.pid, directory)?;
        let Note { listen, admin_listen, admin_secret, server_name, outlives_us, .. } = note;
        let known = Config { listen, admin_listen, admin_secret, server_name, outlives_us, ..config.clone() };
        let janus = Self { process, config: known, _lock: Some(lock) };
        match janus.is_this_one(Instant::now() + ANSWER_MAX).await {
            Ok(()) => Some(janus),
            Err(error) => {
                tracing::warn!(%error, "a Janus that was left does not answer; it is ended");
                None
            }
        }
    }
}

/// Makes the directory its owner's alone where it is not there, and takes its lock.
pub(super) async fn lock(directory: &Path) -> io::Result<File> {
    let path = super::process::lock_in(directory);
    let deadline = Instant::now() + LOCK_MAX;
    loop {
        if !directory.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => return Ok(file),
            // Who had it before has removed it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another process has its Janus there",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = || Ok::<_, io::Error>(file.metadata()?.ino() == fs::metadata(path)?.ino());
    same().unwrap_or(false)
}

/// Writes down what must be known of it.
pub(super) fn note(directory: &Path, janus: &Janus) -> io::Result<()> {
    let Config { listen, admin_listen, admin_secret, server_name, outlives_us, .. } = janus.config.clone();
    let note = Note { pid: janus.id(), listen, admin_listen, admin_secret, server_name, outlives_us };
    let path = note_in(directory);
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(&note)?)?;
    fs::rename(new, path)
}

fn note_in(directory: &Path) -> PathBuf {
    directory.join("janus.json")
}
