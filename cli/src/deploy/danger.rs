//! Which changes cut calls or lose data.

use serde::Serialize;

use super::plan::{Action, Change, Replacement};

/// What a change costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Danger {
    /// Calls, streams or connections are cut.
    Calls,
    /// Data is lost.
    Data,
}

/// What replacing or removing a resource of a type costs.
const COSTS: &[(&str, Danger, &str)] = &[
    (
        "AWS::ElastiCache::ReplicationGroup",
        Danger::Data,
        "rooms, stations and live streams in it are lost, and calls are cut",
    ),
    (
        "AWS::SecretsManager::Secret",
        Danger::Data,
        "the secret in it is lost: tokens signed by it stop working",
    ),
    ("AWS::S3::Bucket", Danger::Data, "what is stored in it is lost"),
    ("AWS::ECR::Repository", Danger::Data, "the images in it are lost"),
    ("AWS::Logs::LogGroup", Danger::Data, "the logs in it are lost"),
    ("AWS::ECS::Service", Danger::Calls, "its tasks stop, and calls and connections on them are cut"),
    ("AWS::ECS::Cluster", Danger::Calls, "all services in it stop, and all calls are cut"),
    ("AWS::EC2::VPC", Danger::Calls, "everything in it is replaced, and all calls are cut"),
    ("AWS::EC2::Subnet", Danger::Calls, "tasks in it are replaced, and calls on them are cut"),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        Danger::Calls,
        "its address changes, and connections through it are cut",
    ),
    ("AWS::ApiGatewayV2::Api", Danger::Calls, "its address changes, and connections to it are cut"),
    ("AWS::CloudFront::Distribution", Danger::Calls, "its address changes, and players on the old one stop"),
    ("AWS::EC2::EIP", Danger::Calls, "its address changes, and connections to it are cut"),
];

/// Properties whose change cuts something though the resource stays, by type.
const RESTARTS: &[(&str, &str, &str)] = &[
    (
        "AWS::ElastiCache::ReplicationGroup",
        "EngineVersion",
        "the store restarts node by node: joins fail for seconds",
    ),
    (
        "AWS::ElastiCache::ReplicationGroup",
        "CacheNodeType",
        "the store moves to other nodes: joins fail for seconds",
    ),
];

/// What a change costs, if it costs anything: for people.
pub(super) fn danger(change: &Change) -> Option<(Danger, String)> {
    let of = format!("{} in {}", change.resource, change.stack);
    let fate = match (change.action, change.replacement) {
        (Action::Add, _) => return None,
        (Action::Remove, _) => "is removed",
        (Action::Replace, Some(Replacement::Conditional)) => "may be replaced",
        (Action::Replace, Some(Replacement::True | Replacement::False) | None) => "is replaced",
        (Action::Change, _) => return restart(change, &of),
    };
    // What is retained or snapshot stays, though no longer in use.
    let is_kept = change
        .policy
        .as_deref()
        .is_some_and(|policy| policy.contains("Retain") || policy.contains("Snapshot"));
    let (_, danger, cost) = COSTS.iter().find(|(kind, ..)| *kind == change.kind)?;
    if is_kept && *danger == Danger::Data && change.kind != "AWS::ElastiCache::ReplicationGroup" {
        return None;
    }
    Some((*danger, format!("{of} {fate}: {cost}")))
}

fn restart(change: &Change, of: &str) -> Option<(Danger, String)> {
    let touches = |name: &str| change.properties.iter().any(|property| property.path.contains(name));
    let (_, _, cost) = RESTARTS.iter().find(|(kind, name, _)| *kind == change.kind && touches(name))?;
    Some((Danger::Calls, format!("{of} changes: {cost}")))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Property;
    use super::*;

    fn change(action: Action, kind: &str) -> Change {
        Change {
            action,
            resource: "It".to_owned(),
            kind: kind.to_owned(),
            replacement: None,
            scope: Vec::new(),
            stack: "demo-x".to_owned(),
            physical: None,
            policy: None,
            properties: Vec::new(),
        }
    }

    #[test]
    fn what_comes_costs_nothing_and_what_goes_may() {
        assert_eq!(danger(&change(Action::Add, "AWS::S3::Bucket")), None);
        assert_eq!(danger(&change(Action::Remove, "AWS::S3::Bucket")).unwrap().0, Danger::Data);
        assert_eq!(danger(&change(Action::Replace, "AWS::ECS::Service")).unwrap().0, Danger::Calls);
        assert_eq!(danger(&change(Action::Remove, "AWS::CloudWatch::Alarm")), None);
    }

    #[test]
    fn what_is_kept_is_not_lost() {
        let kept = Change { policy: Some("Retain".to_owned()), ..change(Action::Remove, "AWS::S3::Bucket") };
        assert_eq!(danger(&kept), None);
        let store = Change {
            policy: Some("ReplaceAndSnapshot".to_owned()),
            ..change(Action::Replace, "AWS::ElastiCache::ReplicationGroup")
        };
        assert!(danger(&store).is_some(), "a snapshot keeps no call alive");
    }

    #[test]
    fn a_property_that_restarts_the_store_is_warned_of() {
        let property = Property {
            path: "/Properties/EngineVersion".to_owned(),
            before: None,
            after: None,
            recreation: None,
        };
        let store = Change {
            properties: vec![property],
            ..change(Action::Change, "AWS::ElastiCache::ReplicationGroup")
        };
        assert_eq!(danger(&store).unwrap().0, Danger::Calls);
        assert_eq!(danger(&change(Action::Change, "AWS::ElastiCache::ReplicationGroup")), None);
    }
}
