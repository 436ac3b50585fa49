//! CloudFormation's stacks: finding them, following them, deleting them.

use std::collections::{BTreeMap, HashSet};

use aws_sdk_cloudformation::types;
use jiff::Timestamp;

use super::error::{code, failure, message};
use super::{Cloud, time};
use crate::deploy::status::StackStatus;
use crate::deploy::tree::Event;
use crate::error::{Failure, Result};

/// The tag that says which environment something belongs to.
pub const ENVIRONMENT_TAG: &str = "mobz:environment";

/// A stack as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its id, which stays when it is deleted.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: StackStatus,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// What it tells the stacks after it.
    pub outputs: BTreeMap<String, String>,
    /// What it was given.
    pub parameters: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it was found to differ from its template when that was last looked at.
    pub drifted: bool,
    /// When it was last changed.
    pub changed: Timestamp,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackResource {
    /// Its name in the template.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// Its name in AWS.
    pub physical: Option<String>,
    /// Its state.
    pub status: String,
}

impl Cloud {
    /// The stack of this name or id; `None` where there is none, or none any more.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>> {
        let what = format!("cannot look at stack {name}");
        let answer = match self.cloudformation.describe_stacks().stack_name(name).send().await {
            Ok(answer) => answer,
            Err(error)
                if code(&error) == Some("ValidationError") && message(&error).contains("does not exist") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failure(&what, &error)),
        };
        let Some(stack) = answer.stacks.unwrap_or_default().into_iter().next() else { return Ok(None) };
        let stack = read(stack).map_err(|why| Failure::failed(&what, why, "use a newer mobzctl"))?;
        Ok(Some(stack).filter(|stack| stack.status != StackStatus::DeleteComplete))
    }

    /// What a stack holds.
    pub async fn resources(&self, stack: &str) -> Result<Vec<StackResource>> {
        let answer = self.cloudformation.describe_stack_resources().stack_name(stack).send().await;
        let answer =
            answer.map_err(|error| failure(&format!("cannot look at what stack {stack} holds"), &error))?;
        let all = answer.stack_resources.unwrap_or_default().into_iter().map(|one| StackResource {
            resource: one.logical_resource_id.unwrap_or_default(),
            kind: one.resource_type.unwrap_or_default(),
            physical: one.physical_resource_id.filter(|name| !name.is_empty()),
            status: one.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        });
        Ok(all.collect())
    }

    /// Deletes a stack, but for these resources.
    pub async fn delete_stack(&self, stack: &str, keep: &[String]) -> Result<()> {
        let keep = Some(keep.to_vec()).filter(|keep| !keep.is_empty());
        let request = self.cloudformation.delete_stack().stack_name(stack).set_retain_resources(keep);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| failure(&format!("cannot delete stack {stack}"), &error))
    }

    /// Has the rollback of a failed update finished.
    pub async fn continue_rollback(&self, stack: &str) -> Result<()> {
        let answer = self.cloudformation.continue_update_rollback().stack_name(stack).send().await;
        answer.map(drop).map_err(|error| failure(&format!("cannot roll stack {stack} back"), &error))
    }

    /// Events that this reader has not seen yet, the oldest first.
    pub async fn events(&self, reader: &mut Reader) -> Result<Vec<Event>> {
        let what = format!("cannot follow stack {}", reader.stack);
        let mut events = Vec::new();
        let mut token = None;
        'pages: loop {
            let request = self.cloudformation.describe_stack_events().stack_name(&reader.stack);
            let page =
                request.set_next_token(token.take()).send().await.map_err(|error| failure(&what, &error))?;
            for event in page.stack_events.unwrap_or_default().into_iter().map(told) {
                if reader.seen.contains(&event.id) {
                    break 'pages;
                }
                let is_first = begins(&event) && !reader.has_begun;
                events.push(event);
                if is_first {
                    break 'pages;
                }
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        reader.has_begun |= !events.is_empty();
        reader.seen.extend(events.iter().map(|event| event.id.clone()));
        events.reverse();
        Ok(events)
    }

    /// A reader of a stack's events.
    pub async fn reader(&self, stack: &str, from: Since) -> Result<Reader> {
        let mut reader = Reader {
            stack: stack.to_owned(),
            seen: HashSet::new(),
            has_begun: false,
            is_of_a_new_run: from == Since::Now,
        };
        match from {
            Since::RunThatGoesOn => {}
            Since::Now => {
                let page = self.cloudformation.describe_stack_events().stack_name(stack).send().await;
                let page = page.map_err(|error| failure(&format!("cannot follow stack {stack}"), &error))?;
                let all = page.stack_events.unwrap_or_default().into_iter().map(told);
                reader.seen.extend(all.map(|event| event.id));
                reader.has_begun = true;
            }
        }
        Ok(reader)
    }
}

/// From where events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Those that come.
    Now,
    /// All of the run that goes on, or of the last one.
    RunThatGoesOn,
}

/// Reads a stack's events, each once.
#[derive(Clone, Debug)]
pub struct Reader {
    stack: String,
    seen: HashSet<String>,
    has_begun: bool,
    is_of_a_new_run: bool,
}

impl Reader {
    /// Whether it reads what something begun just now does, of which there may be no event yet.
    pub const fn is_of_a_new_run(&self) -> bool {
        self.is_of_a_new_run
    }
}

/// Whether an event is the first of a run.
fn begins(event: &Event) -> bool {
    let first = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"];
    event.is_of_stack() && first.contains(&event.status.as_str())
}

fn told(event: types::StackEvent) -> Event {
    Event {
        at: time(event.timestamp()),
        id: event.event_id.unwrap_or_default(),
        resource: event.logical_resource_id.unwrap_or_default(),
        physical: event.physical_resource_id.filter(|name| !name.is_empty()),
        kind: event.resource_type.unwrap_or_default(),
        status: event.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: event.resource_status_reason,
    }
}

fn read(stack: types::Stack) -> std::result::Result<Stack, String> {
    let changed = time(stack.last_updated_time().or(stack.creation_time()));
    let status = stack.stack_status.as_ref().map(types::StackStatus::as_str).unwrap_or_default();
    let status = status.parse::<StackStatus>().map_err(|error| error.to_string())?;
    let drift = stack.drift_information.and_then(|drift| drift.stack_drift_status);
    let pairs = |all: Vec<(Option<String>, Option<String>)>| {
        all.into_iter().filter_map(|(key, value)| Some((key?, value.unwrap_or_default()))).collect()
    };
    let outputs = stack.outputs.unwrap_or_default().into_iter().map(|one| (one.output_key, one.output_value));
    let parameters =
        stack.parameters.unwrap_or_default().into_iter().map(|one| (one.parameter_key, one.parameter_value));
    let tags = stack.tags.unwrap_or_default().into_iter().map(|one| (one.key, one.value));
    Ok(Stack {
        id: stack.stack_id.unwrap_or_default(),
        name: stack.stack_name.unwrap_or_default(),
        status,
        reason: stack.stack_status_reason,
        outputs: pairs(outputs.collect()),
        parameters: pairs(parameters.collect()),
        tags: pairs(tags.collect()),
        drifted: drift == Some(types::StackDriftStatus::Drifted),
        changed,
    })
}
