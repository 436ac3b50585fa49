//! `fsck`.

use clap::Args;

/// `fsck`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mobzctl fsck
  mobzctl fsck --repair --yes
  mobzctl fsck --output json | jq -r '.findings[].message'

Compares the records of rooms and munits with each other and with what munits really hold, a few at a
time. What stands at a second look, some seconds later, is a finding. Exit code 0: all is well, or mended;
1: something is left. Running it again does no harm, calls go on.")]
pub struct Fsck {
    /// Mend what can be mended: orphans go, lost stations are told, munits are woken
    #[arg(long)]
    pub repair: bool,
    /// Do not ask
    #[arg(long, short, requires = "repair")]
    pub yes: bool,
}
