//! Bringing one stack to what it should be: `crate::deploy::run` decides, this does.

use std::collections::BTreeMap;

use super::follow::{Followed, Screen, follow};
use super::survey::{half_deleted, not_proposed, stuck};
use super::{Site, Stacks};
use crate::aws::proposals::Proposal;
use crate::aws::stacks::{Since, Stack};
use crate::deploy::cause::{Evidence, remedy, why};
use crate::deploy::environment::Part;
use crate::deploy::plan::Change;
use crate::deploy::run::{Event, Failed, Kind, Outcome, Run, Step};
use crate::deploy::status::StackStatus;
use crate::deploy::tree::{Event as Happened, Tree};
use crate::error::{Failure, Result};

/// How a stack was left.
pub(in crate::commands) enum Brought {
    /// As it should be.
    Done(Outcome, Box<Stack>),
    /// Being changed: it is not waited for.
    GoingOn,
}

/// What is known on the way.
struct Way<'a> {
    site: &'a Site,
    part: Part,
    name: String,
    screen: &'a Screen<'a>,
    /// The stack's id, once there is one.
    id: Option<String>,
    /// The change set, once there is one.
    proposed: Option<(String, Vec<Change>)>,
    events: Vec<Happened>,
    evidence: Evidence,
}

impl Site {
    /// Brings a part's stack to what it should be.
    pub(in crate::commands) async fn bring(
        &self,
        part: Part,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
        options: Options,
        screen: &Screen<'_>,
    ) -> Result<Brought> {
        let name = self.stack(part);
        let mut way = Way {
            site: self,
            part,
            name,
            screen,
            id: None,
            proposed: None,
            events: Vec::new(),
            evidence: Evidence::default(),
        };
        let mut run = Run::default();
        let mut step = Step::Look;
        loop {
            let event = match step {
                Step::Look => Event::Found(way.look().await?),
                Step::Follow { ours } => {
                    if !ours {
                        screen.says_others(&way.name);
                    }
                    way.follow(Since::RunThatGoesOn).await?
                }
                Step::Delete => {
                    screen.line(&format!(
                        "{}: its creation failed earlier; deleting what is left of it",
                        way.name
                    ));
                    way.start(Since::Now, async |cloud, id| cloud.delete_stack(id, &[]).await).await?
                }
                Step::ContinueRollback => {
                    screen.line(&format!("{}: finishing the rollback of an earlier update", way.name));
                    way.start(Since::Now, async |cloud, id| cloud.continue_rollback(id).await).await?
                }
                Step::Propose(kind) => way.propose(kind, stacks, artifacts, options.revert_drift).await?,
                Step::Execute(_) => {
                    let (change_set, _) = way.proposed.clone().unwrap_or_default();
                    if options.detach {
                        let id = way.id.clone().unwrap_or_default();
                        self.cloud.execute(&id, &change_set).await?;
                        return Ok(Brought::GoingOn);
                    }
                    way.start(Since::Now, async |cloud, id| cloud.execute(id, &change_set).await).await?
                }
                Step::Done(outcome) => {
                    let stack = self.find_one(part).await?.ok_or_else(|| gone(&way.name))?;
                    return Ok(Brought::Done(outcome, Box::new(stack)));
                }
                Step::Fail(failed) => return Err(way.failure(failed)),
            };
            step = run.next(event);
        }
    }
}

/// How stacks are brought up.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Options {
    /// What others changed by hand is changed back.
    pub(in crate::commands) revert_drift: bool,
    /// What is begun is not waited for.
    pub(in crate::commands) detach: bool,
}

impl Way<'_> {
    async fn look(&mut self) -> Result<Option<StackStatus>> {
        let found = self.site.find_one(self.part).await?;
        self.id = found.as_ref().map(|stack| stack.id.clone());
        Ok(found.map(|stack| stack.status))
    }

    async fn propose(
        &mut self,
        kind: Kind,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
        revert_drift: bool,
    ) -> Result<Event> {
        self.screen.say(&format!("{}: asking CloudFormation what would change", self.name));
        let wish =
            self.site.wish(self.part, kind, stacks, artifacts, revert_drift && kind == Kind::Update)?;
        Ok(match self.site.cloud.propose(&wish).await? {
            Proposal::Changes { id, stack, changes } => {
                self.id = Some(stack);
                self.proposed = Some((id, changes));
                Event::Proposed { changes: true }
            }
            Proposal::Nothing => Event::Proposed { changes: false },
            Proposal::Busy => Event::Found(self.look().await?),
            Proposal::Failed(why) => Event::ProposalFailed(why),
        })
    }

    /// Has something begun, and follows it to its end.
    async fn start(
        &mut self,
        from: Since,
        begin: impl AsyncFnOnce(&crate::aws::Cloud, &str) -> Result<()>,
    ) -> Result<Event> {
        let cloud = &self.site.cloud;
        let id = self.id.clone().unwrap_or_else(|| self.name.clone());
        // Read before it begins, so that nothing of it is missed.
        let mut reader = cloud.reader(&id, from).await?;
        begin(cloud, &id).await?;
        let followed = follow(cloud, &id, &mut reader, self.tree(), self.screen).await?;
        Ok(self.settled(followed))
    }

    async fn follow(&mut self, from: Since) -> Result<Event> {
        let cloud = &self.site.cloud;
        let id = self.id.clone().unwrap_or_else(|| self.name.clone());
        let mut reader = cloud.reader(&id, from).await?;
        let followed = follow(cloud, &id, &mut reader, self.tree(), self.screen).await?;
        Ok(self.settled(followed))
    }

    fn settled(&mut self, followed: Followed) -> Event {
        (self.events, self.evidence) = (followed.events, followed.evidence);
        Event::Settled(followed.status)
    }

    fn tree(&self) -> Tree {
        let changes = self.proposed.as_ref().map(|(_, changes)| changes.as_slice()).unwrap_or_default();
        Tree::new(&self.name, changes.iter().map(|change| (change.resource.clone(), change.kind.clone())))
    }

    fn failure(&self, failed: Failed) -> Failure {
        let name = &self.name;
        match failed {
            Failed::Proposal(why) => not_proposed(name, &why),
            Failed::Execution(kind, status) => {
                let verb = match kind {
                    Kind::Create => "create",
                    Kind::Update => "update",
                };
                let why = why(&self.events, &self.evidence, kind, status);
                Failure::failed(
                    format!("cannot {verb} stack {name}"),
                    why,
                    remedy(&self.events, &self.evidence),
                )
            }
            Failed::Deletion(_) => {
                let why = why(&self.events, &self.evidence, Kind::Create, Some(StackStatus::RollbackFailed));
                let what = format!("cannot delete what is left of stack {name}, whose creation failed");
                Failure::failed(what, why, remedy(&self.events, &self.evidence))
            }
            Failed::Rollback(status) => {
                let why = why(&self.events, &self.evidence, Kind::Update, status);
                let what = format!("cannot finish the rollback of stack {name}");
                Failure::failed(what, why, "mend the resource that is named, then deploy again")
            }
            Failed::HalfDeleted => half_deleted(name),
            Failed::Stuck(_) => stuck(name),
            Failed::Contended(_) => Failure::refused(
                format!("cannot change stack {name}"),
                "others keep changing it",
                "have them stop, then deploy again",
            ),
        }
    }
}

fn gone(name: &str) -> Failure {
    Failure::refused(
        format!("stack {name} is gone"),
        "somebody deleted it just after it was deployed",
        "deploy again",
    )
}
