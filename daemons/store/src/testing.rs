//! Real Redis servers for tests: on free loopback ports, nothing saved, gone with their guard, and with
//! the test process however that ends.
//!
//! Starting blocks the calling thread until the server answers, for [`READY_MAX`] at most.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take until it answers, or a cluster until it serves all slots.
pub const READY_MAX: Duration = Duration::from_secs(30);
/// How often another port is tried when somebody else was quicker.
const PORT_ATTEMPTS_MAX: u32 = 20;
/// How long to wait between two looks whether a server is ready.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How many hash slots a Redis Cluster has.
const SLOTS: usize = 16_384;

/// One `redis-server` process; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
}

impl Redis {
    /// Starts a server that is reached without password or TLS.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, in the form of `redis-server`'s command line.
    pub fn start_with(arguments: &[&str]) -> io::Result<Self> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut refused = None;
        for _ in 0..PORT_ATTEMPTS_MAX {
            let directory = tempfile::Builder::new().prefix("mobz-redis-").tempdir()?;
            let mut redis =
                Self { process: None, port: free_port()?, arguments: arguments.clone(), directory };
            match redis.launch() {
                Ok(()) => return Ok(redis),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    /// Where it is reached: `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory, which goes with its guard.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it at once, as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port; it comes back empty.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        let deadline = Instant::now() + READY_MAX;
        loop {
            match self.launch() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    std::thread::sleep(LOOK_EVERY);
                }
                done => return done,
            }
        }
    }

    /// Stops it in its tracks: connections stay open and nothing is answered.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on after [`Redis::freeze`].
    pub fn thaw(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let Some(process) = &self.process else { return Err(io::ErrorKind::NotConnected.into()) };
        let status = Command::new("kill").args([signal, &process.server.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill {signal}: {status}"))) }
    }

    fn launch(&mut self) -> io::Result<()> {
        let log = self.directory.path().join("log");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--protected-mode", "no"])
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.directory.path())
            .arg("--logfile")
            .arg(&log)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(&mut command, self.directory.path())?;
        let deadline = Instant::now() + READY_MAX;
        while !answers(self.port) {
            if let Some(status) = process.server.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let kind = if said.contains("already in use") {
                    io::ErrorKind::AddrInUse
                } else {
                    io::ErrorKind::Other
                };
                return Err(io::Error::new(kind, format!("redis-server ended with {status}: {said}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "redis-server does not answer"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.process = Some(process);
        Ok(())
    }
}

/// A Redis Cluster of three masters, no replicas; killed when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters; each holds a third of the slots.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three servers and joins them.
    pub fn start() -> io::Result<Self> {
        let nodes = (0..3).map(|_| Self::start_node()).collect::<io::Result<Vec<_>>>()?;
        let cluster = Self { nodes };
        cluster.join().map_err(io::Error::other)?;
        Ok(cluster)
    }

    /// Where it is reached: the address of one of its nodes; the others are found through it.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    fn start_node() -> io::Result<Redis> {
        // Named by itself, as the usual bus port (port + 10000) may be taken or past the end.
        let bus = free_port()?.to_string();
        let timeout = ["--cluster-node-timeout", "5000", "--cluster-require-full-coverage", "no"];
        Redis::start_with(&[&["--cluster-enabled", "yes", "--cluster-port", &bus][..], &timeout].concat())
    }

    fn join(&self) -> redis::RedisResult<()> {
        let mut connections = Vec::new();
        for node in &self.nodes {
            connections.push(redis::Client::open(node.url())?.get_connection_with_timeout(READY_MAX)?);
        }
        let share = SLOTS.div_ceil(self.nodes.len());
        for (index, connection) in connections.iter_mut().enumerate() {
            let (first, last) = (index * share, ((index + 1) * share).min(SLOTS) - 1);
            redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last).exec(connection)?;
            redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1).exec(connection)?;
        }
        for node in &self.nodes[1..] {
            let bus = &node.arguments[3];
            let meet = ["MEET", "127.0.0.1", &node.port.to_string(), bus].map(str::to_owned);
            redis::cmd("CLUSTER").arg(&meet).exec(&mut connections[0])?;
        }
        let deadline = Instant::now() + READY_MAX;
        for connection in &mut connections {
            loop {
                let info: String = redis::cmd("CLUSTER").arg("INFO").query(connection)?;
                let known = format!("cluster_known_nodes:{}", self.nodes.len());
                let served = format!("cluster_slots_ok:{SLOTS}");
                if [&*known, &*served, "cluster_state:ok"].iter().all(|line| info.contains(line)) {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, info).into());
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }
}

/// A server and the watchdog that ends it when this process is gone.
#[derive(Debug)]
struct Process {
    server: Child,
    watchdog: Child,
}

impl Process {
    fn start(command: &mut Command, directory: &Path) -> io::Result<Self> {
        let mut server = command.spawn().map_err(|error| {
            let program = command.get_program().to_string_lossy().into_owned();
            io::Error::new(error.kind(), format!("cannot start {program} (install it?): {error}"))
        })?;
        // Its standard input ends when this process does, killed or not.
        let watchdog = Command::new("sh")
            .args(["-c", "read _; kill -9 \"$0\"; sleep 0.1; rm -rf \"$1\"", &server.id().to_string()])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { server, watchdog }),
            Err(error) => {
                end(&mut server);
                Err(error)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: it must not outlive the server and kill whoever gets its id next.
        end(&mut self.watchdog);
        end(&mut self.server);
    }
}

fn end(child: &mut Child) {
    // Failing means that it has ended already.
    drop(child.kill());
    drop(child.wait());
}

fn answers(port: u16) -> bool {
    let Ok(client) = redis::Client::open(format!("redis://127.0.0.1:{port}")) else { return false };
    let Ok(mut connection) = client.get_connection_with_timeout(LOOK_EVERY * 10) else { return false };
    match redis::cmd("PING").exec(&mut connection) {
        Ok(()) => true,
        // Asking for a password is an answer too.
        Err(error) => error.code() == Some("NOAUTH"),
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_dies_with_its_guard_and_returns_on_its_port() {
        let mut redis = Redis::start().unwrap();
        let port = redis.port();
        redis.kill();
        assert!(!answers(port));
        redis.restart().unwrap();
        assert!(answers(port));
        drop(redis);
        assert!(!answers(port));
    }

    #[test]
    fn a_cluster_serves_every_slot() {
        let cluster = RedisCluster::start().unwrap();
        let mut connection = redis::Client::open(cluster.url()).unwrap().get_connection().unwrap();
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
        assert!(info.contains("cluster_slots_ok:16384"), "{info}");
    }
}
