//! A Janus of one's own: started, ended, and nothing left of it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::soon;
use janus_client::spawn::{Config, Janus, SpawnError};
use janus_client::{Client, Options};

fn is_there(pid: u32) -> bool {
    // A zombie has no memory, hence no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn a_janus_ends_when_it_is_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut janus = Janus::start(&Config::default(), directory.path()).await.unwrap();
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

/// Not a test of its own: it is what the two below run as a process that is killed.
#[tokio::test]
async fn helper_that_starts_a_janus() {
    let Ok(directory) = std::env::var("JANUS_CLIENT_TEST_DIRECTORY") else { return };
    let outlives_us = std::env::var_os("JANUS_CLIENT_TEST_OUTLIVES").is_some();
    let directory = Path::new(&directory);
    let config = Config { outlives_us, ..Config::default() };
    let janus = Janus::start(&config, directory).await.unwrap();
    std::fs::write(directory.join("new"), format!("{} {}", janus.id(), janus.url())).unwrap();
    std::fs::rename(directory.join("new"), directory.join("ready")).unwrap();
    std::future::pending::<()>().await;
}

async fn killed_starter(directory: &Path, outlives: bool) -> (u32, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "spawn::helper_that_starts_a_janus"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.env("JANUS_CLIENT_TEST_DIRECTORY", directory);
    if outlives {
        command.env("JANUS_CLIENT_TEST_OUTLIVES", "1");
    }
    let mut starter = command.spawn().unwrap();
    let ready = soon("Janus", async {
        loop {
            if let Ok(ready) = std::fs::read_to_string(directory.join("ready")) {
                return ready;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    starter.kill().unwrap();
    starter.wait().unwrap();
    let (pid, url) = ready.split_once(' ').unwrap();
    (pid.parse().unwrap(), url.to_owned())
}

#[tokio::test]
async fn a_janus_dies_with_who_started_it() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, _) = killed_starter(directory.path(), false).await;
    soon("end", async {
        while is_there(pid) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_janus_that_shall_outlive_its_starter_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, url) = killed_starter(directory.path(), true).await;
    let client = Client::connect(&url, Options::default()).await.unwrap();
    client.ping().await.unwrap();
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
