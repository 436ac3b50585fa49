//! A real coturn.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stack::free_port;
use crate::{Process, SOON};

/// How often coturn is started anew when somebody else took its port.
const PORT_ATTEMPTS_MAX: u32 = 10;

/// A TURN server on 127.0.0.1, with time-limited credentials from a shared secret.
#[derive(Debug)]
pub struct Coturn {
    // Held for what its end does.
    _process: Process,
    directory: TempDir,
    port: u16,
    secret: String,
}

impl Coturn {
    /// Starts one.
    pub fn start() -> Self {
        for _ in 0..PORT_ATTEMPTS_MAX {
            let port = free_port();
            let secret = format!("turn-secret-of-port-{port}");
            let directory =
                tempfile::Builder::new().prefix("mobz-turn-").tempdir().expect("a temporary directory");
            let mut command = Command::new("turnserver");
            command
                .args(["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--fingerprint"])
                .args(["--use-auth-secret", &format!("--static-auth-secret={secret}"), "--realm=mobz.test"])
                .args(["--no-tls", "--no-dtls", "--no-cli", "--no-multicast-peers", "--allow-loopback-peers"])
                .args([
                    "--min-port=49152",
                    "--max-port=65535",
                    "--log-file=turn.log",
                    "--simple-log",
                    "--verbose",
                ])
                .args(["--userdb=turn.db", "--pidfile=turn.pid", &format!("--listening-port={port}")])
                .current_dir(directory.path());
            let mut process = Process::start(&mut command);
            if answers(&mut process, port) {
                return Self { _process: process, directory, port, secret };
            }
        }
        panic!("coturn did not start in {PORT_ATTEMPTS_MAX} tries")
    }

    /// Its URL for clients.
    pub fn url(&self) -> String {
        format!("turn:127.0.0.1:{}?transport=udp", self.port)
    }

    /// How many allocations it has granted so far, by its log.
    pub fn allocations(&self) -> usize {
        let log = std::fs::read_to_string(self.directory.path().join("turn.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("ALLOCATE processed, success")).count()
    }

    /// The secret in a file, as `--turn-secret-file` wants it.
    pub fn secret_file(&self) -> PathBuf {
        let path = self.directory.path().join("secret");
        std::fs::write(&path, &self.secret).expect("a file in the temporary directory");
        path
    }
}

fn answers(process: &mut Process, port: u16) -> bool {
    let deadline = Instant::now() + SOON;
    while process.try_wait().is_none() {
        // It listens on TCP too, and there a port that answers is one that was bound.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        assert!(Instant::now() < deadline, "coturn does not listen after {SOON:?}:\n{}", process.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
