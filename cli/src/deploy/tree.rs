//! How a stack's resources stand, drawn as a tree: CloudFormation's events in, lines out.

use std::fmt::Write;

use jiff::Timestamp;

use crate::output::{Output, span};

/// The type of a stack itself, among its resources.
pub const STACK: &str = "AWS::CloudFormation::Stack";
/// The type of an ECS service.
pub const SERVICE: &str = "AWS::ECS::Service";

/// What CloudFormation said of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The resource's name in the template; the stack's name for the stack itself.
    pub resource: String,
    /// Its name in AWS.
    pub physical: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its state, `CREATE_IN_PROGRESS`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

impl Event {
    /// Whether it tells of the stack and not of a resource in it.
    pub fn is_of_stack(&self) -> bool {
        self.kind == STACK
    }

    /// Whether it tells that something failed.
    pub fn is_failure(&self) -> bool {
        self.status.ends_with("_FAILED")
    }
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// At it.
    Busy,
    /// Done.
    Done,
    /// Failed.
    Failed,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name in the template.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// Its name in AWS.
    pub physical: Option<String>,
    /// How far it is.
    pub phase: Phase,
    /// What is done to it: `creating`, `updated`, `deletion failed`.
    pub words: String,
    /// Why it failed, or how it goes on inside (an ECS rollout).
    pub note: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when, once done or failed.
    pub until: Option<Timestamp>,
}

/// A stack's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The stack.
    pub stack: String,
    /// What is done to it.
    pub words: String,
    /// How far it is.
    pub phase: Phase,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Those that were announced or told of, in that order.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// A stack of which these resources (name, type) are to change.
    pub fn new(stack: &str, expected: impl IntoIterator<Item = (String, String)>) -> Self {
        let nodes = expected.into_iter().map(|(resource, kind)| Node {
            resource,
            kind,
            physical: None,
            phase: Phase::Waiting,
            words: "waiting".to_owned(),
            note: None,
            since: None,
            until: None,
        });
        Self {
            stack: stack.to_owned(),
            words: "waiting".to_owned(),
            phase: Phase::Waiting,
            since: None,
            until: None,
            nodes: nodes.collect(),
        }
    }

    /// Takes in what happened; → a line that says so, for those who see no tree, unless it was known.
    pub fn apply(&mut self, event: &Event) -> Option<String> {
        let (phase, words) = read(&event.status);
        let until = matches!(phase, Phase::Done | Phase::Failed).then_some(event.at);
        let mut is_news = true;
        if event.is_of_stack() {
            self.since = self.since.or(Some(event.at));
            (self.phase, self.until) = (phase, until);
            self.words.clone_from(&words);
        } else {
            let node = self.node(event);
            // A creation is told of twice: when it begins, and when the resource has its name.
            is_news = node.words != words;
            if is_news || node.since.is_none() {
                // A rollback begins the clock anew; being told twice does not.
                let went_on = node.phase == Phase::Busy && phase != Phase::Busy;
                node.since = if went_on { node.since } else { Some(event.at) };
            }
            node.phase = phase;
            node.words.clone_from(&words);
            node.until = until;
            node.physical = event.physical.clone().filter(|name| !name.is_empty()).or(node.physical.take());
            node.note = event.reason.clone().filter(|_| phase == Phase::Failed);
        }
        let reason = event.reason.as_deref().filter(|_| phase == Phase::Failed);
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        is_news.then(|| format!("{}  {}  {}  {words}{reason}", self.stack, event.resource, event.kind))
    }

    /// Says how a resource goes on inside, as an ECS rollout does.
    pub fn note(&mut self, resource: &str, note: String) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.resource == resource) {
            node.note = Some(note);
        }
    }

    /// The ECS services that are being worked on: name in the template, and in AWS.
    pub fn busy_services(&self) -> Vec<(String, String)> {
        let busy = self.nodes.iter().filter(|node| node.kind == SERVICE && node.phase == Phase::Busy);
        busy.filter_map(|node| Some((node.resource.clone(), node.physical.clone()?))).collect()
    }

    /// How many of the resources are done, and how many there are.
    pub fn count(&self) -> (usize, usize) {
        (self.nodes.iter().filter(|node| node.phase == Phase::Done).count(), self.nodes.len())
    }

    /// The tree, at most `height` lines: what is done gives way to what is not.
    pub fn text(&self, output: &Output, now: Timestamp, height: usize) -> String {
        let (done, all) = self.count();
        let mut text = format!("{}  {}  {done}/{all}", output.bold(&self.stack), self.words);
        let _ = write!(text, "{}", took(self.since, self.until, now));
        let room = height.saturating_sub(2).max(1);
        let mut shown: Vec<&Node> = self.nodes.iter().collect();
        let mut hidden = 0;
        for phase in [Phase::Done, Phase::Waiting, Phase::Busy] {
            while shown.len() > room {
                let Some(place) = shown.iter().position(|node| node.phase == phase) else { break };
                shown.remove(place);
                hidden += 1;
            }
        }
        let width = shown.iter().map(|node| node.resource.len()).max().unwrap_or(0);
        let last = shown.len();
        for (index, node) in shown.into_iter().enumerate() {
            let branch = if index + 1 == last && hidden == 0 { "└" } else { "├" };
            let words = match node.phase {
                Phase::Waiting => output.dim(&node.words),
                Phase::Busy => output.warn(&node.words),
                Phase::Done => output.good(&node.words),
                Phase::Failed => output.bad(&node.words),
            };
            let kind = node.kind.trim_start_matches("AWS::");
            let time = took(node.since, node.until, now);
            let note = node.note.as_deref().map_or_else(String::new, |note| format!("  {note}"));
            let _ = write!(
                text,
                "\n  {branch} {:<width$}  {}  {words}{time}{note}",
                node.resource,
                output.dim(kind)
            );
        }
        if hidden > 0 {
            let _ = write!(text, "\n  └ {hidden} more");
        }
        text
    }

    fn node(&mut self, event: &Event) -> &mut Node {
        let place = self.nodes.iter().position(|node| node.resource == event.resource);
        let place = place.unwrap_or_else(|| {
            let fresh = Tree::new("", [(event.resource.clone(), event.kind.clone())]);
            self.nodes.extend(fresh.nodes);
            self.nodes.len() - 1
        });
        &mut self.nodes[place]
    }
}

