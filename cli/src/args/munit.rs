//! `munit list|inspect|drain|revive|stop|watch`.

use std::time::Duration;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mobz_core::id::MunitId;
use mobz_runtime::config::duration;

use super::deploy::File;
use crate::complete;

/// The verbs of `munit`.
#[derive(Debug, Subcommand)]
pub enum Munit {
    /// Show the munits there are
    List(List),
    /// Show one munit: state, load, stations
    Inspect(Inspect),
    /// Let munits take no new station and wait for the ones they have
    Drain(Drain),
    /// Let draining or drained munits take stations again
    Revive(Revive),
    /// End munits: stations are unassigned, then Janus and its regulator stop
    Stop(Stop),
    /// Run so many munits in an environment on AWS
    Scale(Scale),
    /// Follow what happens to munits and their stations
    Watch(Watch),
}

/// `munit list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl munit list
  mobzctl munit list --output json | jq -r '.munits[] | select(.state == \"active\").id'")]
pub struct List {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub page: Page,
}

/// Which page of a list.
#[derive(Debug, Args)]
pub struct Page {
    /// How many at most at once
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Go on after an earlier list, by the `cursor` it ended with
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// All pages, however many
    #[arg(long)]
    pub all: bool,
}

/// `munit inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl munit inspect m1 --output json | jq .assigned")]
pub struct Inspect {
    /// The munit
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::munits))]
    pub munit: MunitId,
}

/// `munit drain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl munit drain m1 --wait                 until everyone has gone by themselves
  mobzctl munit drain m1 --migrate --wait --yes move live stations elsewhere, make before break
  mobzctl munit drain --all --deadline 10m      unassign in ten minutes what is left then

Running it again changes nothing. Ctrl-C stops waiting; draining goes on.")]
pub struct Drain {
    /// The munits
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all", add = ArgValueCandidates::new(complete::munits))]
    pub munits: Vec<MunitId>,
    /// All munits there are
    #[arg(long)]
    pub all: bool,
    /// Move live stations to other munits
    #[arg(long)]
    pub migrate: bool,
    /// After how long what is left is unassigned; without it, never
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub deadline: Option<Duration>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub waiting: Waiting,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Whether a command waits.
#[derive(Debug, Args)]
pub struct Waiting {
    /// Wait until it is so, showing how many connections are left
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most; then exit code 5
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub timeout: Option<Duration>,
}

/// `munit revive`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl munit revive m1 --yes")]
pub struct Revive {
    /// The munits
    #[arg(value_name = "ID", required = true, add = ArgValueCandidates::new(complete::munits))]
    pub munits: Vec<MunitId>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `munit stop`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl munit stop m1 --wait
  mobzctl munit stop m1 --force --grace 10s --yes

A munit with live stations is refused (exit code 4) unless --force is given: drain it first.")]
pub struct Stop {
    /// The munits
    #[arg(value_name = "ID", required = true, add = ArgValueCandidates::new(complete::munits))]
    pub munits: Vec<MunitId>,
    /// How long it may take
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
    pub grace: Duration,
    /// Also with live stations: their calls are cut
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub waiting: Waiting,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `munit scale`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl munit scale 4 --yes
  mobzctl munit scale 2 --detach

Within munits.min and munits.max of mobz.yaml, between which scaling by load goes on. Fewer munits cut no
call: those with stations stay until these have ended.")]
pub struct Scale {
    /// How many
    #[arg(value_name = "COUNT")]
    pub count: u32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub file: File,
    /// Do not wait until it is so
    #[arg(long)]
    pub detach: bool,
    /// How long to wait at most; then exit code 5
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `munit watch`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl munit watch m1 --output json

Ends on Ctrl-C, with exit code 0.")]
pub struct Watch {
    /// Only this munit
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::munits))]
    pub munit: Option<MunitId>,
}
