//! A running stack: `mobzctl up`, or one daemon by `mobzctl launch`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::control::http_client;
use crate::{Client, Control, Ended, Process, SOON, eventually};

/// How often a daemon that needs its port named is started anew when somebody else took that port.
const PORT_ATTEMPTS_MAX: u32 = 10;

/// A running stack, ended with everything it started when dropped.
#[derive(Debug)]
pub struct Stack {
    /// The process.
    pub process: Process,
    /// The WebSocket URL of signaling.
    pub signal: String,
    /// The control API's URL, without a slash at its end.
    pub control: String,
    /// The HLS origin's URL, without a slash at its end; empty where there is none.
    pub origin: String,
    /// The demo site's URL; empty where there is none.
    pub demo: String,
    http: reqwest::Client,
}
/// How many ports from the first `mobzctl up` takes.
const PORTS_OF_UP: u16 = 4;

impl Stack {
    /// `mobzctl up` on free ports, in-memory store.
    pub fn up() -> Self {
        Self::up_with(&[])
    }

    /// `mobzctl up` on free ports with further flags.
    pub fn up_with(flags: &[&str]) -> Self {
        Self::up_by(mobzctl().args(flags))
    }

    /// `mobzctl up` on free ports, with the flags and environment that `command` has so far.
    pub fn up_by(command: &mut Command) -> Self {
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut up = mobzctl();
        up.args(["up", "--port-base", "0", "--output", "json"]);
        if !arguments.iter().any(|argument| argument == "--munits") {
            up.args(["--munits", "0"]);
        }
        up.args(arguments);
        up.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::ready(&mut up)
    }

    fn ready(up: &mut Command) -> Self {
        let mut process = Process::start(up);
        let line = process
            .line(SOON)
            .unwrap_or_else(|| panic!("mobzctl up ended without being ready; it logged:\n{}", process.log()));
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("mobzctl up printed no JSON line but {line:?}: {error}"));
        assert_eq!(ready["ready"], true, "{ready}");
        let url = |key: &str| {
            let url = ready[key].as_str().unwrap_or_else(|| panic!("up's line has no {key}: {ready}"));
            url.trim_end_matches('/').to_owned()
        };
        Self {
            http: http_client(),
            signal: url("signal"),
            control: url("control"),
            origin: url("origin"),
            demo: url("demo"),
            process,
        }
    }

    /// Two stacks on one Redis: two nodes of the same service.
    pub fn two_nodes(redis: &str) -> (Self, Self) {
        Self::two_nodes_with(redis, &[])
    }

    /// Two stacks on one Redis, with further flags for both.
    pub fn two_nodes_with(redis: &str, flags: &[&str]) -> (Self, Self) {
        let flags = [&["--redis", redis], flags].concat();
        (Self::up_with(&flags), Self::up_with(&flags))
    }

    /// `mobzctl launch signaling`, the daemon alone, as a container runs it.
    pub async fn signaling(redis: &str, flags: &[&str]) -> Self {
        Self::launch("signaling", &[&["--redis", redis], flags].concat()).await
    }

    /// `mobzctl launch origin`, the daemon alone: its URL is `origin`.
    pub async fn origin(redis: &str, flags: &[&str]) -> Self {
        Self::launch("origin", &[&["--redis", redis], flags].concat()).await
    }

    async fn launch(daemon: &'static str, flags: &[&str]) -> Self {
        for _ in 0..PORT_ATTEMPTS_MAX {
            let mut stack = Self::launch_at(daemon, &format!("127.0.0.1:{}", free_port()), flags);
            if stack.is_ready_or_ended().await {
                return stack;
            }
            let log = stack.process.log();
            assert!(log.contains("in use"), "mobzctl launch {daemon} ended before it was ready:\n{log}");
        }
        panic!("no port was free in {PORT_ATTEMPTS_MAX} tries")
    }

    fn launch_at(daemon: &'static str, listen: &str, flags: &[&str]) -> Self {
        let mut command = mobzctl();
        command.args(["launch", daemon, "--listen", listen]).args(flags);
        let is_origin = daemon == "origin";
        let url = |scheme: &str, path: &str, is_its: bool| {
            if is_its { format!("{scheme}://{listen}{path}") } else { String::new() }
        };
        Self {
            process: Process::start(&mut command),
            signal: url("ws", "/signal", !is_origin),
            control: url("http", "", true),
            origin: url("http", "", is_origin),
            demo: String::new(),
            http: http_client(),
        }
    }

    /// Kills a daemon of [`Stack::signaling`], and starts it again on its port.
    pub async fn killed_and_started_again(mut self, redis: &str, flags: &[&str]) -> Self {
        let listen = self.control.trim_start_matches("http://").to_owned();
        self.process.signal(Signal::KILL);
        self.process.wait(SOON);
        let mut stack = Self::launch_at("signaling", &listen, &[&["--redis", redis], flags].concat());
        assert!(stack.is_ready_or_ended().await, "it did not come back:\n{}", stack.process.log());
        stack
    }

    /// `mobzctl up` with its ports from one that was free a moment ago; → the stack, and that port.
    pub fn up_on_ports_of_its_own() -> (Self, u16) {
        let attempt = |_| {
            let base = free_port();
            let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            (base..=base.checked_add(PORTS_OF_UP)?).all(is_free).then(|| (Self::up_on(base), base))
        };
        (0..PORT_ATTEMPTS_MAX).find_map(attempt).expect("some ports in a row are free")
    }

    /// `mobzctl up` with its ports from this one.
    pub fn up_on(port: u16) -> Self {
        Self::ready(
            mobzctl().args(["up", "--munits", "0", "--output", "json", "--port-base"]).arg(port.to_string()),
        )
    }

    /// A new connection that has not joined.
    pub async fn connect(&self) -> Client {
        Client::connect(&self.signal).await
    }

    /// A new connection that has joined: without keys, `user` as id.
    pub async fn join(&self, room: &str, mode: &str, user: &str) -> Client {
        let mut client = self.connect().await;
        client.join(room, mode, user).await;
        client
    }

    /// The control API, without a token.
    pub fn api(&self) -> Control {
        Control::new(&self.control, None)
    }

    /// `GET url`, whatever the answer; all of it within [`SOON`].
    pub async fn fetch(&self, url: &str) -> reqwest::Response {
        let request = self.http.get(url).send();
        request.await.unwrap_or_else(|error| panic!("{url} does not answer: {error}"))
    }

    /// `mobzctl` with this stack as its endpoint.
    pub fn mobzctl(&self) -> Command {
        let mut command = mobzctl();
        command.args(["--endpoint", &self.control]);
        command
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.wait(SOON)
    }

    async fn is_ready_or_ended(&mut self) -> bool {
        let api = self.api();
        let process = &mut self.process;
        eventually("the daemon was ready, or had ended", async || match process.try_wait() {
            Some(_) => Some(false),
            None => api.is_ready().await.then_some(true),
        })
        .await
    }
}

/// `mobzctl` as it was built beside the running test, with an environment that holds no setting of
/// whoever runs the tests.
pub fn mobzctl() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MOBZ_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("NO_COLOR", "1");
    command
}

fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    // target/<profile>/deps/<test>
    let directory = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let path = directory.join("mobzctl");
    assert!(path.exists(), "there is no {}; build it first: cargo build -p mobzctl", path.display());
    path
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
