//! `token create`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use mobz_core::id::{RoomId, UserId};
use mobz_runtime::config::duration;

use super::room::RoomMode;

/// The verbs of `token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make an access token and print it
    Create(Create),
}

/// What a token may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grant {
    /// Publish
    Publish,
    /// Watch
    Watch,
    /// Take the room over
    Owner,
    /// Kick
    Kick,
    /// Use the control API
    Admin,
}

/// `token create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl token create --keys keys.yaml --room demo --user ann
  mobzctl token create --keys keys.yaml --room demo --user bob --grant watch --ttl 10m
  export MOBZ_TOKEN=$(mobzctl token create --keys keys.yaml --grant admin)")]
pub struct Create {
    /// The only room it is good for; an admin token needs none
    #[arg(long)]
    pub room: Option<RoomId>,
    /// Who shows it
    #[arg(long)]
    pub user: Option<UserId>,
    /// The name others see
    #[arg(long)]
    pub name: Option<String>,
    /// The only mode it is good for
    #[arg(long, value_enum)]
    pub mode: Option<RoomMode>,
    /// What it allows, once for each; publish and watch when none is given
    #[arg(long, value_enum)]
    pub grant: Vec<Grant>,
    /// How long it is good
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration)]
    pub ttl: Duration,
    /// The file of keys (YAML `keyId: secret`); `MOBZ_KEYS` otherwise, else the context's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key")]
    pub keys: Option<PathBuf>,
    /// The key itself
    #[arg(long, value_name = "KEYID:SECRET")]
    pub key: Option<String>,
    /// Which of several keys signs; the first otherwise
    #[arg(long, value_name = "KEYID")]
    pub key_id: Option<String>,
}
