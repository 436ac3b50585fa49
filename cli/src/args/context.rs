//! `context list|use|add`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// The verbs of `context`.
#[derive(Debug, Subcommand)]
pub enum Context {
    /// Show all contexts and which is in use
    List(List),
    /// Make a context the one in use
    Use(Use),
    /// Add a context, or change one
    Add(Add),
}

/// `context list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mobzctl context list --output json")]
pub struct List {}

/// `context use`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl context use prod
  mobzctl context use local     back to the stack on this machine")]
pub struct Use {
    /// The context; `local` is the stack on this machine
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::contexts))]
    pub name: String,
}

/// `context add`. (The endpoint and the token are the flags that every command has.)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl context add prod --endpoint https://signal.example.org --keys keys.yaml --use
  mobzctl context add store --endpoint rediss://store.example.org:6379")]
pub struct Add {
    /// The name it gets
    pub name: String,
    /// A key that signs admin tokens as they are needed
    #[arg(long, value_name = "KEYID:SECRET", conflicts_with_all = ["keys", "token"])]
    pub key: Option<String>,
    /// A file of keys (YAML `keyId: secret`), of which the first signs admin tokens as they are needed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "token")]
    pub keys: Option<PathBuf>,
    /// Make it the one in use
    #[arg(long = "use")]
    pub make_current: bool,
}
