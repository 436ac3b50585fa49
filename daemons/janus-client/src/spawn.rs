//! A Janus of one's own: its configuration is written, it is started, and it is ended.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use janus_client::spawn::{Config, Janus};
//!
//! let janus = Janus::start(&Config::default(), "/run/my-janus".as_ref()).await?;
//! println!("Janus is at {}", janus.url());
//! janus.stop().await;
//! # Ok(())
//! # }
//! ```

mod adopt;
mod config;
mod process;

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use config::{Config, EVENT_LOOPS};
pub use process::Ended;

use crate::client::Client;
use crate::options::Options;
use process::Process;

/// How long Janus may take until it answers on its port. Its certificate is made anew at each start.
pub const READY_MAX: Duration = Duration::from_secs(30);
/// How long Janus may take to end by itself before it is killed; it takes 30 ms.
pub const STOP_MAX: Duration = Duration::from_secs(5);
/// How often another port is tried where any will do and somebody else was quicker.
pub const PORT_ATTEMPTS_MAX: u32 = 10;
/// How many of Janus' last lines errors quote.
pub const TAIL_LINES_MAX: usize = 30;

/// How long to wait between two looks whether Janus is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why Janus could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("there is no program `janus` on the PATH")]
    NotInstalled,
    /// Its configuration could not be written.
    #[error("cannot write Janus' configuration into {directory}")]
    Configuration {
        /// Where it was to be.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process looks after the Janus it has there.
    #[error("another process has its Janus in {directory}")]
    InUse {
        /// Where.
        directory: PathBuf,
    },
    /// It could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("Janus ended ({ended}) before it was ready; its last lines:\n{tail}")]
    EndedEarly {
        /// How it ended.
        ended: Ended,
        /// What it said last.
        tail: String,
    },
    /// Somebody else has its port: another Janus, or something else.
    #[error("port {address} is not free for Janus; its last lines:\n{tail}")]
    PortTaken {
        /// The port.
        address: SocketAddr,
        /// What it said last.
        tail: String,
    },
    /// It did not answer in time.
    #[error("Janus did not answer at {address} within {READY_MAX:?}; its last lines:\n{tail}")]
    NotReady {
        /// Where it was to answer.
        address: SocketAddr,
        /// What it said last.
        tail: String,
    },
}

/// Finds `janus` on the PATH.
pub fn find() -> Option<PathBuf> {
    on_path("janus")
}

/// A running Janus. Dropping it kills it, but where it was left ([`Janus::leave`]).
#[derive(Debug)]
pub struct Janus {
    process: Process,
    config: Config,
    /// Held for as long as this process looks after it; who takes over waits for it.
    _lock: Option<File>,
}

impl Janus {
    /// Writes the configuration into `directory` (made if it is not there), starts `janus` from the PATH
    /// and waits until it answers, for [`READY_MAX`] at most.
    ///
    /// Where a port of the configuration is 0, a free one is taken; [`Janus::config`] says which.
    pub async fn start(config: &Config, directory: &Path) -> Result<Self, SpawnError> {
        let program = find().ok_or(SpawnError::NotInstalled)?;
        let directory = &std::path::absolute(directory)
            .map_err(|source| SpawnError::Configuration { directory: directory.to_owned(), source })?;
        let any = config.listen.port() == 0 || config.admin_listen.is_some_and(|admin| admin.port() == 0);
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::attempt(&program, config, directory).await {
                Err(SpawnError::PortTaken { .. }) if any && attempts < PORT_ATTEMPTS_MAX => {}
                done => return done,
            }
        }
    }

    /// Where its API is reached: `ws://<address>:<port>/`.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.config.listen)
    }

    /// Where its Admin API is reached, if it has one.
    pub fn admin_url(&self) -> Option<String> {
        self.config.admin_listen.map(|admin| format!("ws://{admin}/"))
    }

    /// What it was started with, its ports and its admin secret among it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has said last, [`TAIL_LINES_MAX`] lines at most.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) -> Ended {
        self.process.ended().await
    }

    /// How it has ended, if it has.
    pub fn try_ended(&self) -> Option<Ended> {
        self.process.try_ended()
    }

    /// Dropping it does not kill it any more: it goes on for as long as [`Config::outlives_us`] says.
    pub fn leave(&self) {
        self.process.leave();
    }

    /// Ends it: by SIGTERM, and by SIGKILL after [`STOP_MAX`]. Its peers are not told: drain it first.
    pub async fn stop(&self) -> Ended {
        self.process.terminate();
        if let Ok(ended) = tokio::time::timeout(STOP_MAX, self.process.ended()).await {
            return ended;
        }
        self.kill().await
    }

    /// Kills it, as a crash would.
    pub async fn kill(&self) -> Ended {
        self.process.kill();
        self.process.ended().await
    }

    async fn attempt(program: &Path, config: &Config, directory: &Path) -> Result<Self, SpawnError> {
        let unwritten = |source: io::Error| {
            let directory = directory.to_owned();
            if source.kind() == io::ErrorKind::ResourceBusy {
                SpawnError::InUse { directory }
            } else {
                SpawnError::Configuration { directory, source }
            }
        };
        let lock = match config.outlives_us {
            Some(_) => Some(adopt::lock(directory).await.map_err(unwritten)?),
            None => None,
        };
        let config = config.clone().with_free_ports().map_err(unwritten)?;
        for address in [Some(config.listen), config.admin_listen].into_iter().flatten() {
            if let Err(error) = TcpListener::bind(address) {
                return Err(SpawnError::PortTaken { address, tail: error.to_string() });
            }
        }
        fs::create_dir_all(directory).map_err(unwritten)?;
        config.write(directory).map_err(unwritten)?;
        let process = Process::run(program, directory, config.outlives_us)
            .map_err(|source| SpawnError::Run { program: program.to_owned(), source })?;
        let janus = Self { process, config, _lock: lock };
        janus.ready().await?;
        if janus.config.outlives_us.is_some() {
            adopt::note(directory, &janus).map_err(unwritten)?;
        }
        Ok(janus)
    }

    async fn ready(&self) -> Result<(), SpawnError> {
        let deadline = Instant::now() + READY_MAX;
        for address in [Some(self.config.listen), self.config.admin_listen].into_iter().flatten() {
            loop {
                if let Some(ended) = self.process.try_ended() {
                    return Err(SpawnError::EndedEarly { ended, tail: self.tail() });
                }
                // A Janus that cannot have its port says so and goes on without.
                if self.process.has_said("FATAL") {
                    return Err(SpawnError::PortTaken { address, tail: self.tail() });
                }
                if tokio::net::TcpStream::connect(address).await.is_ok() {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(SpawnError::NotReady { address, tail: self.tail() });
                }
                sleep(LOOK_EVERY).await;
            }
        }
        self.is_this_one(deadline).await
    }

    /// Whether it is this Janus that answers, and not one that was there already.
    async fn is_this_one(&self, deadline: Instant) -> Result<(), SpawnError> {
        let address = self.config.listen;
        let not_ready = || SpawnError::NotReady { address, tail: self.tail() };
        let asking = async {
            let client = Client::connect(&self.url(), Options::default()).await.ok()?;
            client.info().await.ok()
        };
        let info = tokio::time::timeout_at(deadline, asking).await.ok().flatten().ok_or_else(not_ready)?;
        if info.server_name.as_deref() == Some(self.config.server_name.as_str()) {
            Ok(())
        } else {
            Err(SpawnError::PortTaken { address, tail: self.tail() })
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|program| program.is_file())
}
