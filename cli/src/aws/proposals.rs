//! CloudFormation's change sets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudformation::types::{
    self, Capability, ChangeSetStatus, ChangeSetType, DeploymentMode, Parameter, Tag,
};

use super::Cloud;
use super::error::{code, failure, message};
use crate::deploy::plan::{Action, Change, Property, Replacement};
use crate::deploy::run::{Kind, says_no_change};
use crate::error::Result;

/// How often a change set that is being made is looked at, at first and at most: CloudFormation takes
/// seconds for it.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What a change set is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The stack.
    pub stack: String,
    /// Whether there is one already.
    pub kind: Kind,
    /// The template.
    pub template: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Parameters that keep their value.
    pub kept: BTreeSet<String>,
    /// Tags on the stack and all in it.
    pub tags: BTreeMap<String, String>,
    /// Whether what others changed by hand is changed back.
    pub revert_drift: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// There is something to change.
    Changes {
        /// The change set.
        id: String,
        /// The stack's id.
        stack: String,
        /// What it would change.
        changes: Vec<Change>,
    },
    /// There is nothing to change.
    Nothing,
    /// The stack is being changed by somebody.
    Busy,
    /// It cannot be made.
    Failed(String),
}

impl Cloud {
    /// Makes a change set, and waits until it is made. One without changes is taken away again.
    pub async fn propose(&self, wish: &Wish) -> Result<Proposal> {
        let what = format!("cannot propose a change of stack {}", wish.stack);
        let given = wish
            .parameters
            .iter()
            .map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build());
        let kept = wish
            .kept
            .iter()
            .map(|key| Parameter::builder().parameter_key(key).use_previous_value(true).build());
        let tags = wish.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let kind = match wish.kind {
            Kind::Create => ChangeSetType::Create,
            Kind::Update => ChangeSetType::Update,
        };
        let request = self
            .cloudformation
            .create_change_set()
            .stack_name(&wish.stack)
            .change_set_name(format!("mobz-{}", jiff::Timestamp::now().as_millisecond()))
            .change_set_type(kind)
            .template_body(&wish.template)
            .set_parameters(Some(given.chain(kept).collect()))
            .set_tags(Some(tags.collect()))
            .capabilities(Capability::CapabilityIam)
            .set_deployment_mode(wish.revert_drift.then_some(DeploymentMode::RevertDrift));
        let made = match request.send().await {
            Ok(made) => made,
            Err(error) if code(&error) == Some("ValidationError") => {
                let why = message(&error);
                return Ok(if why.contains("IN_PROGRESS state") {
                    Proposal::Busy
                } else if says_no_change(why) {
                    Proposal::Nothing
                } else {
                    Proposal::Failed(why.to_owned())
                });
            }
            Err(error) => return Err(failure(&what, &error)),
        };
        let (id, stack) = (made.id.unwrap_or_default(), made.stack_id.unwrap_or_default());
        self.made(wish, id, stack, &what).await
    }

    async fn made(&self, wish: &Wish, id: String, stack: String, what: &str) -> Result<Proposal> {
        let mut wait = LOOK_EVERY.0;
        let mut changes = Vec::new();
        let mut token = None;
        loop {
            let request = self.cloudformation.describe_change_set().change_set_name(&id);
            let request = request.include_property_values(true).set_next_token(token.take());
            let seen = request.send().await.map_err(|error| failure(what, &error))?;
            match seen.status {
                Some(ChangeSetStatus::CreateComplete) => {
                    changes.extend(
                        seen.changes
                            .unwrap_or_default()
                            .into_iter()
                            .filter_map(|change| Some(told(change.resource_change?, &wish.stack))),
                    );
                    token = seen.next_token;
                    if token.is_none() {
                        return Ok(Proposal::Changes { id, stack, changes });
                    }
                }
                Some(ChangeSetStatus::Failed) => {
                    let why = seen.status_reason.unwrap_or_default();
                    self.withdraw(&id).await?;
                    return Ok(if says_no_change(&why) { Proposal::Nothing } else { Proposal::Failed(why) });
                }
                Some(_) | None => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LOOK_EVERY.1);
                }
            }
        }
    }

    /// Takes a change set away.
    pub async fn withdraw(&self, id: &str) -> Result<()> {
        let answer = self.cloudformation.delete_change_set().change_set_name(id).send().await;
        answer.map(drop).map_err(|error| failure("cannot withdraw a change set", &error))
    }

    /// Has a change set executed.
    pub async fn execute(&self, stack: &str, id: &str) -> Result<()> {
        let answer = self.cloudformation.execute_change_set().change_set_name(id).send().await;
        answer.map(drop).map_err(|error| failure(&format!("cannot change stack {stack}"), &error))
    }
}

fn told(change: types::ResourceChange, stack: &str) -> Change {
    let replacement = change.replacement.as_ref().and_then(|replacement| match replacement.as_str() {
        "True" => Some(Replacement::True),
        "Conditional" => Some(Replacement::Conditional),
        "False" => Some(Replacement::False),
        _ => None,
    });
    let action = match change.action.as_ref().map(types::ChangeAction::as_str) {
        Some("Add" | "Import") => Action::Add,
        Some("Remove") => Action::Remove,
        _ => match replacement {
            Some(Replacement::True | Replacement::Conditional) => Action::Replace,
            Some(Replacement::False) | None => Action::Change,
        },
    };
    let scope = change.scope.unwrap_or_default();
    let mut properties: Vec<Property> = Vec::new();
    for target in change.details.unwrap_or_default().into_iter().filter_map(|detail| detail.target) {
        let attribute = target.attribute.as_ref().map(types::ResourceAttribute::as_str).unwrap_or_default();
        let path = target.path.or(target.name).unwrap_or_else(|| attribute.to_owned());
        let property = Property {
            path,
            before: target.before_value,
            after: target.after_value,
            recreation: target.requires_recreation.map(|recreation| recreation.as_str().to_owned()),
        };
        // CloudFormation tells a property once for each reason that it changes for.
        if !properties.iter().any(|known| known.path == property.path) {
            properties.push(property);
        }
    }
    Change {
        action,
        resource: change.logical_resource_id.unwrap_or_default(),
        kind: change.resource_type.unwrap_or_default(),
        replacement: if matches!(action, Action::Add | Action::Remove) { None } else { replacement },
        scope: scope.iter().map(|scope| scope.as_str().to_owned()).collect(),
        stack: stack.to_owned(),
        physical: change.physical_resource_id.filter(|name| !name.is_empty()),
        policy: change.policy_action.map(|policy| policy.as_str().to_owned()),
        properties,
    }
}
