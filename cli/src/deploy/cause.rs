//! What went wrong first, and what to do about it.

use super::run::Kind;
use super::status::StackStatus;
use super::tree::Event;

/// What was seen of the tasks of a service that did not come up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Why each task stopped, the same reason once.
    pub stopped: Vec<String>,
    /// The last lines that a stopped task logged, with the container's name.
    pub log: Vec<String>,
}

/// Reasons that only follow from another.
const CONSEQUENCES: &[&str] = &[
    "Resource creation cancelled",
    "Resource update cancelled",
    "Resource deletion cancelled",
    "The following resource(s) failed to",
];

/// What CloudFormation and AWS say, and what one does about it; the first that fits.
const REMEDIES: &[(&[&str], &str)] = &[
    (
        &["CannotPullContainerError", "pull image manifest", "image not found"],
        "push the images (`mobzctl image push`), or correct images.tag in mobz.yaml; then deploy again",
    ),
    (
        &["unable to pull secrets", "ResourceInitializationError"],
        "see that the task can reach Secrets Manager and ECR, and its execution role may; then deploy again",
    ),
    (
        &["not authorized to perform", "AccessDenied", "is not authorized", "UnauthorizedOperation"],
        "give your AWS user or role the permission that is named; then deploy again",
    ),
    (
        &["LimitExceeded", "limit exceeded", "quota", "maximum number", "has been reached"],
        "raise the quota that is named (Service Quotas in the AWS console), or ask for less in mobz.yaml; then deploy again",
    ),
    (
        &["already exists", "AlreadyExists"],
        "something of that name is there that this environment does not own: remove it, or choose another environment name",
    ),
    (
        &["Insufficient capacity", "InsufficientCapacity", "Capacity is unavailable"],
        "AWS has no room for it just now: deploy again later, or set spot: false",
    ),
    (
        &["Circuit Breaker", "did not stabilize", "failed to stabilize", "essential container", "exit code"],
        "the tasks do not stay up: the last lines above say why; mend that, then deploy again",
    ),
    (&["health check"], "the tasks do not get healthy: the last lines above say why; then deploy again"),
    (&["Rate exceeded", "Throttling"], "AWS was asked too much at once: deploy again"),
    (
        &["not empty", "NotEmpty"],
        "something was put into it meanwhile: run this again, which empties it first",
    ),
    (
        &["Template", "template"],
        "this is a fault of the templates in this version: report it, with what was said",
    ),
];

/// The first failure that is no mere consequence of another.
pub fn first_cause(events: &[Event]) -> Option<&Event> {
    let failures = || events.iter().filter(|event| event.is_failure() && !event.is_of_stack());
    let is_own = |event: &&Event| {
        let reason = event.reason.as_deref().unwrap_or_default();
        !CONSEQUENCES.iter().any(|consequence| reason.contains(consequence))
    };
    failures()
        .filter(is_own)
        .min_by_key(|event| event.at)
        .or_else(|| failures().min_by_key(|event| event.at))
        .or_else(|| events.iter().find(|event| event.is_failure()))
}

/// Why a stack is not what it should be, for people: the first cause, what the tasks said, what was rolled
/// back.
pub fn why(events: &[Event], evidence: &Evidence, kind: Kind, status: Option<StackStatus>) -> String {
    let mut text = match first_cause(events) {
        Some(event) => {
            let reason = event.reason.as_deref().unwrap_or("no reason was given");
            format!("{} ({}): {}", event.resource, event.kind, reason.trim_end_matches('.'))
        }
        None => "CloudFormation gave no reason".to_owned(),
    };
    for reason in &evidence.stopped {
        text.push_str("\n       task stopped: ");
        text.push_str(reason);
    }
    for line in &evidence.log {
        text.push_str("\n       | ");
        text.push_str(line);
    }
    text.push_str("\n       ");
    text.push_str(rolled_back(kind, status));
    text
}

