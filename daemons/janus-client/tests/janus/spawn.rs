//! A Janus of one's own: started, ended, and nothing left of it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{LOOK_EVERY, SOON, admin, soon};
use janus_client::spawn::{Config, Janus, SpawnError};
use janus_client::{Client, Options};
use tokio::time::sleep;

fn is_there(pid: u32) -> bool {
    // A zombie has no memory, hence no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn a_janus_ends_when_it_is_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let janus = Janus::start(&Config::default(), directory.path()).await.unwrap();
    let pid = janus.id();
    assert!(is_there(pid));
    let ended = soon("end", janus.stop()).await;
    assert_eq!(ended.signal, None, "it ended by itself: {ended}");
    assert!(!is_there(pid));
}

#[tokio::test]
async fn a_janus_that_dies_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let janus = Janus::start(&Config::default(), directory.path()).await.unwrap();
    let pid = rustix::process::Pid::from_raw(janus.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(soon("end", janus.ended()).await.signal, Some(9));
}

#[tokio::test]
async fn a_dropped_janus_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let janus = Janus::start(&Config::default(), directory.path()).await.unwrap();
    let pid = janus.id();
    drop(janus);
    soon("end", async {
        while is_there(pid) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = Config { listen: address, ..Config::default() };
    let error = Janus::start(&config, directory.path()).await.unwrap_err();
    assert!(matches!(error, SpawnError::PortTaken { address: taken, .. } if taken == address), "{error}");
}

#[tokio::test]
async fn a_janus_that_cannot_run_says_its_last_words() {
    let directory = tempfile::tempdir().unwrap();
    // Not an address of this machine: Janus cannot bind it.
    let config = Config { listen: "192.0.2.200:0".parse().unwrap(), ..Config::default() };
    let error = Janus::start(&config, directory.path()).await.unwrap_err();
    assert!(matches!(error, SpawnError::Configuration { .. }), "{error}");
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing is left");
}

#[tokio::test]
async fn the_admin_secret_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let _janus = Janus::start(&Config::default(), directory.path()).await.unwrap();
    let mode = std::fs::metadata(directory.path().join("janus.jcfg")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// What the tests below run as a process of its own, which is killed. By itself it ends what it started.
#[tokio::test]
async fn helper_that_starts_a_janus() {
    let own = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("JANUS_CLIENT_TEST_DIRECTORY");
    let grace = std::env::var("JANUS_CLIENT_TEST_OUTLIVES").ok();
    let outlives_us = grace.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let is_helper = directory.is_some();
    let directory = directory.map_or_else(|| own.path().to_owned(), PathBuf::from);
    let janus = Janus::start(&Config { outlives_us, ..Config::default() }, &directory).await.unwrap();
    std::fs::write(directory.join("new"), format!("{} {}", janus.id(), janus.url())).unwrap();
    std::fs::rename(directory.join("new"), directory.join("ready")).unwrap();
    if is_helper {
        std::future::pending::<()>().await;
    }
    janus.stop().await;
    assert!(!is_there(janus.id()));
}

/// Starts a Janus in a process that is killed then; → its id and its URL.
async fn left_by_who_was_killed(directory: &Path, outlives: Option<u32>) -> (u32, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "spawn::helper_that_starts_a_janus"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.env("JANUS_CLIENT_TEST_DIRECTORY", directory);
    if let Some(seconds) = outlives {
        command.env("JANUS_CLIENT_TEST_OUTLIVES", seconds.to_string());
    }
    let mut starter = command.spawn().unwrap();
    let ready = soon("Janus", async {
        loop {
            if let Ok(ready) = std::fs::read_to_string(directory.join("ready")) {
                return ready;
            }
            sleep(LOOK_EVERY).await;
        }
    })
    .await;
    starter.kill().unwrap();
    starter.wait().unwrap();
    let (pid, url) = ready.split_once(' ').unwrap();
    (pid.parse().unwrap(), url.to_owned())
}

async fn ends(pid: u32) {
    soon("end", async {
        while is_there(pid) {
            sleep(LOOK_EVERY).await;
        }
    })
    .await;
}

/// What a process has started that still runs.
fn children(of: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_janus_dies_with_who_started_it() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, _) = left_by_who_was_killed(directory.path(), None).await;
    ends(pid).await;
    assert!(Janus::adopt(&Config::default(), directory.path()).await.is_none());
}

#[tokio::test]
async fn a_janus_that_outlives_its_starter_is_taken_over_and_ends_with_all_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, url) = left_by_who_was_killed(directory.path(), Some(600)).await;
    let janus = Janus::adopt(&Config::default(), directory.path()).await.unwrap();
    assert_eq!((janus.id(), janus.url()), (pid, url));
    admin(&janus).await.list_sessions().await.unwrap();
    assert!(
        Janus::adopt(&Config::default(), directory.path()).await.is_none(),
        "who looks after it has it alone"
    );
    let busy = Janus::start(&Config { outlives_us: Some(SOON), ..Config::default() }, directory.path()).await;
    assert!(matches!(busy.unwrap_err(), SpawnError::InUse { .. }));

    let with_it = children(pid);
    assert!(with_it.len() >= 2, "Janus, and what ends it if nobody does: {with_it:?}");
    soon("end", janus.stop()).await;
    for pid in with_it {
        ends(pid).await;
    }
}

#[tokio::test]
async fn a_taken_over_janus_that_dies_is_noticed_and_another_is_started_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, _) = left_by_who_was_killed(directory.path(), Some(600)).await;
    let janus = Janus::adopt(&Config::default(), directory.path()).await.unwrap();
    let is_janus = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "janus")
    };
    let process = children(pid).into_iter().find(is_janus).unwrap();
    let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    soon("end", janus.ended()).await;
    drop(janus);
    assert!(Janus::adopt(&Config::default(), directory.path()).await.is_none());
    let config = Config { outlives_us: Some(SOON), ..Config::default() };
    let next = Janus::start(&config, directory.path()).await.unwrap();
    Client::connect(&next.url(), Options::default()).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_janus_that_nobody_takes_over_ends_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, _) = left_by_who_was_killed(directory.path(), Some(1)).await;
    let with_it = children(pid);
    for pid in with_it.into_iter().chain([pid]) {
        ends(pid).await;
    }
}

#[tokio::test]
async fn a_janus_whose_directory_is_gone_ends_by_itself_too() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, _) = left_by_who_was_killed(directory.path(), Some(1)).await;
    let with_it = children(pid);
    drop(directory);
    for pid in with_it.into_iter().chain([pid]) {
        ends(pid).await;
    }
}

#[tokio::test]
async fn a_janus_that_is_left_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { outlives_us: Some(SOON), ..Config::default() };
    let janus = Janus::start(&config, directory.path()).await.unwrap();
    let pid = janus.id();
    janus.leave();
    drop(janus);
    let janus = Janus::adopt(&config, directory.path()).await.unwrap();
    assert_eq!(janus.id(), pid);
}
