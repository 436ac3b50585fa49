//! What a deployment would change: asked of CloudFormation where there is a stack, read from the template where
//! there is none.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{Site, Stacks};
use crate::aws::proposals::{Proposal, Wish};
use crate::aws::stacks::Stack;
use crate::deploy::cause::advice;
use crate::deploy::environment::Part;
use crate::deploy::plan::{Action, Change, First, Plan, StackPlan};
use crate::deploy::run::Kind;
use crate::deploy::status::{Approach, approach};
use crate::error::{Failure, Result};

impl Site {
    /// Plans the whole environment. No change set is left behind.
    pub(in crate::commands) async fn plan(
        &self,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
        revert_drift: bool,
    ) -> Result<Plan> {
        let parts =
            Part::ALL.into_iter().filter(|part| part.is_wanted(&self.config) || stacks.contains_key(part));
        let looks = parts.map(async |part| {
            if part.is_wanted(&self.config) {
                self.plan_one(part, stacks, artifacts, revert_drift).await
            } else {
                self.plan_removal(part, &stacks[&part]).await
            }
        });
        let planned = try_join_all(looks).await?;
        Ok(Plan::new(self.config.environment.as_str(), planned))
    }

    async fn plan_one(
        &self,
        part: Part,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
        revert_drift: bool,
    ) -> Result<(StackPlan, Vec<Change>)> {
        let name = self.stack(part);
        let status = stacks.get(&part).map(|stack| stack.status);
        let plan = |first: Option<First>, from_template: bool, changes: Vec<Change>| {
            (StackPlan { stack: name.clone(), status, first, from_template, changes: changes.len() }, changes)
        };
        match approach(status) {
            Approach::Create => Ok(plan(None, true, self.all_of(part, stacks, artifacts)?)),
            Approach::Recreate => Ok(plan(Some(First::Delete), true, self.all_of(part, stacks, artifacts)?)),
            Approach::FinishRollback => Ok(plan(Some(First::FinishRollback), false, Vec::new())),
            Approach::Update => {
                let wish = self.wish(part, Kind::Update, stacks, artifacts, revert_drift)?;
                match self.cloud.propose(&wish).await? {
                    Proposal::Changes { id, changes, .. } => {
                        self.cloud.withdraw(&id).await?;
                        Ok(plan(None, false, changes))
                    }
                    Proposal::Nothing => Ok(plan(None, false, Vec::new())),
                    Proposal::Busy => Err(busy(&name)),
                    Proposal::Failed(why) => Err(not_proposed(&name, &why)),
                }
            }
            Approach::Wait => Err(busy(&name)),
            Approach::HalfDeleted => Err(half_deleted(&name)),
            Approach::Stuck => Err(stuck(&name)),
        }
    }

    /// What is asked of CloudFormation for a part.
    pub(super) fn wish(
        &self,
        part: Part,
        kind: Kind,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
        revert_drift: bool,
    ) -> Result<Wish> {
        let stack = self.stack(part);
        let template = self.templates.read(part)?;
        let given = template.given(&self.known(part, stacks, artifacts));
        let has = |name: &String| stacks.get(&part).is_some_and(|stack| stack.parameters.contains_key(name));
        let (kept, unknown): (Vec<_>, Vec<_>) =
            given.missing.into_iter().partition(|name| kind == Kind::Update && has(name));
        if !unknown.is_empty() {
            let why = format!("nothing says what {} is", unknown.join(", "));
            return Err(Failure::failed(
                format!("cannot propose stack {stack}"),
                why,
                unknown_remedy(&unknown),
            ));
        }
        Ok(Wish {
            stack,
            kind,
            template: template.text,
            parameters: given.values,
            kept: kept.into_iter().collect(),
            tags: self.tags(),
            revert_drift,
        })
    }

    /// Everything in a part's template.
    pub(super) fn all_of(
        &self,
        part: Part,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
    ) -> Result<Vec<Change>> {
        let template = self.templates.read(part)?;
        let given = template.given(&self.known(part, stacks, artifacts));
        let stack = self.stack(part);
        let all = template.resources(&given).into_iter();
        Ok(all.map(|(resource, kind)| Change::whole(Action::Add, &stack, resource, kind)).collect())
    }

    async fn plan_removal(&self, part: Part, stack: &Stack) -> Result<(StackPlan, Vec<Change>)> {
        if stack.status.is_busy() {
            return Err(busy(&stack.name));
        }
        let held = self.cloud.resources(&stack.id).await?.into_iter();
        let held = held.filter(|held| !held.status.starts_with("DELETE_COMPLETE"));
        let changes: Vec<Change> = held
            .map(|held| Change {
                physical: held.physical,
                ..Change::whole(Action::Remove, &stack.name, held.resource, held.kind)
            })
            .collect();
        let plan = StackPlan {
            stack: self.stack(part),
            status: Some(stack.status),
            first: None,
            from_template: false,
            changes: changes.len(),
        };
        Ok((plan, changes))
    }
}

fn unknown_remedy(names: &[String]) -> &'static str {
    if names.iter().any(|name| name.ends_with("Image")) {
        "push the images first: `mobzctl image push`"
    } else if names.iter().any(|name| name.starts_with("Lambda")) {
        "name the Lambda's zip with --lambda FILE"
    } else {
        "the stack that would tell it has no such output: bring it up to date first"
    }
}

pub(super) fn busy(stack: &str) -> Failure {
    Failure::refused(
        format!("cannot plan stack {stack}"),
        "it is being changed just now, by somebody or by an earlier run",
        "follow that with `mobzctl status --watch`, then run this again; `mobzctl deploy` waits for it by itself",
    )
}

pub(super) fn not_proposed(stack: &str, why: &str) -> Failure {
    let remedy = advice(why).unwrap_or("mend what is said above, then run this again");
    Failure::failed(format!("cannot propose a change of stack {stack}"), why.trim_end_matches('.'), remedy)
}

pub(super) fn half_deleted(stack: &str) -> Failure {
    Failure::refused(
        format!("cannot use stack {stack}"),
        "it was to be deleted, and some of it would not go",
        "finish that with `mobzctl destroy`, then deploy again",
    )
}

pub(super) fn stuck(stack: &str) -> Failure {
    Failure::refused(
        format!("cannot use stack {stack}"),
        "resources were imported into it, and giving them back failed",
        "settle it in the CloudFormation console, then run this again",
    )
}
