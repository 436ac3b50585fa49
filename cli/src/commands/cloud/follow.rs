//! Following what CloudFormation does to a stack, on a terminal as a tree that moves, elsewhere line by line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::aws::Cloud;
use crate::aws::services::cluster_and_name;
use crate::aws::stacks::{Reader, Since, Stack};
use crate::deploy::cause::Evidence;
use crate::deploy::status::StackStatus;
use crate::deploy::tree::{Event, SERVICE, Tree};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// How often a stack is looked at, right after something happened and at least.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// For how long AWS may be out of reach while something is followed; then following ends with exit code 6.
const LOST_MAX: Duration = Duration::from_secs(600);
/// How long CloudFormation may take to say that it has begun what it was told to; then its state is believed.
const BEGIN_MAX: Duration = Duration::from_secs(60);
/// How many lines of a tree are drawn where the terminal does not tell its height.
const HEIGHT: usize = 24;

/// Where progress goes.
pub(in crate::commands) struct Screen<'a> {
    output: &'a Output,
    progress: Progress,
    goes_on: RefCell<Option<String>>,
    notes: RefCell<BTreeMap<String, String>>,
}

/// What was seen until the end.
pub(in crate::commands) struct Followed {
    /// What the stack is now; `None` when it is gone.
    pub(in crate::commands) status: Option<StackStatus>,
    /// All that happened.
    pub(in crate::commands) events: Vec<Event>,
    /// What is known of tasks that did not stay up.
    pub(in crate::commands) evidence: Evidence,
}

impl<'a> Screen<'a> {
    pub(in crate::commands) fn new(output: &'a Output, text: &str) -> Self {
        let progress = Progress::waiting(output, text);
        Self { output, progress, goes_on: RefCell::default(), notes: RefCell::default() }
    }

    /// Whether it moves.
    pub(in crate::commands) fn is_live(&self) -> bool {
        self.output.is_live()
    }

    /// Says what is waited for.
    pub(in crate::commands) fn say(&self, text: &str) {
        self.progress.say(text);
    }

    /// Writes a line that stays.
    pub(in crate::commands) fn line(&self, text: &str) {
        self.progress.above(self.output, text);
    }

    /// Says that it was not this run that began what is followed.
    pub(in crate::commands) fn says_others(&self, stack: &str) {
        self.line(&format!("{stack} is being changed by somebody or an earlier run: following that"));
    }

    /// Does something that writes to the terminal itself, as asking does.
    pub(in crate::commands) fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.progress.suspend(ask)
    }

    /// Does something for which another program writes to the terminal.
    pub(in crate::commands) async fn leave<T>(&self, work: impl Future<Output = T>) -> T {
        self.progress.away();
        let done = work.await;
        self.progress.back(self.output);
        done
    }

    /// What would go on by itself if this ended now.
    pub(in crate::commands) fn goes_on(&self) -> Option<String> {
        self.goes_on.borrow().clone()
    }

    pub(in crate::commands) fn set_going(&self, what: Option<String>) {
        *self.goes_on.borrow_mut() = what;
    }

    fn show(&self, tree: &Tree) {
        if self.output.is_live() {
            self.progress.say(tree.text(self.output, Timestamp::now(), height()));
        }
    }

    fn note(&self, tree: &mut Tree, resource: &str, note: String) {
        let mut notes = self.notes.borrow_mut();
        let key = format!("{}/{resource}", tree.stack);
        if notes.get(&key) != Some(&note) {
            if !self.output.is_live() {
                self.line(&format!("{}  {resource}  {SERVICE}  {note}", tree.stack));
            }
            notes.insert(key, note.clone());
        }
        tree.note(resource, note);
    }
}

/// Follows a stack until CloudFormation is done with it. `id` is the stack's id, by which also a deleted one is
/// known.
pub(in crate::commands) async fn follow(
    cloud: &Cloud,
    id: &str,
    reader: &mut Reader,
    mut tree: Tree,
    screen: &Screen<'_>,
) -> Result<Followed> {
    let (mut events, mut evidence) = (Vec::new(), Evidence::default());
    let (mut wait, mut lost, began) = (LOOK_EVERY.0, None, Instant::now());
    screen.set_going(Some(tree.stack.clone()));
    loop {
        // The state first: events that came before it was read are then read too.
        let seen = match look(cloud, id, reader).await {
            Ok(seen) => seen,
            Err(failure) if failure.exit() == Exit::Unreachable => {
                let since = *lost.get_or_insert_with(Instant::now);
                if since.elapsed() > LOST_MAX {
                    return Err(failure);
                }
                if since.elapsed() < wait {
                    screen.line(&format!(
                        "{}; {} goes on by itself, trying again",
                        failure.why(),
                        tree.stack
                    ));
                }
                sleep(wait).await;
                wait = (wait * 2).min(LOOK_EVERY.1);
                continue;
            }
            Err(failure) => return Err(failure.and_goes_on(&tree.stack)),
        };
        lost = None;
        let (status, fresh) = seen;
        wait = if fresh.is_empty() { (wait * 2).min(LOOK_EVERY.1) } else { LOOK_EVERY.0 };
        for event in fresh {
            let line = tree.apply(&event).filter(|_| !screen.output.is_live());
            if let Some(line) = line {
                screen.line(&line);
            }
            let service = event.physical.as_deref().filter(|_| event.kind == SERVICE && event.is_failure());
            if let Some((cluster, name)) = service.and_then(cluster_and_name) {
                // Now: after the rollback there may be no service to ask about.
                let found = cloud.evidence(cluster, name).await;
                evidence.stopped.extend(found.stopped);
                evidence.log.extend(found.log);
            }
            events.push(event);
        }
        for (resource, arn) in tree.busy_services() {
            let Some((cluster, name)) = cluster_and_name(&arn) else { continue };
            if let Ok(Some(service)) = cloud.service(cluster, name).await {
                screen.note(&mut tree, &resource, service.rollout());
            }
        }
        screen.show(&tree);
        if is_settled(status, &events, reader, began.elapsed()) {
            screen.set_going(None);
            return Ok(Followed { status, events, evidence });
        }
        sleep(wait).await;
    }
}

/// Follows what somebody else, or an earlier run, is doing to a stack.
pub(in crate::commands) async fn follow_others(
    cloud: &Cloud,
    stack: &Stack,
    screen: &Screen<'_>,
) -> Result<Followed> {
    screen.says_others(&stack.name);
    let mut reader = cloud.reader(&stack.id, Since::RunThatGoesOn).await?;
    follow(cloud, &stack.id, &mut reader, Tree::new(&stack.name, []), screen).await
}

/// Whether CloudFormation is done. What has just been begun may not have changed the stack's state yet: then the
/// state is an end only once an event says so.
fn is_settled(status: Option<StackStatus>, events: &[Event], reader: &Reader, waited: Duration) -> bool {
    let Some(status) = status else { return true };
    let last = events.iter().rfind(|event| event.is_of_stack());
    let has_ended = last.is_some_and(|event| !event.status.ends_with("_IN_PROGRESS"));
    !status.is_busy() && (!reader.is_of_a_new_run() || has_ended || waited > BEGIN_MAX)
}

async fn look(cloud: &Cloud, id: &str, reader: &mut Reader) -> Result<(Option<StackStatus>, Vec<Event>)> {
    let status = cloud.stack(id).await?.map(|stack| stack.status);
    Ok((status, cloud.events(reader).await?))
}

fn height() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 4).unwrap_or(HEIGHT)
}
