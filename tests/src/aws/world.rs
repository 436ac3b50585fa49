//! What the account holds, and what happens to it over time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::template::{Evaluated, Scope, Template};

/// The account.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) stacks: Vec<Stack>,
    pub(super) change_sets: BTreeMap<String, ChangeSet>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) tasks: Vec<Task>,
    pub(super) definitions: BTreeMap<String, Value>,
    pub(super) logs: Vec<LogLine>,
    pub(super) images: BTreeSet<(String, String)>,
    pub(super) objects: BTreeMap<String, BTreeSet<String>>,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) faults: Vec<Fault>,
    pub(super) held: BTreeSet<String>,
    pub(super) throttled: VecDeque<(String, u32)>,
    pub(super) cut: u32,
    pub(super) expired: bool,
    pub(super) delay: Duration,
    pub(super) asked: Vec<String>,
    serial: u64,
}

/// A stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) template: String,
    pub(super) events: Vec<Event>,
    pub(super) drifted: bool,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    pub(super) kind: String,
    pub(super) physical: String,
    pub(super) properties: Value,
    pub(super) status: String,
}

/// What happened to a stack or one of its resources.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) at: String,
    pub(super) resource: String,
    pub(super) physical: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
}

/// A change set.
#[derive(Clone, Debug)]
pub(super) struct ChangeSet {
    pub(super) id: String,
    pub(super) stack: String,
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) is_creation: bool,
    pub(super) changes: Vec<Change>,
    pub(super) failure: Option<String>,
    /// How often it is still said to be in the making.
    pub(super) looks: u32,
}

/// One of its changes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) action: &'static str,
    pub(super) resource: String,
    pub(super) kind: String,
    pub(super) physical: String,
    pub(super) replacement: Option<&'static str>,
    pub(super) keeps: bool,
    pub(super) properties: Vec<(String, Option<String>, Option<String>, &'static str)>,
}

/// An ECS service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) desired: usize,
}

/// An ECS task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) definition: String,
    pub(super) status: &'static str,
    pub(super) is_protected: bool,
    pub(super) reason: String,
    pub(super) container: String,
    pub(super) exit_code: Option<i32>,
}

/// A logged line.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    pub(super) group: String,
    pub(super) stream: String,
    pub(super) at: i64,
    pub(super) text: String,
}

/// Something that is to go wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) stack: String,
    pub(super) resource: String,
    pub(super) verb: &'static str,
    pub(super) reason: String,
    /// How often it goes wrong before it goes well.
    pub(super) times: u32,
}

/// What changing a property makes of its resource, where that is not a mere change.
const REPLACING: &[(&str, &[&str])] = &[
    ("AWS::EC2::VPC", &["CidrBlock"]),
    ("AWS::EC2::Subnet", &["CidrBlock", "VpcId", "AvailabilityZone"]),
    ("AWS::EC2::SecurityGroup", &["VpcId", "GroupDescription"]),
    ("AWS::ElastiCache::ReplicationGroup", &["SubnetGroupName", "KmsKeyId"]),
    ("AWS::ECS::Service", &["Cluster", "ServiceName"]),
    ("AWS::ECS::TaskDefinition", &["*"]),
];

impl World {
    /// A number that is given once.
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The living stack of this name, or any of this id.
    pub(super) fn stack(&self, name: &str) -> Option<&Stack> {
        let is =
            |stack: &&Stack| stack.id == name || (stack.name == name && stack.status != "DELETE_COMPLETE");
        self.stacks.iter().rev().find(is)
    }

    /// The same, to change it.
    pub(super) fn stack_mut(&mut self, name: &str) -> Option<&mut Stack> {
        let is = |stack: &&mut Stack| {
            stack.id == name || (stack.name == name && stack.status != "DELETE_COMPLETE")
        };
        self.stacks.iter_mut().rev().find(is)
    }

    /// Whether that is to go wrong, and why.
    pub(super) fn fault(&mut self, stack: &str, resource: &str, verb: &str) -> Option<String> {
        let is = |fault: &&mut Fault| {
            fault.stack == stack && fault.resource == resource && fault.verb == verb && fault.times > 0
        };
        let fault = self.faults.iter_mut().find(is)?;
        fault.times -= 1;
        Some(fault.reason.clone())
    }

