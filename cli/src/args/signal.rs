//! `signal`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use mobz_core::id::{RoomId, UserId};
use mobz_runtime::config::duration;

use super::room::RoomMode;
use crate::complete;

/// `signal`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl signal demo
  mobzctl signal demo --user bob --wait
  echo '{\"type\":\"Sync\",\"id\":\"1\"}' | mobzctl signal demo --user ann

Every signal that arrives is one JSON line on stdout. Every line on stdin is one JSON signal, sent
as it is. The room is left on Ctrl-C, and, without --wait, once stdin has ended and every signal
with an `id` is answered; --timeout without an answer is exit code 5. A kick or a refused Join is
exit code 4.")]
pub struct Signal {
    /// The room
    #[arg(add = ArgValueCandidates::new(complete::rooms))]
    pub room: RoomId,
    /// The mode of the room, if it is a new one
    #[arg(long, value_enum, default_value = "p2p")]
    pub mode: RoomMode,
    /// The user id; without keys one is given where none is named
    #[arg(long)]
    pub user: Option<UserId>,
    /// The name others see
    #[arg(long)]
    pub name: Option<String>,
    /// Whether to join as a publisher; the mode's rule otherwise
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub publish: Option<bool>,
    /// The secret of an earlier `JoinAck`: take that participant over
    #[arg(long, value_name = "SECRET")]
    pub resume: Option<String>,
    /// The `id` of the Join
    #[arg(long, default_value = "join")]
    pub id: String,
    /// Stay when stdin has ended
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for what is not answered yet when stdin has ended
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// Where clients connect, if not at the endpoint
    #[arg(long, env = "MOBZ_SIGNAL_URL", value_name = "ws(s)://…")]
    pub signal_url: Option<String>,
}
