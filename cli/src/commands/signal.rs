//! `mobzctl signal`.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::signal::Signal;
use crate::commands::interrupted;
use crate::endpoint::{Place, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::wire::{Ending, Heard, Joining, Socket, refusal};

/// How many lines of stdin may wait to be sent; stdin is not read beyond it.
const LINES_MAX: usize = 64;
/// How often a heartbeat is sent where the server names no interval.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// The `id` of this command's own heartbeats; their acks are not printed.
const HEARTBEAT_ID: &str = "mobzctl-heartbeat";
/// The `id` of the heartbeat after the last line: its ack says that every line before was heard.
const LAST_ID: &str = "mobzctl-last";

/// Joins a room; prints what arrives, sends what stdin says.
pub async fn run(args: Signal, place: &Where, output: &Output) -> Result<Exit> {
    let place = Place::find(place)?;
    let url = place.signal_url(args.signal_url.as_deref())?;
    let joining = Joining {
        room: args.room.clone(),
        mode: args.mode.into(),
        user: args.user.clone(),
        name: args.name.clone(),
        publish: args.publish,
    };
    let join = joining.signal(&place, &args.id, args.resume.as_deref())?;
    let mut socket = Socket::connect(&url).await?;
    output.detail(&format!("connected to {url}"));
    socket.send(join).await.map_err(|ending| ending.failure(&what(&args)))?;
    let mut session = Session { args: &args, output, pending: BTreeSet::new(), kicked: None };
    let beat = session.joined(&mut socket).await?;
    let exit = session.talk(&mut socket, beat).await?;
    let mut printed = Ok(());
    socket
        .leave(|text, value| {
            if printed.is_ok() {
                printed = session.print(&text, &value);
            }
        })
        .await;
    printed.map(|()| exit)
}

fn what(args: &Signal) -> String {
    format!("cannot stay in room {}", args.room)
}

/// One stay in a room.
struct Session<'a> {
    args: &'a Signal,
    output: &'a Output,
    /// Ids of signals that are not answered yet.
    pending: BTreeSet<String>,
    /// The reason of a `Kick` of this participant.
    kicked: Option<String>,
}

impl Session<'_> {
    /// Waits for the answer to the Join; returns how often a heartbeat is due.
    async fn joined(&mut self, socket: &mut Socket) -> Result<Duration> {
        let failed = format!("cannot join room {}", self.args.room);
        let deadline = Instant::now() + self.args.timeout;
        loop {
            let heard = tokio::select! {
                heard = socket.hear() => heard,
                () = sleep_until(deadline) => {
                    return Err(Failure::timed_out(failed, "the server did not answer the Join", "try again"));
                }
            };
            match heard {
                Heard::Signal(text, value) => {
                    self.print(&text, &value)?;
                    if value["re"] == self.args.id.as_str() {
                        if value["type"] == "Error" {
                            return Err(refusal(&failed, &value));
                        }
                        let millis = value["heartbeatInterval"].as_u64();
                        return Ok(millis.map_or(HEARTBEAT_INTERVAL, Duration::from_millis));
                    }
                }
                Heard::Ended(ending) => return Err(ending.failure(&failed)),
            }
        }
    }

    async fn talk(&mut self, socket: &mut Socket, beat: Duration) -> Result<Exit> {
        let mut lines = lines();
        let mut reading = true;
        let mut deadline = None;
        let mut beats = interval(beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let interrupted = interrupted()?;
        tokio::pin!(interrupted);
        loop {
            let sent = tokio::select! {
                () = &mut interrupted => return Ok(Exit::Done),
                heard = socket.hear() => match heard {
                    Heard::Signal(text, value) => {
                        self.take(&text, &value)?;
                        Ok(())
                    }
                    Heard::Ended(ending) => Err(ending),
                },
                line = lines.recv(), if reading => if let Some(line) = line { self.say(socket, line).await } else {
                    reading = false;
                    self.stdin_ended(socket, &mut deadline).await
                },
                _ = beats.tick() => socket.send(heartbeat(HEARTBEAT_ID)).await,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(self.unanswered());
                }
            };
            if let Err(ending) = sent {
                return Err(self.ended(&ending));
            }
            if deadline.is_some() && self.pending.is_empty() {
                return Ok(Exit::Done);
            }
        }
    }

    async fn say(&mut self, socket: &mut Socket, line: String) -> std::result::Result<(), Ending> {
        let value: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        if let Some(id) = value["id"].as_str() {
            self.pending.insert(id.to_owned());
        }
        socket.send(line).await
    }

    async fn stdin_ended(
        &mut self,
        socket: &mut Socket,
        deadline: &mut Option<Instant>,
    ) -> std::result::Result<(), Ending> {
        if self.args.wait {
            return Ok(());
        }
        *deadline = Some(Instant::now() + self.args.timeout);
        self.pending.insert(LAST_ID.to_owned());
        socket.send(heartbeat(LAST_ID)).await
    }

    fn take(&mut self, text: &str, value: &Value) -> Result<()> {
        if let Some(re) = value["re"].as_str() {
            self.pending.remove(re);
        }
        // A Kick to this participant names no user; one that names somebody is an echo.
        if value["type"] == "Kick" && value["user"].is_null() {
            self.kicked = Some(value["reason"].as_str().unwrap_or("no reason given").to_owned());
        }
        self.print(text, value)
    }

    fn print(&self, text: &str, value: &Value) -> Result<()> {
        let own = matches!(value["re"].as_str(), Some(HEARTBEAT_ID | LAST_ID));
        if own && self.output.verbosity() == 0 {
            return Ok(());
        }
        self.output.object(value, |_| text.to_owned())
    }

    fn ended(&self, ending: &Ending) -> Failure {
        match &self.kicked {
            Some(reason) => {
                Failure::refused(what(self.args), format!("kicked: {reason}"), "ask the room's owner")
            }
            None => ending.failure(&what(self.args)),
        }
    }

    fn unanswered(&self) -> Failure {
        let ids: Vec<&str> = self.pending.iter().map(String::as_str).filter(|id| *id != LAST_ID).collect();
        Failure::timed_out(
            "not everything was answered",
            if ids.is_empty() {
                "the server fell silent".to_owned()
            } else {
                format!("no answer to id {}", ids.join(", "))
            },
            "wait longer with --timeout, or stay with --wait",
        )
    }
}

fn heartbeat(id: &str) -> String {
    json!({"type": "Heartbeat", "id": id}).to_string()
}

/// The lines of stdin that are not empty. Read on a thread of its own, since a read of a terminal
/// cannot be called off.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if !line.trim().is_empty() && sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
