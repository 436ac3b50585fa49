//! The images of templates/images, run as an environment runs them: as a user that may nothing, on a file system that
//! is not written to, a munit's two containers in a network of their own. `scripts/images` builds them and runs this.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]
#![allow(clippy::large_futures, reason = "a test's future holds its clients; it runs once")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mobz_tests::{Client, Control, Key, Peer, Process, eventually, is_inside};
use serde_json::json;

/// The addresses of this side and of the munit's, in a network that nobody else has.
const HERE: &str = "10.98.0.1";
const THERE: &str = "10.98.0.2";
/// Where Redis listens, and what it wants to hear.
const REDIS: &str = "redis://:a-password-of-this-test@10.98.0.1:6379";
const TURN_SECRET: &str = "a-secret-of-signaling-and-coturn";
/// As long as ECS gives a munit to end.
const STOP_MAX: Duration = Duration::from_secs(120);
const ROOM: &str = "call";

#[tokio::test]
async fn media_flow_through_a_munit_of_two_containers() {
    if !is_inside("media_flow_through_a_munit_of_two_containers") {
        return;
    }
    let key = Key::test();
    let keys = json!({ &key.kid: &key.secret }).to_string();
    let munit = Network::start();
    let _redis = redis();

    let mut turn = Container::run("coturn", None, &[("TURN_SECRET", TURN_SECRET), ("TURN_ADDRESS", HERE)]);
    turn.is_healthy().await;
    let turn_url = format!("turn:{HERE}:3478?transport=udp");
    let mut signaling = Container::run(
        "signaling",
        None,
        &[
            ("MOBZ_REDIS", REDIS),
            ("MOBZ_KEYS", &keys),
            ("MOBZ_TURN", &turn_url),
            ("MOBZ_TURN_SECRET", TURN_SECRET),
        ],
    );
    signaling.is_healthy().await;
    let mut origin = Container::run("origin", None, &[("MOBZ_REDIS", REDIS), ("MOBZ_KEYS", &keys)]);
    origin.is_healthy().await;

    // Janus learns its address of coturn, and the regulator the secret of the Admin API of the volume.
    let mut janus = Container::run(
        "janus-media-server",
        Some(&munit),
        &[
            ("MOBZ_PUBLIC_IP", "stun"),
            ("MOBZ_STUN_SERVER", &format!("{HERE}:3478")),
            ("MOBZ_RTP_PORTS", "20000-20099"),
        ],
    );
    janus.is_healthy().await;
    let mut regulator =
        Container::run("regulator", Some(&munit), &[("MOBZ_REDIS", REDIS), ("MOBZ_MUNIT", "m1")]);
    regulator.is_healthy().await;

    let api = Control::new("http://127.0.0.1:7880", Some(&key.admin()));
    let listed = eventually("the munit is there", async || {
        let munits = api.get("/v1/munits").await;
        (munits["munits"][0]["state"] == "active").then_some(munits)
    });
    assert_eq!(listed.await["munits"][0]["id"], "m1");

    let (mut ann, ack) = joined(&key, "ann", true).await;
    assert_eq!(ack["iceServers"][0]["urls"][0], turn_url.as_str());
    let (mut bob, _) = joined(&key, "bob", false).await;
    let (sends, offer) = Peer::publisher().await;
    let answer = ann.done(json!({ "type": "Offer", "sdp": offer })).await;
    let sdp = answer["sdp"].as_str().unwrap();
    assert!(sdp.contains(THERE), "Janus is reached where the munit is:\n{sdp}");
    sends.accept(sdp);
    let station = answer["station"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/stations/{station}")).await["munit"], "m1");

    let watched = bob.done(json!({ "type": "Watch", "station": station })).await;
    let (sees, answer) = Peer::viewer(watched["sdp"].as_str().unwrap()).await;
    bob.done(json!({ "type": "Answer", "station": station, "sdp": answer })).await;
    sees.sees(30).await;
    assert_eq!(sees.lost(), 0);

    // In the order in which ECS stops them: what depends on another first.
    for container in [&mut regulator, &mut janus, &mut origin, &mut signaling, &mut turn] {
        assert_eq!(container.user(), "10001", "{}", container.name);
        container.ends_when_asked();
    }
}

async fn joined(key: &Key, user: &str, publish: bool) -> (Client, serde_json::Value) {
    let mut client = Client::connect("ws://127.0.0.1:7880/signal").await;
    let token = key.participant(ROOM, user, &["publish", "watch"]);
    let ack =
        client.join_with(json!({ "room": ROOM, "mode": "m2m", "token": token, "publish": publish })).await;
    (client, ack)
}

fn redis() -> Process {
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        HERE,
        "--port",
        "6379",
        "--save",
        "",
        "--requirepass",
        "a-password-of-this-test",
    ]);
    Process::start(&mut command)
}

