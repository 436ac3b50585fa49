//! A TURN server of the stack's own: coturn on loopback, with a secret made for this run.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mobz_runtime::stun::mapped_address;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::error::{Failure, Result, os};

/// Where it listens after the ports of the stack.
const PORT_OFFSET: u16 = 3;
/// How long it may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is asked.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// How often a free port is looked for that is free for UDP and TCP both.
const PORT_ATTEMPTS_MAX: usize = 20;

/// A running coturn; ended, and its files removed, when dropped.
pub(super) struct TurnServer {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl TurnServer {
    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("turn:127.0.0.1:{}", self.port)
    }

    /// What clients are given: both transports.
    pub(super) fn urls(&self) -> Vec<String> {
        ["udp", "tcp"].map(|transport| format!("{}?transport={transport}", self.url())).into()
    }

    /// The file of the secret it shares with signaling.
    pub(super) fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        // It would be killed anyway; asked first, it frees its relays.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Starts it, and waits until it answers.
pub(super) async fn start(port_base: u16) -> Result<TurnServer> {
    let what = "cannot start the TURN server";
    let failed =
        |error: io::Error| Failure::failed(what, os(&error), "check the space in the temporary folder");
    let port = if port_base == 0 { free_port().map_err(failed)? } else { port_base + PORT_OFFSET };
    let folder = TempDir::with_prefix("mobz-turn-").map_err(failed)?;
    let secret = rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat();
    write(&folder.path().join("secret"), &secret).map_err(failed)?;
    let config = folder.path().join("turnserver.conf");
    write(&config, &configuration(port, &secret, folder.path())).map_err(failed)?;
    let child = command(&config).spawn().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Failure::refused(
                what,
                "turnserver is not on PATH",
                "install it (apt-get install coturn), or leave --turn-server out",
            )
        } else {
            Failure::failed(what, os(&error), "check that it runs: turnserver --version")
        }
    })?;
    let mut server = TurnServer { port, folder, child };
    let deadline = Instant::now() + READY_TIMEOUT;
    while mapped_address(&server.url()).await.is_err() {
        let ended = server.child.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > deadline {
            let said = std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            return Err(Failure::failed(
                what,
                format!("coturn does not answer on port {port}: {last}"),
                "take other ports with --port-base N, or leave --turn-server out",
            ));
        }
        sleep(READY_INTERVAL).await;
    }
    Ok(server)
}

/// coturn, made to end with this process also where that is killed, if the machine can do that.
fn command(config: &Path) -> Command {
    let mut command = if on_path("setpriv") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "turnserver"]);
        command
    } else {
        Command::new("turnserver")
    };
    command
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for mobzctl, which ends coturn when the daemons have ended.
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn configuration(port: u16, secret: &str, folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    [
        "listening-ip=127.0.0.1".to_owned(),
        "relay-ip=127.0.0.1".to_owned(),
        format!("listening-port={port}"),
        "fingerprint".to_owned(),
        "use-auth-secret".to_owned(),
        format!("static-auth-secret={secret}"),
        "realm=mobz".to_owned(),
        "no-tls".to_owned(),
        "no-dtls".to_owned(),
        "no-cli".to_owned(),
        "no-multicast-peers".to_owned(),
        "allow-loopback-peers".to_owned(),
        format!("userdb={}", file("userdb")),
        format!("pidfile={}", file("pid")),
        format!("log-file={}", file("log")),
        "simple-log".to_owned(),
        String::new(),
    ]
    .join("\n")
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn free_port() -> io::Result<u16> {
    for _ in 0..PORT_ATTEMPTS_MAX {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = udp.local_addr()?.port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free for UDP and TCP"))
}
