//! What a deployment would change, in one shape whether CloudFormation or a template tells it.

use std::fmt::Write;

use serde::Serialize;

use super::danger::{Danger, danger};
use crate::output::Output;

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It comes.
    Add,
    /// It stays and is changed.
    Change,
    /// Another takes its place, for certain or perhaps (`replacement` says).
    Replace,
    /// It goes.
    Remove,
}

impl Action {
    const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Change => "~",
            Self::Replace => "±",
            Self::Remove => "-",
        }
    }
}

/// Whether another resource takes the place of one, in CloudFormation's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Replacement {
    /// For certain.
    True,
    /// It stays.
    False,
    /// Only when the change is made is it known.
    Conditional,
}

/// One property that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Where it is in the resource: `Properties.Tags.0`, or an attribute (`Tags`).
    pub path: String,
    /// Its value now; `null` where there is none or CloudFormation does not tell.
    pub before: Option<String>,
    /// Its value to be.
    pub after: Option<String>,
    /// Whether changing it makes a new resource: `Never`, `Conditionally`, `Always`.
    pub recreation: Option<String>,
}

/// One resource that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What becomes of it.
    pub action: Action,
    /// Its name in the template.
    pub resource: String,
    /// Its type, `AWS::…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether another takes its place; `null` for what comes or goes.
    pub replacement: Option<Replacement>,
    /// Which parts of it change: `Properties`, `Tags`, `Metadata`, ….
    pub scope: Vec<String>,
    /// The stack it is in.
    pub stack: String,
    /// Its name in AWS, where it has one.
    pub physical: Option<String>,
    /// What becomes of the old one: `Delete`, `Retain`, `Snapshot`, …, where CloudFormation tells.
    pub policy: Option<String>,
    /// The properties that change.
    pub properties: Vec<Property>,
}

impl Change {
    /// A resource that comes or goes as a whole.
    pub fn whole(action: Action, stack: &str, resource: String, kind: String) -> Self {
        Self {
            action,
            resource,
            kind,
            replacement: None,
            scope: Vec::new(),
            stack: stack.to_owned(),
            physical: None,
            policy: None,
            properties: Vec::new(),
        }
    }
}

/// What is done to one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StackPlan {
    /// Its name.
    pub stack: String,
    /// Its state, or `null` where there is none.
    pub status: Option<super::status::StackStatus>,
    /// What is done first because of that state: `delete`, `finishRollback`; `null` for nothing.
    pub first: Option<First>,
    /// Whether the changes were read from the template: what they depend on is not there yet.
    pub from_template: bool,
    /// How many changes there are.
    pub changes: usize,
}

/// What has to be done to a stack before it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum First {
    /// Its creation failed: what is left is deleted.
    Delete,
    /// The rollback of an update failed: it is finished.
    FinishRollback,
}

/// What would be lost, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// The stack.
    pub stack: String,
    /// The resource.
    pub resource: String,
    /// `calls` are cut or `data` is lost.
    pub loses: Danger,
    /// For people.
    pub text: String,
}

/// All that a deployment would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The environment.
    pub stack: String,
    /// Every resource that changes, in the order of the stacks.
    pub changes: Vec<Change>,
    /// The stacks, in the order in which they are deployed.
    pub stacks: Vec<StackPlan>,
    /// What would be lost.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// A plan of these stacks and their changes.
    pub fn new(environment: &str, stacks: Vec<(StackPlan, Vec<Change>)>) -> Self {
        let (stacks, changes): (Vec<_>, Vec<_>) = stacks.into_iter().unzip();
        let changes: Vec<Change> = changes.into_iter().flatten().collect();
        let warnings = changes.iter().filter_map(warning).collect();
        Self { stack: environment.to_owned(), changes, stacks, warnings }
    }

    /// Whether a deployment would do anything.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.stacks.iter().any(|stack| stack.first.is_some())
    }

    /// How many resources come, change, are replaced and go.
    pub fn counts(&self) -> [usize; 4] {
        [Action::Add, Action::Change, Action::Replace, Action::Remove]
            .map(|action| self.changes.iter().filter(|change| change.action == action).count())
    }

    /// In one line: `12 to add, 1 to change, 0 to replace, 0 to remove`.
    pub fn summary(&self) -> String {
        if !self.has_changes() {
            return format!("nothing to change in {}: it is as mobz.yaml says", self.stack);
        }
        let [add, change, replace, remove] = self.counts();
        format!("{}: {add} to add, {change} to change, {replace} to replace, {remove} to remove", self.stack)
    }

    /// For people: a tree of stacks, resources and properties, then the warnings, then the summary.
    pub fn text(&self, output: &Output) -> String {
        let mut text = String::new();
        for stack in &self.stacks {
            if stack.changes == 0 && stack.first.is_none() {
                continue;
            }
            let state = match (stack.status, stack.first) {
                (None, _) | (Some(super::status::StackStatus::ReviewInProgress), None) => {
                    "to create".to_owned()
                }
                (Some(_), Some(First::Delete)) => {
                    "to delete, for its creation failed, and create anew".to_owned()
                }
                (Some(_), Some(First::FinishRollback)) => {
                    "to finish a failed rollback of, then update".to_owned()
                }
                (Some(_), None) => "to update".to_owned(),
            };
            let _ = writeln!(text, "{}  {}", output.bold(&stack.stack), output.dim(&state));
            for change in self.changes.iter().filter(|change| change.stack == stack.stack) {
                text.push_str(&line(output, change));
            }
            text.push('\n');
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "{}  {}", output.warn("warning"), warning.text);
        }
        if !self.warnings.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.summary());
        text
    }
}

