//! The clap tree: names, flags, defaults and help. No logic.

pub mod context;
pub mod deploy;
pub mod fsck;
pub mod hls;
pub mod load;
pub mod munit;
pub mod room;
pub mod signal;
pub mod stack;
pub mod station;
pub mod token;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::output::Format;

/// Live video from one command: rooms, p2p calls and LL-HLS streams.
#[derive(Debug, Parser)]
#[command(
    name = "mobzctl",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_long_args = false,
    after_help = "Examples:
  mobzctl up                              start the whole stack on this machine
  mobzctl hls push demo video.mp4 --loop  make a live stream of a file
  mobzctl room list                       see who is there

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 timed out, 6 unreachable,
10 `plan --detailed-exitcode` found changes."
)]
pub struct Args {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, ClapArgs)]
pub struct Global {
    /// How data is printed on stdout
    #[arg(
        long,
        short = 'o',
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "table|json|yaml",
        help_heading = "Everywhere"
    )]
    pub output: Format,
    /// No progress, hints or notices on stderr
    #[arg(long, short, global = true, help_heading = "Everywhere", conflicts_with = "verbose")]
    pub quiet: bool,
    /// More detail on stderr; twice for still more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub verbose: u8,
    /// Where to act: http(s)://… (control API) or redis(s)://… (the store); default: the context in
    /// use, else the local stack
    #[arg(
        long,
        global = true,
        env = "MOBZ_ENDPOINT",
        value_name = "URL",
        help_heading = "Everywhere",
        hide_env_values = true
    )]
    pub endpoint: Option<String>,
    /// The context to take the endpoint and its token from, instead of the one in use
    #[arg(long, global = true, env = "MOBZ_CONTEXT", value_name = "NAME", help_heading = "Everywhere", add = clap_complete::ArgValueCandidates::new(crate::complete::contexts))]
    pub context: Option<String>,
    /// The access token to show (grant admin for the control API)
    #[arg(
        long,
        global = true,
        env = "MOBZ_TOKEN",
        value_name = "JWT",
        help_heading = "Everywhere",
        hide_env_values = true
    )]
    pub token: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the whole stack on this machine: signaling, origin and demo site
    Up(Box<stack::Up>),
    /// Stop a stack that `up` started
    Down(stack::Down),
    /// Show the stacks that run on this machine
    Status(stack::Status),
    /// Run one daemon in the foreground, as the containers run it
    #[command(subcommand)]
    Launch(stack::Launch),
    /// Ask whether a daemon of this machine is well, as containers' health checks do
    Healthy(stack::Healthy),
    /// Write a commented mobz.yaml: what `deploy` makes of an AWS account
    Init(deploy::Init),
    /// Check mobz.yaml
    #[command(subcommand)]
    Config(deploy::Config),
    /// Show what `deploy` would change in the AWS account
    Plan(deploy::Plan),
    /// Bring an environment on AWS to what mobz.yaml says
    Deploy(deploy::Deploy),
    /// Delete an environment on AWS
    Destroy(deploy::Destroy),
    /// Show the URLs and names of an environment on AWS
    Outputs(deploy::Outputs),
    /// Show what an environment on AWS logs
    Logs(deploy::Logs),
    /// Build and push container images
    #[command(subcommand)]
    Image(deploy::Image),
    /// Choose which endpoint the other commands act on
    #[command(subcommand)]
    Context(context::Context),
    /// Check what this machine and this endpoint need, with a remedy for what is amiss
    Doctor(stack::Doctor),
    /// See and manage rooms
    #[command(subcommand)]
    Room(room::Room),
    /// See and manage munits: the media servers and what they carry
    #[command(subcommand)]
    Munit(munit::Munit),
    /// See and manage stations: each publisher's media on a munit
    #[command(subcommand)]
    Station(station::Station),
    /// Compare what is kept with what munits really hold, and mend it
    Fsck(fsck::Fsck),
    /// Publish and follow LL-HLS streams
    #[command(subcommand)]
    Hls(hls::Hls),
    /// Make access tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Join a room from the terminal: signals in, signals out
    Signal(signal::Signal),
    /// Load a server and measure it
    #[command(subcommand)]
    Load(load::Load),
    /// Follow every state change as it happens
    Events(room::Events),
    /// Print the completion script of a shell
    Completions(Completions),
}

/// `completions`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  mobzctl completions bash > ~/.local/share/bash-completion/completions/mobzctl
  mobzctl completions zsh > \"${fpath[1]}/_mobzctl\"
  mobzctl completions fish > ~/.config/fish/completions/mobzctl.fish

Commands, flags, files, room, munit and station ids and context names complete; ids are asked of the endpoint.")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shells that complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash 4 or later
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