/// A network of its own for the munit, as a task has one, and a way between it and this one.
struct Network {
    name: String,
}

impl Network {
    fn start() -> Self {
        let name = format!("mobz-munit-{}", std::process::id());
        sh(&format!(
            "ip netns add {name} && ip link add munit0 type veth peer name munit1 netns {name} \
             && ip addr add {HERE}/24 dev munit0 && ip link set munit0 up \
             && ip -n {name} link set lo up && ip -n {name} addr add {THERE}/24 dev munit1 \
             && ip -n {name} link set munit1 up && ip -n {name} route add default via {HERE}"
        ));
        Self { name }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// A running container, gone when dropped.
struct Container {
    name: String,
    shared: String,
    process: Process,
}

impl Container {
    /// Runs an image with this environment, in this network, which is the test's own when left out. Those of one
    /// network share what they write.
    fn run(image: &str, network: Option<&Network>, environment: &[(&str, &str)]) -> Self {
        let name = format!("mobz-test-{}-{image}", std::process::id());
        let shared = network.map_or_else(|| name.clone(), |network| network.name.clone());
        let network =
            network.map_or_else(|| "host".into(), |network| format!("ns:{}", network.path().display()));
        let mut command = Command::new("podman");
        command.args(["--runtime", "runc", "run", "--rm", "--pull", "never", "--name", &name]);
        command.args(["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--network", &network]);
        command.args(["--security-opt", "no-new-privileges", "--volume", &format!("{shared}:/run/mobz")]);
        // No more than the sandbox that this runs in has.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]);
        for (key, value) in environment {
            command.args(["--env", &format!("{key}={value}")]);
        }
        command.arg(format!("localhost/mobz/{image}"));
        Self { name, shared, process: Process::start(&mut command) }
    }

    /// Waits until the image's own health check says so.
    async fn is_healthy(&mut self) {
        let what = format!("{} is healthy", self.name);
        let (name, process) = (&self.name, &mut self.process);
        eventually(&what, async || {
            assert_eq!(process.try_wait(), None, "{name} ended:\n{}", process.log());
            let check = Command::new("podman").args(["healthcheck", "run", name]).output().unwrap();
            check.status.success().then_some(())
        })
        .await;
    }

    /// Under whose id it runs.
    fn user(&self) -> String {
        let pid = sh(&format!("podman inspect --format '{{{{.State.Pid}}}}' {}", self.name));
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        ids.split_whitespace().next().unwrap().to_owned()
    }

    /// Asks it to end, as ECS does, which it must do by itself and well.
    fn ends_when_asked(&mut self) {
        sh(&format!("podman kill --signal TERM {}", self.name));
        let ended = self.process.wait(STOP_MAX);
        assert_eq!(ended.code, Some(0), "{}:\n{}", self.name, self.process.log());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _gone = Command::new("podman").args(["rm", "--force", "--time", "0", &self.name]).output();
        // Of two that share one, the last to go takes it along.
        let _gone = Command::new("podman").args(["volume", "rm", &self.shared]).output();
    }
}

fn sh(script: &str) -> String {
    let done = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(done.status.success(), "{script}:\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
