//! Tests with real media run in a network namespace of their own: Janus skips loopback, and their ports and
//! addresses are then nobody else's.

use std::process::Command;
use std::time::Duration;

use crate::Process;

/// The address that media use inside.
pub(crate) const MEDIA_ADDRESS: &str = "10.99.0.1";
/// How long one test may take inside.
const TEST_MAX: Duration = Duration::from_secs(300);
/// The environment variable that says that the test is inside.
const INSIDE: &str = "MOBZ_TEST_NETNS";
/// Loopback, and a pair of interfaces for media.
const SET_UP: &str = "ip link set lo up && ip link add media0 type veth peer name media1 \
    && ip addr add 10.99.0.1/24 dev media0 && ip link set media0 up && ip link set media1 up && exec \"$0\" \"$@\"";

/// Whether this is inside. If not, the test `name` (with its modules, as `cargo test` shows it) is run again
/// inside, and must pass; then there is nothing left to do here.
pub fn is_inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let test = std::env::current_exe().expect("the running test has a path");
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", SET_UP]).arg(test);
    command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let mut process = Process::start(&mut command);
    let ended = process.wait(TEST_MAX);
    let log = process.log();
    assert_eq!(ended.code, Some(0), "{name} failed in its network namespace:\n{log}");
    let mut ran = false;
    while let Some(line) = process.line(crate::SOON) {
        ran |= line.contains("1 passed");
    }
    assert!(ran, "there is no test {name}:\n{log}");
    false
}
