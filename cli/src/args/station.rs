//! `station list|inspect|assign|unassign`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mobz_core::id::{MunitId, StationId};

use super::munit::Page;
use crate::complete;

/// The verbs of `station`.
#[derive(Debug, Subcommand)]
pub enum Station {
    /// Show the stations there are
    List(List),
    /// Show one station
    Inspect(Inspect),
    /// Move a station's publisher to another munit, make before break
    Assign(Assign),
    /// Take a station from its munit; its publisher stays in the room without one
    Unassign(Unassign),
}

/// `station list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl station list
  mobzctl station list --all --output json | jq -r '.stations[] | select(.munit == \"m1\").station'")]
pub struct List {
    #[command(flatten)]
    #[allow(missing_docs, reason = "says it itself")]
    pub page: Page,
}

/// `station inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl station inspect m1-0f3a5c7e9b1d")]
pub struct Inspect {
    /// The station
    #[arg(value_name = "STATION", add = ArgValueCandidates::new(complete::stations))]
    pub station: StationId,
}

/// `station assign`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl station assign m1-0f3a5c7e9b1d --munit m2
  mobzctl station assign m1-0f3a5c7e9b1d --yes      to the munit with the most room

A station never moves: its publisher gets a new one, whose id is printed, and the old one goes once
the new one's media flow.")]
pub struct Assign {
    /// The station
    #[arg(value_name = "STATION", add = ArgValueCandidates::new(complete::stations))]
    pub station: StationId,
    /// The munit to move to; default: the one with the most room
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(complete::munits))]
    pub munit: Option<MunitId>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `station unassign`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl station unassign m1-0f3a5c7e9b1d --yes")]
pub struct Unassign {
    /// The station
    #[arg(value_name = "STATION", add = ArgValueCandidates::new(complete::stations))]
    pub station: StationId,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Succeed where the station is not there
    #[arg(long)]
    pub if_exists: bool,
}