fn line(output: &Output, change: &Change) -> String {
    let sign = match change.action {
        Action::Add => output.good(change.action.sign()),
        Action::Change => output.warn(change.action.sign()),
        Action::Replace | Action::Remove => output.bad(change.action.sign()),
    };
    let fate = match (change.action, change.replacement) {
        (Action::Replace, Some(Replacement::Conditional)) => "  perhaps replaced",
        (Action::Replace, Some(Replacement::True | Replacement::False) | None) => "  replaced",
        (Action::Add | Action::Change | Action::Remove, _) => "",
    };
    let mut text = format!("  {sign} {:<28} {}{fate}\n", change.resource, output.dim(&change.kind));
    for property in &change.properties {
        let path = property.path.trim_start_matches('/').trim_start_matches("Properties/").replace('/', ".");
        let recreation = match property.recreation.as_deref() {
            Some("Always") => "  (replaces it)",
            Some("Conditionally") => "  (may replace it)",
            Some(_) | None => "",
        };
        let _ = match (&property.before, &property.after) {
            (None, None) => writeln!(text, "      {path}{recreation}"),
            (before, after) => {
                let (before, after) = (shown(before.as_deref()), shown(after.as_deref()));
                writeln!(text, "      {path}: {before} -> {after}{recreation}")
            }
        };
    }
    text
}

/// The most characters of a value that a plan shows to people; JSON has all of it.
const SHOWN_MAX: usize = 60;

fn shown(value: Option<&str>) -> String {
    match value {
        None => "none".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(text) if text.chars().count() > SHOWN_MAX => {
            let start: String = text.chars().take(SHOWN_MAX).collect();
            format!("{start}…")
        }
        Some(text) => text.to_owned(),
    }
}

fn warning(change: &Change) -> Option<Warning> {
    let (loses, text) = danger(change)?;
    Some(Warning { stack: change.stack.clone(), resource: change.resource.clone(), loses, text })
}

#[cfg(test)]
mod tests {
    use super::super::status::StackStatus;
    use super::*;
    use crate::output::Format;

    fn change(action: Action, resource: &str, kind: &str) -> Change {
        Change {
            action,
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            replacement: None,
            scope: Vec::new(),
            stack: "demo-redis".to_owned(),
            physical: None,
            policy: None,
            properties: Vec::new(),
        }
    }

    fn stack(status: Option<StackStatus>, changes: usize) -> StackPlan {
        StackPlan { stack: "demo-redis".to_owned(), status, first: None, from_template: false, changes }
    }

    fn plan() -> Plan {
        let property = |path: &str, before: Option<&str>, after: &str, recreation: &str| Property {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
            recreation: Some(recreation.to_owned()),
        };
        let group = Change {
            replacement: Some(Replacement::True),
            scope: vec!["Properties".to_owned()],
            policy: Some("ReplaceAndDelete".to_owned()),
            properties: vec![
                property("/Properties/NumNodeGroups", Some("1"), "3", "Always"),
                property("/Properties/CacheNodeType", Some("cache.t4g.small"), "cache.m7g.large", "Never"),
            ],
            ..change(Action::Replace, "Store", "AWS::ElastiCache::ReplicationGroup")
        };
        let rule = change(Action::Add, "Rule", "AWS::EC2::SecurityGroupIngress");
        Plan::new("demo", vec![(stack(Some(StackStatus::UpdateComplete), 2), vec![group, rule])])
    }

    #[test]
    fn a_plan_for_people_shows_properties_replacements_warnings_and_a_sum() {
        let text = plan().text(&Output::new(Format::Json, true, 0));
        let expected = "\
demo-redis  to update
  ± Store                        AWS::ElastiCache::ReplicationGroup  replaced
      NumNodeGroups: 1 -> 3  (replaces it)
      CacheNodeType: cache.t4g.small -> cache.m7g.large
  + Rule                         AWS::EC2::SecurityGroupIngress

warning  Store in demo-redis is replaced: rooms, stations and live streams in it are lost, and calls are cut

demo: 1 to add, 0 to change, 1 to replace, 0 to remove";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_has_the_keys_that_scripts_rely_on() {
        let json = serde_json::to_value(plan()).unwrap();
        assert_eq!(json["stack"], "demo");
        let first = &json["changes"][0];
        assert_eq!(first["action"], "replace");
        assert_eq!(first["resource"], "Store");
        assert_eq!(first["type"], "AWS::ElastiCache::ReplicationGroup");
        assert_eq!(first["replacement"], "True");
        assert_eq!(first["scope"], serde_json::json!(["Properties"]));
        assert_eq!(json["changes"][1]["replacement"], serde_json::Value::Null);
        assert_eq!(json["warnings"][0]["loses"], "data");
    }

    #[test]
    fn no_change_is_said_in_one_line() {
        let plan = Plan::new("demo", vec![(stack(Some(StackStatus::CreateComplete), 0), Vec::new())]);
        assert!(!plan.has_changes());
        assert_eq!(
            plan.text(&Output::new(Format::Json, true, 0)),
            "nothing to change in demo: it is as mobz.yaml says"
        );
    }

    #[test]
    fn a_stack_that_must_be_deleted_first_is_a_change() {
        let stack = StackPlan { first: Some(First::Delete), ..stack(Some(StackStatus::RollbackComplete), 0) };
        let plan = Plan::new("demo", vec![(stack, Vec::new())]);
        assert!(plan.has_changes());
        assert!(plan.text(&Output::new(Format::Json, true, 0)).contains("for its creation failed"));
    }
}
