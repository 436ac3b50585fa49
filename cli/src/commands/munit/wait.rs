//! Waiting until munits are what they were told to be.

use std::time::Duration;

use mobz_core::id::MunitId;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::args::munit::Waiting;
use crate::commands::interrupted;
use crate::commands::room::word;
use crate::endpoint::Endpoint;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// How often munits are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Drained,
    Stopped,
}

impl Goal {
    const fn doing(self) -> &'static str {
        match self {
            Self::Drained => "draining",
            Self::Stopped => "stopping",
        }
    }

    /// Whether a munit in this state is what it should be; `None` where it never will be.
    fn reached(self, munit: &Value) -> Option<bool> {
        match (self, munit["state"].as_str().unwrap_or_default()) {
            // Where nobody is left there is nobody to wait for.
            (_, "stopped" | "lost") | (Self::Drained, "drained") => Some(true),
            (Self::Drained, "active" | "starting") => None,
            (Self::Drained | Self::Stopped, _) => Some(false),
        }
    }
}

/// `munit m1`, `munits m1, m2`.
pub(super) fn named(munits: &[MunitId]) -> String {
    let names: Vec<&str> = munits.iter().map(MunitId::as_str).collect();
    format!("munit{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// How many connections a munit has left: its stations and what is watched.
pub(in crate::commands) fn left(munit: &Value) -> u64 {
    let stations = munit["stations"].as_u64().max(munit["load"]["stations"].as_u64());
    stations.unwrap_or(0) + munit["viewers"].as_u64().unwrap_or(0)
}

/// Ends a command that asked munits for something: at once, or once it is so.
pub(super) async fn end(
    endpoint: &Endpoint,
    munits: &[MunitId],
    states: Vec<Value>,
    goal: Goal,
    waiting: &Waiting,
    output: &Output,
) -> Result<Exit> {
    if !waiting.wait {
        show(output, &states)?;
        let names: Vec<&str> = munits.iter().map(MunitId::as_str).collect();
        output
            .note(&format!("it goes on by itself; see it with `mobzctl munit inspect {}`", names.join(" ")));
        return Ok(Exit::Done);
    }
    let until = waiting.timeout.map(|timeout| Instant::now() + timeout);
    let bar = Progress::counting(output, states.iter().map(left).sum(), goal.doing());
    let interrupted = interrupted()?;
    let timed_out = async {
        match until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        states = all_reached(endpoint, munits, goal, &bar) => {
            drop(bar);
            show(output, &states?)
        }
        () = interrupted => {
            drop(bar);
            output.note(&format!(
                "stopped waiting; {} goes on by itself: see it with `mobzctl munit watch`, undo it with `mobzctl munit revive`",
                goal.doing()
            ));
            Ok(Exit::Interrupted)
        }
        () = timed_out => {
            drop(bar);
            Err(Failure::timed_out(
                format!("{} is not done", goal.doing()),
                format!("there was something left after {:?}", waiting.timeout.unwrap_or_default()),
                "it goes on by itself: see it with `mobzctl munit list`, or set a --deadline",
            ))
        }
    }
}

async fn all_reached(
    endpoint: &Endpoint,
    munits: &[MunitId],
    goal: Goal,
    bar: &Progress,
) -> Result<Vec<Value>> {
    loop {
        let mut states = Vec::with_capacity(munits.len());
        let mut reached = true;
        for munit in munits {
            let state = match endpoint.munit(munit).await {
                Ok(state) => state,
                // A munit that has ended cleanly takes its record along.
                Err(failure) if failure.exit() == Exit::NotFound => {
                    json!({ "id": munit, "state": "stopped" })
                }
                Err(failure) => return Err(failure),
            };
            let Some(is_it) = goal.reached(&state) else {
                return Err(Failure::refused(
                    format!("munit {munit} is not {} any more", goal.doing()),
                    "somebody has revived it",
                    "drain it again if that was not meant",
                ));
            };
            reached &= is_it;
            states.push(state);
        }
        if reached {
            return Ok(states);
        }
        bar.left(states.iter().map(left).sum());
        sleep(LOOK_EVERY).await;
    }
}

/// Tells how munits stand.
pub(super) fn show(output: &Output, states: &[Value]) -> Result<Exit> {
    let document = json!({ "munits": states });
    output.document(&document, |output| {
        let rows = document["munits"].as_array().into_iter().flatten();
        let rows = rows.map(|munit| {
            [word(&munit["id"]), super::list::state(output, &munit["state"]), left(munit).to_string()]
        });
        output.table(["MUNIT", "STATE", "LEFT"], rows.collect())
    })?;
    Ok(Exit::Done)
}