fn took(since: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> String {
    let seconds = since.map(|since| until.unwrap_or(now).duration_since(since).as_secs().max(0));
    seconds.map_or_else(String::new, |seconds| format!("  {}", span(seconds.unsigned_abs())))
}

/// A state in words: `CREATE_IN_PROGRESS` is being at it, `creating`.
fn read(status: &str) -> (Phase, String) {
    let (verb, phase) = ["_IN_PROGRESS", "_COMPLETE", "_FAILED", "_SKIPPED"]
        .iter()
        .find_map(|end| Some((status.strip_suffix(end)?, *end)))
        .unwrap_or((status, ""));
    let (doing, done, deed) = match verb {
        "CREATE" => ("creating", "created", "creation"),
        "UPDATE" => ("updating", "updated", "update"),
        "DELETE" => ("deleting", "deleted", "deletion"),
        "ROLLBACK" | "UPDATE_ROLLBACK" | "IMPORT_ROLLBACK" => ("rolling back", "rolled back", "rollback"),
        "IMPORT" => ("importing", "imported", "import"),
        "UPDATE_COMPLETE_CLEANUP" | "UPDATE_ROLLBACK_COMPLETE_CLEANUP" => {
            ("cleaning up", "cleaned up", "clean-up")
        }
        "REVIEW" => ("proposed", "proposed", "proposal"),
        other => (other, other, other),
    };
    match phase {
        "_IN_PROGRESS" => (Phase::Busy, doing.to_owned()),
        "_COMPLETE" => (Phase::Done, done.to_owned()),
        "_FAILED" => (Phase::Failed, format!("{deed} failed")),
        "_SKIPPED" => (Phase::Done, "kept".to_owned()),
        _ => (Phase::Busy, verb.to_lowercase().replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn event(second: i64, resource: &str, kind: &str, status: &str, reason: Option<&str>) -> Event {
        Event {
            id: format!("{resource}-{second}"),
            at: Timestamp::from_second(second).unwrap(),
            resource: resource.to_owned(),
            physical: Some(format!("{resource}-1")),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }

    fn plain() -> Output {
        Output::new(Format::Json, true, 0)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tree() -> Tree {
        let expected = [("Vpc", "AWS::EC2::VPC"), ("Service", SERVICE), ("Alarm", "AWS::CloudWatch::Alarm")];
        let expected = expected.map(|(resource, kind)| (resource.to_owned(), kind.to_owned()));
        let mut tree = Tree::new("demo-munit", expected);
        for event in [
            event(0, "demo-munit", STACK, "CREATE_IN_PROGRESS", Some("User Initiated")),
            event(1, "Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS", None),
            event(4, "Vpc", "AWS::EC2::VPC", "CREATE_COMPLETE", None),
            event(5, "Service", SERVICE, "CREATE_IN_PROGRESS", Some("Resource creation Initiated")),
        ] {
            tree.apply(&event);
        }
        tree
    }

    #[test]
    fn a_tree_shows_what_is_done_what_is_busy_and_what_waits() {
        let mut tree = tree();
        tree.note("Service", "1 of 2 tasks running".to_owned());
        let expected = "\
demo-munit  creating  1/3  1m05s
  ├ Vpc      EC2::VPC  created  3s
  ├ Service  ECS::Service  creating  1m00s  1 of 2 tasks running
  └ Alarm    CloudWatch::Alarm  waiting";
        assert_eq!(tree.text(&plain(), at(65), 20), expected);
        assert_eq!(tree.busy_services(), [("Service".to_owned(), "Service-1".to_owned())]);
    }

    #[test]
    fn a_low_terminal_sees_what_is_not_done() {
        let text = tree().text(&plain(), at(6), 4);
        assert!(text.contains("Service") && text.contains("Alarm") && text.ends_with("└ 1 more"), "{text}");
        assert!(!text.contains("Vpc"), "{text}");
    }

    #[test]
    fn a_failure_stays_in_sight_with_its_reason() {
        let mut tree = tree();
        let again = tree.apply(&event(6, "Service", SERVICE, "CREATE_IN_PROGRESS", None));
        assert_eq!(again, None, "nothing new");
        let line = tree.apply(&event(9, "Service", SERVICE, "CREATE_FAILED", Some("no image")));
        assert_eq!(line.unwrap(), "demo-munit  Service  AWS::ECS::Service  creation failed: no image");
        assert!(tree.text(&plain(), at(10), 2).contains("creation failed  4s  no image"));
    }

    #[test]
    fn a_rollback_is_timed_anew() {
        let mut tree = tree();
        tree.apply(&event(20, "Vpc", "AWS::EC2::VPC", "DELETE_IN_PROGRESS", None));
        let text = tree.text(&plain(), at(22), 20);
        assert!(text.contains("Vpc      EC2::VPC  deleting  2s"), "{text}");
    }
}
