//! `room list|inspect|watch|kick|close` and `events`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::Mode;

use crate::complete;

/// The verbs of `room`.
#[derive(Debug, Subcommand)]
pub enum Room {
    /// Show the rooms there are
    List(List),
    /// Show one room: owner, participants, stations, stream
    Inspect(Inspect),
    /// Follow one room's changes as they happen
    Watch(Watch),
    /// Remove one participant from a room
    Kick(Kick),
    /// End a room: everyone in it is told and removed
    Close(Close),
}

/// The modes a room may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RoomMode {
    /// Two peers
    P2p,
    /// One publisher live to many
    P2m,
    /// A group call
    M2m,
}

impl From<RoomMode> for Mode {
    fn from(mode: RoomMode) -> Self {
        match mode {
            RoomMode::P2p => Self::P2p,
            RoomMode::P2m => Self::P2m,
            RoomMode::M2m => Self::M2m,
        }
    }
}

/// `room list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl room list
  mobzctl room list --mode p2m --output json | jq -r '.rooms[].room'")]
pub struct List {
    /// Only rooms of this mode
    #[arg(long, value_enum)]
    pub mode: Option<RoomMode>,
    /// About how many rooms at once
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Go on after an earlier list, by the `cursor` it ended with
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// All pages, however many
    #[arg(long)]
    pub all: bool,
}

/// `room inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl room inspect demo --output json | jq .hls.playbackUrl")]
pub struct Inspect {
    /// The room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
}

/// `room watch`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl room watch demo --output json

Ends with exit code 0 when the room ends, and on Ctrl-C.")]
pub struct Watch {
    /// The room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
    /// Wait for the room where it is not there yet, and for the next one of its id when it ends
    #[arg(long)]
    pub wait: bool,
}

/// `room kick`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl room kick demo ann --reason \"please mind the language\" --yes")]
pub struct Kick {
    /// The room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
    /// The user
    pub user: UserId,
    /// What the user is told
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Succeed where the room or the user is not there
    #[arg(long)]
    pub if_exists: bool,
}

/// `room close`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl room close demo --yes")]
pub struct Close {
    /// The room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Succeed where the room is not there
    #[arg(long)]
    pub if_exists: bool,
}

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl events
  mobzctl events --room demo --output json | jq .name

Lost connections are made again and go on after the last event seen. Ends on Ctrl-C, with exit
code 0.")]
pub struct Events {
    /// Only events of this room
    #[arg(long, add = ArgValueCandidates::new(complete::rooms))]
    pub room: Option<RoomId>,
    /// First what was kept after this event, by its `seq`; 0 is all that is kept
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
}
