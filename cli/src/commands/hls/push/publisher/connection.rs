//! Joining, and coming back: a connection that is lost is resumed, and what was not acknowledged sent again.

use std::time::Duration;

use mobz_core::room::Mode;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::super::frames::{ENVELOPE_BYTES_MAX, Kind, Sent};
use super::{FRAME_BYTES_DEFAULT, Publisher, RECONNECT_FOR};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::wire::{Ending, Heard, Joining, Socket, refusal};

/// How long it waits between two tries.
const RECONNECT_WAIT: Duration = Duration::from_millis(250);
/// How long the answer to a Join is waited for.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

impl Publisher<'_> {
    /// Joins, or resumes; returns the `JoinAck`.
    pub(super) async fn join(&mut self, resume: bool) -> Result<Value> {
        let what = format!("cannot publish to room {}", self.args.room);
        let joining = Joining {
            room: self.args.room.clone(),
            mode: Mode::P2m,
            user: Some(self.args.user.clone()),
            name: None,
            publish: Some(true),
        };
        let join = joining.signal(self.place, "join", resume.then_some(self.resume.as_str()))?;
        self.socket.send(join).await.map_err(|ending| ending.failure(&what))?;
        let answer = async {
            loop {
                match self.socket.hear().await {
                    Heard::Signal(_, value) if value["re"] == "join" => return Ok(value),
                    Heard::Signal(..) => {}
                    Heard::Ended(ending) => return Err(ending.failure(&what)),
                }
            }
        };
        let Ok(answer) = timeout(JOIN_TIMEOUT, answer).await else {
            return Err(Failure::timed_out(what, "the server did not answer the Join", "try again"));
        };
        let ack = answer?;
        if ack["type"] == "Error" {
            return Err(refusal(&what, &ack));
        }
        self.is_joined = true;
        if ack["participantType"] != "publisher" {
            return Err(Failure::refused(
                what,
                "somebody else publishes there",
                "see who with `mobzctl room inspect`, or choose another room",
            ));
        }
        ack["resume"].as_str().unwrap_or_default().clone_into(&mut self.resume);
        let frame_max = ack["ingest"]["maxFrame"].as_u64().and_then(|max| usize::try_from(max).ok());
        self.frame_max = frame_max.unwrap_or(FRAME_BYTES_DEFAULT).max(2 * ENVELOPE_BYTES_MAX);
        let beat = ack["heartbeatInterval"].as_u64().filter(|millis| *millis > 0).unwrap_or(10_000);
        self.beats = interval(Duration::from_millis(beat));
        self.beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(ack)
    }

    /// Comes back after a loss, and sends what was not acknowledged.
    pub(super) async fn reconnect(&mut self, ending: &Ending) -> Result<()> {
        let what = format!("lost room {}", self.args.room);
        if !ending.may_return() {
            self.is_joined = false;
            return Err(ending.failure(&what));
        }
        self.report.note(self.output, &format!("{}; connecting again", ending.failure("").why()));
        self.report.show(self.output, "reconnecting")?;
        let lost = Instant::now();
        let deadline = lost + RECONNECT_FOR;
        let mut resume = true;
        loop {
            let failure = match self.come_back(resume).await {
                Ok(()) => {
                    self.clock.excuse(lost.elapsed());
                    return Ok(());
                }
                Err(failure) => failure,
            };
            match failure.exit() {
                // The participant is gone by now: it joins anew.
                Exit::Refused if resume => resume = false,
                Exit::Unreachable | Exit::TimedOut | Exit::Failed if Instant::now() < deadline => {
                    sleep(RECONNECT_WAIT).await;
                }
                Exit::Done
                | Exit::Failed
                | Exit::Usage
                | Exit::NotFound
                | Exit::Refused
                | Exit::TimedOut
                | Exit::Unreachable
                | Exit::Changes
                | Exit::Interrupted => return Err(failure),
            }
        }
    }

    async fn come_back(&mut self, resume: bool) -> Result<()> {
        self.is_joined = false;
        self.socket = Socket::connect(&self.url).await?;
        self.join(resume).await?;
        if !resume {
            // A new stay begins with the inits; one that is outstanding is in its place already.
            for lane in (0..self.lanes.len()).rev() {
                let first = self.unacknowledged.iter().find(|sent| sent.track == lane);
                let Some((fields, media)) = self.lanes[lane].init.clone() else { continue };
                if first.is_none_or(|sent| sent.kind != Kind::Init) {
                    self.unacknowledged.push_front(Sent {
                        id: String::new(),
                        track: lane,
                        kind: Kind::Init,
                        fields,
                        media,
                        since: Instant::now(),
                    });
                }
            }
        }
        self.send_again().await.map_err(|ending| ending.failure("cannot send what was not acknowledged"))?;
        self.report.note(self.output, if resume { "resumed" } else { "joined anew" });
        Ok(())
    }
}