    /// Tells what happened.
    pub(super) fn tell(&mut self, stack: &str, resource: &str, kind: &str, status: &str, reason: &str) {
        let serial = self.serial();
        let Some(stack) = self.stack_mut(stack) else { return };
        let is_stack = resource == stack.name;
        let known = stack.resources.get(resource).map(|known| known.physical.clone());
        let physical = if is_stack { stack.id.clone() } else { known.unwrap_or_default() };
        if is_stack {
            (stack.status, stack.reason) = (status.to_owned(), reason.to_owned());
        }
        if let Some(known) = stack.resources.get_mut(resource) {
            status.clone_into(&mut known.status);
        }
        stack.events.push(Event {
            id: format!("event-{serial}"),
            at: now(),
            resource: resource.to_owned(),
            physical,
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Tells of a stack itself.
    pub(super) fn tell_stack(&mut self, stack: &str, status: &str, reason: &str) {
        let Some(name) = self.stack(stack).map(|stack| stack.name.clone()) else { return };
        self.tell(stack, &name, "AWS::CloudFormation::Stack", status, reason);
    }

    /// What a change set would change, by comparing what there is with what the template makes.
    pub(super) fn compare(
        &self,
        stack: &str,
        template: &Template,
        parameters: &BTreeMap<String, String>,
    ) -> Vec<Change> {
        let there = self.stack(stack).map(|stack| stack.resources.clone()).unwrap_or_default();
        let mut physical: BTreeMap<String, String> =
            there.iter().map(|(name, resource)| (name.clone(), resource.physical.clone())).collect();
        // What is replaced has another name, which may change what refers to it.
        loop {
            let scope = Scope { stack, parameters, physical: &physical };
            let changes = changes(&there, &template.resources(&scope));
            let replaced = changes.iter().filter(|change| change.replacement == Some("True"));
            let replaced: Vec<String> = replaced
                .map(|change| change.resource.clone())
                .filter(|name| physical.contains_key(name))
                .collect();
            if replaced.is_empty() {
                return changes;
            }
            for name in replaced {
                physical.remove(&name);
            }
        }
    }
}

impl World {
    /// What was changed by hand, as a change back: something of the first resource.
    pub(super) fn changed_by_hand(&self, stack: &str) -> Option<Change> {
        let (name, resource) = self.stack(stack)?.resources.first_key_value()?;
        Some(Change {
            action: "Modify",
            resource: name.clone(),
            kind: resource.kind.clone(),
            physical: resource.physical.clone(),
            replacement: Some("False"),
            keeps: false,
            properties: vec![("/Properties/Tags".to_owned(), Some("by hand".to_owned()), None, "Never")],
        })
    }
}

fn changes(there: &BTreeMap<String, Resource>, wanted: &BTreeMap<String, Evaluated>) -> Vec<Change> {
    let change = |action, resource: &String, kind: &String, physical: &str| Change {
        action,
        resource: resource.clone(),
        kind: kind.clone(),
        physical: physical.to_owned(),
        replacement: None,
        keeps: false,
        properties: Vec::new(),
    };
    let mut changes = Vec::new();
    for (name, evaluated) in wanted {
        let Some(old) = there.get(name) else {
            changes.push(change("Add", name, &evaluated.kind, ""));
            continue;
        };
        let properties = differences(&evaluated.kind, &old.properties, &evaluated.properties);
        if properties.is_empty() {
            continue;
        }
        let replaces = properties.iter().any(|(.., recreation)| *recreation == "Always");
        changes.push(Change {
            replacement: Some(if replaces { "True" } else { "False" }),
            keeps: evaluated.keeps,
            properties,
            ..change("Modify", name, &evaluated.kind, &old.physical)
        });
    }
    let gone = there.iter().filter(|(name, _)| !wanted.contains_key(*name));
    changes.extend(gone.map(|(name, old)| change("Remove", name, &old.kind, &old.physical)));
    changes
}

fn differences(
    kind: &str,
    old: &Value,
    new: &Value,
) -> Vec<(String, Option<String>, Option<String>, &'static str)> {
    let names: BTreeSet<&String> =
        [old, new].iter().filter_map(|side| side.as_object()).flat_map(|side| side.keys()).collect();
    let replacing =
        REPLACING.iter().find(|(known, _)| *known == kind).map(|(_, names)| *names).unwrap_or_default();
    let told = |value: Option<&Value>| value.map(super::template::text);
    let all = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(|name| {
        let always = replacing.contains(&name.as_str()) || replacing.contains(&"*");
        let recreation = if always { "Always" } else { "Never" };
        (format!("/Properties/{name}"), told(old.get(name)), told(new.get(name)), recreation)
    });
    all.collect()
}

/// The time, as CloudFormation writes it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
