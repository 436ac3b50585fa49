//! `init`, `config` and the commands that read `mobz.yaml`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use mobz_runtime::config::duration;

use crate::config::{EnvironmentName, FILE, Region};

/// Which configuration a command reads.
#[derive(Clone, Debug, Args)]
pub struct File {
    /// The configuration
    #[arg(long, env = "MOBZ_FILE", default_value = FILE, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl init
  mobzctl init prod --region eu-central-1 --file prod.yaml
  mobzctl init --print > mobz.yaml
  mobzctl init --templates stacks         the CloudFormation templates too

A file that is there is not overwritten (exit code 4).")]
pub struct Init {
    /// The environment's name: 1 to 16 lowercase letters, digits and hyphens, a letter first
    #[arg(default_value = "demo", value_name = "ENVIRONMENT")]
    pub environment: EnvironmentName,
    /// The AWS region; left to the AWS profile when not named
    #[arg(long, value_name = "NAME")]
    pub region: Option<Region>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
    /// Print it and write nothing
    #[arg(long)]
    pub print: bool,
    /// Also write the CloudFormation templates there, to read them or to deploy your own
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "print")]
    pub templates: Option<PathBuf>,
}

/// The verbs of `config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check the configuration, and show it with all defaults
    Check(Check),
}

/// `config check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl config check
  mobzctl config check --file prod.yaml --output yaml

An unknown key is an error (exit code 2) that names its line and the nearest known key.")]
pub struct Check {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
}

/// Where templates and artifacts come from.
#[derive(Clone, Debug, Args)]
pub struct Sources {
    /// CloudFormation templates of your own, instead of the embedded ones (`init --templates` writes those)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub templates: Option<PathBuf>,
    /// The zip of the signaling Lambda, for `signaling: serverless`; without it, the one that runs stays
    #[arg(long, env = "MOBZ_LAMBDA", value_name = "ZIP", value_hint = ValueHint::FilePath)]
    pub lambda: Option<PathBuf>,
    /// Also change back what was changed by hand
    #[arg(long)]
    pub revert_drift: bool,
}

/// `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl plan
  mobzctl plan --file prod.yaml --detailed-exitcode
  mobzctl plan --output json | jq -r '.changes[] | select(.replacement == \"True\").resource'

Changes nothing. A stack that stands is asked of CloudFormation, one that does not is read from its
template. Exit code 0; with --detailed-exitcode 10 when there is something to change.")]
pub struct Plan {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub sources: Sources,
    /// Exit code 10 when there is something to change
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `deploy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl deploy
  mobzctl deploy --yes --output json            in a pipeline: one JSON document, exit code 0 or not
  mobzctl deploy --checkout ~/src/mobz          build the images that the registry lacks of these sources
  mobzctl deploy --migrate                      move live stations off old munits instead of waiting

Shows the plan, asks, then brings up stack after stack and rolls the munits: new ones up, old ones
drained and stopped, no call cut. Images that the registry lacks are built of a checkout of MobZ and pushed;
where that cannot be (no checkout, no container engine), the images that run stay, and where none run it
stops with exit code 4. Run again after anything - a failure, Ctrl-C, a lost connection - it
goes on where it stopped; with nothing to change it changes nothing. Ctrl-C stops waiting (exit code
130): what CloudFormation is at goes on, and `mobzctl status --watch` follows it.")]
pub struct Deploy {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub sources: Sources,
    /// Move live stations of old munits to new ones, make before break, instead of waiting for their end
    #[arg(long)]
    pub migrate: bool,
    /// The checkout of MobZ of which images are built that the registry lacks
    #[arg(long, default_value = ".", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub checkout: PathBuf,
    /// docker, podman or buildah, for these images; the first that works when not named
    #[arg(long, env = "MOBZ_ENGINE", value_name = "PROGRAM")]
    pub engine: Option<crate::engine::Engine>,
    /// Begin the next stack that changes and return; running it again goes on
    #[arg(long)]
    pub detach: bool,
    /// How long to wait at most; then exit code 5
    #[arg(long, default_value = "2h", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `destroy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl destroy
  mobzctl destroy --yes --timeout 1h

Deletes all stacks of the environment, the last one first, and all that is in them: calls are cut, images,
logs and secrets are gone. Run again after a failure, it goes on. Nothing to destroy is exit code 0.")]
pub struct Destroy {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
    /// How long to wait at most; then exit code 5
    #[arg(long, default_value = "2h", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `outputs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl outputs
  mobzctl outputs SignalUrl
  mobzctl outputs --output json | jq -r .OriginUrl

With a name only its value is printed; an output that is not there is exit code 3.")]
pub struct Outputs {
    /// Only this one
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
}

/// `logs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl logs -f
  mobzctl logs munit signaling --since 1h
  mobzctl logs munit --output json

The logs of munit, signaling, origin and coturn, mixed by their times. --follow ends on Ctrl-C, with exit
code 0.")]
pub struct Logs {
    /// Of which services; all when none is named
    #[arg(value_name = "SERVICE", value_enum)]
    pub services: Vec<LogService>,
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// From how long ago on
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = duration)]
    pub since: Duration,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
}

/// The services that log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogService {
    /// Media servers: Janus and regulator.
    Munit,
    /// Signaling.
    Signaling,
    /// The LL-HLS origin.
    Origin,
    /// TURN servers.
    Coturn,
}

/// The verbs of `image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Build container images, with docker, podman or buildah
    Build(ImageBuild),
    /// Push built images to the environment's registry (ECR)
    Push(ImagePush),
}

/// Which images, and how.
#[derive(Clone, Debug, Args)]
pub struct Images {
    /// janus-media-server, regulator, signaling, origin, coturn; those that the environment runs when none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<crate::deploy::environment::Image>,
    /// docker, podman or buildah; the first that works when not named
    #[arg(long, env = "MOBZ_ENGINE", value_name = "PROGRAM")]
    pub engine: Option<crate::engine::Engine>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
}

/// `image build`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl image build
  mobzctl image build signaling origin --engine podman
  mobzctl image build --checkout ~/src/mobz

Each is called mobz/NAME:TAG, with the tag that mobz.yaml says.")]
pub struct ImageBuild {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub images: Images,
    /// The checkout of MobZ: images are built of its sources by its templates/images/NAME/Dockerfile
    #[arg(long, default_value = ".", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub checkout: PathBuf,
}

/// `image push`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl image push --yes
  mobzctl image push signaling --yes

The registry is a stack of the environment: where it is not there yet, `mobzctl deploy` makes it, and builds and
pushes what it lacks; this is for images that were built elsewhere. An image whose tag is there already is not
pushed again: a tag stays what it is.")]
pub struct ImagePush {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub images: Images,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
