//! The container engine of this machine: docker, podman or buildah, whichever works.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::Child;

use crate::aws::images::Login;
use crate::error::{Failure, Result, os};

/// A program that builds and pushes images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Docker, with its daemon.
    Docker,
    /// Podman.
    Podman,
    /// Buildah.
    Buildah,
}

impl Engine {
    const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Buildah];

    /// Its program.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// The one that was named, else the first that works here.
    pub fn find(named: Option<Self>) -> Result<Self> {
        let asked = named.map_or_else(|| Self::ALL.to_vec(), |engine| vec![engine]);
        asked.iter().copied().find(|engine| engine.works()).ok_or_else(|| {
            let programs: Vec<&str> = asked.iter().map(|engine| engine.as_str()).collect();
            Failure::failed(
                "cannot build or push images",
                format!("none of {} works here", programs.join(", ")),
                "install one (apt-get install podman), start Docker's daemon, or run this where one works",
            )
        })
    }

    /// Builds an image of a checkout; `platform` (`linux/arm64`) where it is for other machines than this one.
    pub async fn build(
        self,
        name: &str,
        platform: Option<&str>,
        dockerfile: &Path,
        context: &Path,
    ) -> Result<()> {
        // Health checks are Docker's own: the format of OCI, which the others build unless told, has none.
        let format: &[&str] = match self {
            Self::Docker => &[],
            Self::Podman | Self::Buildah => &["--format", "docker"],
        };
        let mut command = self.command(&[&["build", "--tag", name], format, &["--file"]].concat());
        command.arg(dockerfile);
        if let Some(platform) = platform {
            command.args(["--platform", platform]);
        }
        command.arg(context);
        self.run(command, &format!("cannot build {name}"), None).await
    }

    /// Logs in to a registry.
    pub async fn login(self, login: &Login) -> Result<()> {
        let command =
            self.command(&["login", "--username", &login.user, "--password-stdin", &login.registry]);
        self.run(command, &format!("cannot log in to {}", login.registry), Some(&login.password)).await
    }

    /// Gives an image another name.
    pub async fn tag(self, name: &str, other: &str) -> Result<()> {
        self.run(self.command(&["tag", name, other]), &format!("there is no image {name}"), None).await
    }

    /// Pushes an image to the registry that its name says.
    pub async fn push(self, name: &str) -> Result<()> {
        self.run(self.command(&["push", name]), &format!("cannot push {name}"), None).await
    }

    fn works(self) -> bool {
        // Docker's client answers without a daemon only where it is not asked of it.
        let asked: &[&str] = if self == Self::Docker { &["info"] } else { &["--version"] };
        let mut command = self.command(asked);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.as_str());
        command.args(arguments);
        command
    }

    /// Runs it; what it says goes to stderr, for data alone goes to stdout. It is asked to end when this is dropped.
    async fn run(self, command: Command, what: &str, input: Option<&str>) -> Result<()> {
        let failed = |why: String| {
            Failure::failed(
                what,
                why,
                "mend what it says above, then run this again; --engine chooses another program",
            )
        };
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut command = tokio::process::Command::from(command);
        let child = command.stdin(stdin).stdout(Stdio::from(std::io::stderr())).spawn();
        let child =
            child.map_err(|error| failed(format!("{} does not start: {}", self.as_str(), os(&error))))?;
        let mut running = Running(child);
        if let (Some(input), Some(mut stdin)) = (input, running.0.stdin.take()) {
            // One that does not read it says why by its exit code.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let status = running.0.wait().await.map_err(|error| failed(os(&error)))?;
        if status.success() { Ok(()) } else { Err(failed(format!("{} ended with {status}", self.as_str()))) }
    }
}

/// An engine at work. Nobody waits for it any more when it is dropped: then it is asked to end, and not killed, so
/// that it takes along the containers in which it builds.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended has no id.
        let pid = self.0.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        if let Some(pid) = pid {
            let _gone_already = kill_process(pid, Signal::TERM);
        }
    }
}
