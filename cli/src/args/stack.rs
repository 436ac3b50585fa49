//! `up`, `down`, `status`, `launch` and `doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use mobz_origin::PlaybackSettings;
use mobz_runtime::config::{Common, duration};
use mobz_signaling::ClientSettings;

/// The port of signaling in a stack of this machine; the origin and the demo site have the next two.
pub const PORT_BASE: u16 = 7880;

/// `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl up
  mobzctl up --port-base 0 --output json        any free ports; one JSON line when ready
  mobzctl up --redis redis://127.0.0.1 --detach
  mobzctl up --munits 2                         two Janus, to try drain and failover
  mobzctl up --turn-server                      with a coturn of its own, where it is installed

Ctrl-C stops all of it. With --detach it goes on in the background until `mobzctl down`.")]
pub struct Up {
    /// Ports from here on: signaling N, origin N+1, demo site N+2; 0 is any free ones
    #[arg(long, default_value_t = PORT_BASE, value_name = "N")]
    pub port_base: u16,
    /// How many munits (group calls), a Janus each; 1 where Janus is installed, else 0
    #[arg(long, value_name = "N")]
    pub munits: Option<u32>,
    /// The most stations each munit takes
    #[arg(long, value_name = "N", default_value_t = mobz_regulator::CAPACITY_STATIONS)]
    pub capacity_stations: usize,
    /// The most watched stations each munit takes, summed over all viewers
    #[arg(long, value_name = "N", default_value_t = mobz_regulator::CAPACITY_VIEWERS)]
    pub capacity_viewers: usize,
    /// Where signaling listens, if not at the first port
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Start a TURN server too (coturn, on loopback), where it is installed
    #[arg(long, conflicts_with_all = ["turn", "turn_secret_file"])]
    pub turn_server: bool,
    /// What all daemons have.
    #[command(flatten)]
    pub common: Common,
    /// What clients are told and held to.
    #[command(flatten)]
    pub clients: ClientSettings,
    /// How the origin serves players.
    #[command(flatten)]
    pub playback: PlaybackSettings,
    /// Return when it is ready; it goes on in the background
    #[arg(long)]
    pub detach: bool,
    /// How long --detach waits for it to be ready
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// The background half of --detach, with its log
    #[arg(long, hide = true, value_name = "LOG", conflicts_with = "detach")]
    pub in_background: Option<PathBuf>,
}

/// `down`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl down
  mobzctl down --port-base 8000     the one started with `up --port-base 8000`
  mobzctl down --all

Nothing to stop is exit code 0.")]
pub struct Down {
    /// Which stack, where there are several: the port of its signaling
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub port_base: Option<u16>,
    /// Every stack of this machine that is yours
    #[arg(long)]
    pub all: bool,
    /// How long to wait for it to end
    #[arg(long, default_value = "15s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl status --output json | jq -r '.stacks[0].demo'
  mobzctl status --watch           follow what a deployment left going on, to its end

Where there is a mobz.yaml its environment on AWS is shown too. Exit code 0 also when nothing runs: `stacks`
is empty then.")]
pub struct Status {
    /// The environment's configuration; ./mobz.yaml where there is one
    #[arg(long, env = "MOBZ_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Follow stacks of the environment that are being changed, until none is
    #[arg(long)]
    pub watch: bool,
}

/// The daemons of `launch`.
#[derive(Debug, Subcommand)]
pub enum Launch {
    /// Signaling: WebSocket for clients, and the control API
    Signaling(Box<LaunchSignaling>),
    /// Origin: LL-HLS for players
    Origin(Box<LaunchOrigin>),
    /// Regulator: one Janus as a munit, for group calls
    Regulator(Box<LaunchRegulator>),
    /// Janus: the other half of a munit, where the two are containers of one task
    Janus(Box<LaunchJanus>),
}

/// `launch signaling`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl launch signaling --listen 0.0.0.0:7880 --redis redis://127.0.0.1 --keys keys.yaml

SIGTERM and Ctrl-C see clients off and end it with exit code 0. Each flag is also an environment
variable: --listen is MOBZ_LISTEN.")]
pub struct LaunchSignaling {
    /// The daemon's own flags.
    #[command(flatten)]
    pub settings: mobz_signaling::Settings,
}

/// `launch origin`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl launch origin --listen 0.0.0.0:7881 --redis redis://127.0.0.1 --keys keys.yaml

SIGTERM and Ctrl-C end it with exit code 0. Each flag is also an environment variable: --listen
is MOBZ_LISTEN.")]
pub struct LaunchOrigin {
    /// The daemon's own flags.
    #[command(flatten)]
    pub settings: mobz_origin::Settings,
}

/// `launch regulator`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl launch regulator --redis redis://127.0.0.1 --munit m1 --spawn-janus
  mobzctl launch regulator --redis redis://127.0.0.1 --munit m1 --janus ws://127.0.0.1:8188 \\
      --janus-admin ws://127.0.0.1:7188 --janus-admin-secret-file secret

A Janus that it started ends with it; one that was there goes on, and the next regulator of the same
--munit takes it over with its calls. It ends by itself, with exit code 0, once its munit is stopped.
Each flag is also an environment variable: --munit is MOBZ_MUNIT.")]
pub struct LaunchRegulator {
    /// The daemon's own flags.
    #[command(flatten)]
    pub settings: mobz_regulator::Settings,
}

/// `healthy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl healthy 7880 /healthz     a daemon that answers there with 200
  mobzctl healthy 8188              anything that listens

Exit code 0 when it is, 1 when not.")]
pub struct Healthy {
    /// Its port on 127.0.0.1
    pub port: u16,
    /// What to ask it for over HTTP; nothing is asked when left out
    pub path: Option<String>,
    /// How long it may take to answer
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
}

/// `launch janus`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl launch janus --admin-secret-file /run/mobz/janus-admin-secret --public-ip stun \\
      --stun-server stun.example.org
  mobzctl launch regulator --redis redis://redis --janus ws://127.0.0.1:8188 \\
      --janus-admin ws://127.0.0.1:7188 --janus-admin-secret-file /run/mobz/janus-admin-secret

The two share a network and the file. SIGTERM and Ctrl-C end it with exit code 0, and every call on it:
end the regulator first. Each flag is also an environment variable: --rtp-ports is MOBZ_RTP_PORTS.")]
pub struct LaunchJanus {
    /// Its own flags.
    #[command(flatten)]
    pub settings: mobz_regulator::MediaServerSettings,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl doctor
  mobzctl doctor --turn turn:turn.example.org:3478 --redis redis://127.0.0.1 --output json

Exit code 1 when a check fails; warnings do not count.")]
pub struct Doctor {
    /// The configuration of an environment on AWS to check too; ./mobz.yaml where there is one
    #[arg(long, env = "MOBZ_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Check this Redis too
    #[arg(long, env = "MOBZ_REDIS", value_name = "URL", hide_env_values = true)]
    pub redis: Option<String>,
    /// Check that this TURN or STUN server answers over UDP
    #[arg(long, value_name = "URL")]
    pub turn: Vec<String>,
    /// The ports that `up` would use
    #[arg(long, default_value_t = PORT_BASE, value_name = "N")]
    pub port_base: u16,
}
