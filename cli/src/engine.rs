//! The container engine of this machine: docker, podman or buildah, whichever works.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;

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

    /// Builds an image of a checkout.
    pub fn build(self, name: &str, dockerfile: &Path, context: &Path) -> Result<()> {
        // Health checks are Docker's own: the format of OCI, which the others build unless told, has none.
        let format: &[&str] = match self {
            Self::Docker => &[],
            Self::Podman | Self::Buildah => &["--format", "docker"],
        };
        let mut command = self.command(&[&["build", "--tag", name], format, &["--file"]].concat());
        command.arg(dockerfile).arg(context);
        self.run(&mut command, &format!("cannot build {name}"), None)
    }

    /// Logs in to a registry.
    pub fn login(self, login: &Login) -> Result<()> {
        let mut command =
            self.command(&["login", "--username", &login.user, "--password-stdin", &login.registry]);
        self.run(&mut command, &format!("cannot log in to {}", login.registry), Some(&login.password))
    }

    /// Gives an image another name.
    pub fn tag(self, name: &str, other: &str) -> Result<()> {
        self.run(&mut self.command(&["tag", name, other]), &format!("there is no image {name}"), None)
    }

    /// Pushes an image to the registry that its name says.
    pub fn push(self, name: &str) -> Result<()> {
        self.run(&mut self.command(&["push", name]), &format!("cannot push {name}"), None)
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

    /// Runs it; what it says goes to stderr, for data alone goes to stdout.
    fn run(self, command: &mut Command, what: &str, input: Option<&str>) -> Result<()> {
        let failed = |why: String| {
            Failure::failed(
                what,
                why,
                "mend what it says above, then run this again; --engine chooses another program",
            )
        };
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let child = command.stdin(stdin).stdout(Stdio::from(std::io::stderr())).spawn();
        let mut child =
            child.map_err(|error| failed(format!("{} does not start: {}", self.as_str(), os(&error))))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // One that does not read it says why by its exit code.
            let _ = stdin.write_all(input.as_bytes());
        }
        let status = child.wait().map_err(|error| failed(os(&error)))?;
        if status.success() { Ok(()) } else { Err(failed(format!("{} ended with {status}", self.as_str()))) }
    }
}