/// What became of the stack.
pub const fn rolled_back(kind: Kind, status: Option<StackStatus>) -> &'static str {
    match (kind, status) {
        (_, None) => "nothing is left of the stack",
        (_, Some(StackStatus::RollbackComplete)) => {
            "what had been created was taken away again; the next deploy begins this stack anew"
        }
        (_, Some(StackStatus::RollbackFailed)) => {
            "what had been created could not all be taken away; the next deploy tries that again first"
        }
        (_, Some(StackStatus::UpdateRollbackComplete)) => "the stack is back at what it was before",
        (_, Some(StackStatus::UpdateRollbackFailed)) => {
            "the stack could not be brought back to what it was; the next deploy finishes that first"
        }
        (Kind::Create, Some(_)) => "the stack is only partly there",
        (Kind::Update, Some(_)) => "the stack is only partly updated",
    }
}

/// What to do about it.
pub fn remedy(events: &[Event], evidence: &Evidence) -> &'static str {
    let cause = first_cause(events).and_then(|event| event.reason.as_deref()).unwrap_or_default();
    let mut texts = evidence.stopped.iter().map(String::as_str).chain([cause]);
    // What a task says of itself tells more than what CloudFormation says of its service.
    texts
        .find_map(advice)
        .unwrap_or("mend what is said above, then run `mobzctl deploy` again: it goes on where it stopped")
}

/// What one does about a reason that AWS gave, if that is known.
pub fn advice(reason: &str) -> Option<&'static str> {
    REMEDIES
        .iter()
        .find(|(words, _)| words.iter().any(|word| reason.contains(word)))
        .map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::tree::{SERVICE, STACK};
    use super::*;

    fn failed(second: i64, resource: &str, kind: &str, reason: &str) -> Event {
        Event {
            id: second.to_string(),
            at: Timestamp::from_second(second).unwrap(),
            resource: resource.to_owned(),
            physical: None,
            kind: kind.to_owned(),
            status: "CREATE_FAILED".to_owned(),
            reason: Some(reason.to_owned()),
        }
    }

    #[test]
    fn the_first_failure_that_is_nobodys_consequence_is_the_cause() {
        let events = [
            failed(9, "demo-x", STACK, "The following resource(s) failed to create: [Service]"),
            failed(5, "Alarm", "AWS::CloudWatch::Alarm", "Resource creation cancelled"),
            failed(7, "Service", SERVICE, "ECS Deployment Circuit Breaker was triggered."),
            failed(8, "Other", SERVICE, "something later"),
        ];
        assert_eq!(first_cause(&events).unwrap().resource, "Service");
        assert_eq!(
            first_cause(&events[..2]).unwrap().resource,
            "Alarm",
            "a consequence is better than nothing"
        );
        assert_eq!(first_cause(&events[..1]).unwrap().resource, "demo-x");
        assert_eq!(first_cause(&[]), None);
    }

    #[test]
    fn what_tasks_said_stands_below_the_cause_and_then_what_was_rolled_back() {
        let events = [failed(7, "Service", SERVICE, "ECS Deployment Circuit Breaker was triggered.")];
        let evidence = Evidence {
            stopped: vec!["regulator: exit code 1".to_owned()],
            log: vec!["regulator  cannot open the store".to_owned()],
        };
        let told = why(&events, &evidence, Kind::Create, Some(StackStatus::RollbackComplete));
        let expected = "\
Service (AWS::ECS::Service): ECS Deployment Circuit Breaker was triggered
       task stopped: regulator: exit code 1
       | regulator  cannot open the store
       what had been created was taken away again; the next deploy begins this stack anew";
        assert_eq!(told, expected);
        assert!(remedy(&events, &evidence).contains("do not stay up"));
    }

    #[test]
    fn the_tasks_reason_advises_before_the_services() {
        let events = [failed(7, "Service", SERVICE, "ECS Deployment Circuit Breaker was triggered.")];
        let evidence = Evidence {
            stopped: vec!["CannotPullContainerError: pull image manifest has been retried".to_owned()],
            log: Vec::new(),
        };
        assert!(remedy(&events, &evidence).contains("mobzctl image push"));
    }
}
