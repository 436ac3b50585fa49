//! CloudFormation at work: a change set or a deletion, resource by resource, with what goes wrong on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Shared;
use super::template::{Evaluated, Scope, Template, text};
use super::world::{ChangeSet, Resource, Service, Stack, Task, World};

/// How long one step of one resource takes.
const STEP: Duration = Duration::from_millis(2);
/// How long it takes until a change set that is executed shows in its stack's state.
const BEGIN: Duration = Duration::from_millis(50);
/// How often something that is held is looked at.
const HELD: Duration = Duration::from_millis(5);

/// Does what a change set says; → at its end.
pub(super) async fn execute(shared: Arc<Shared>, set: ChangeSet) {
    let before = shared.world().stack(&set.stack).cloned().unwrap_or_default();
    let id = before.id.clone();
    let verb = if set.is_creation { "CREATE" } else { "UPDATE" };
    // As on AWS, it is asked for before it shows.
    tokio::time::sleep(BEGIN).await;
    {
        let mut world = shared.world();
        world.tell_stack(&id, &format!("{verb}_IN_PROGRESS"), "User Initiated");
        if let Some(stack) = world.stack_mut(&id) {
            stack.parameters.clone_from(&set.parameters);
            stack.tags.clone_from(&set.tags);
            stack.template.clone_from(&set.template);
        }
    }
    let Ok(template) = Template::parse(&set.template) else { return };
    let mut replaced = Vec::new();
    let mut failed = None;
    for name in order(&set, &template, &shared, &id) {
        if let Err(reason) = bring(&shared, &id, &name, &set, &template, &mut replaced).await {
            failed = Some((name, reason));
            break;
        }
    }
    if let Some((name, _)) = failed {
        shared.world().tell_stack(
            &id,
            &format!("{}ROLLBACK_IN_PROGRESS", if set.is_creation { "" } else { "UPDATE_" }),
            &format!("The following resource(s) failed to {}: [{name}].", verb.to_lowercase()),
        );
        roll_back(&shared, &id, &before, set.is_creation).await;
        return;
    }
    if !set.is_creation {
        shared.world().tell_stack(&id, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "");
        for name in
            set.changes.iter().filter(|change| change.action == "Remove").map(|change| &change.resource)
        {
            remove(&shared, &id, name).await;
        }
        for (name, kind) in replaced {
            shared.world().tell(&id, &name, &kind, "DELETE_IN_PROGRESS", "");
            tokio::time::sleep(STEP).await;
            shared.world().tell(&id, &name, &kind, "DELETE_COMPLETE", "");
        }
    }
    let mut world = shared.world();
    let outputs = {
        let Some(stack) = world.stack(&id) else { return };
        let physical =
            stack.resources.iter().map(|(name, one)| (name.clone(), one.physical.clone())).collect();
        template.outputs(&Scope { stack: &stack.name, parameters: &stack.parameters, physical: &physical })
    };
    if let Some(stack) = world.stack_mut(&id) {
        stack.outputs = outputs;
        stack.drifted = false;
    }
    world.tell_stack(&id, &format!("{verb}_COMPLETE"), "");
}

/// Deletes a stack but for what is to be kept.
pub(super) async fn delete(shared: Arc<Shared>, id: String, keep: BTreeSet<String>) {
    let names: Vec<String> = shared
        .world()
        .stack(&id)
        .map(|stack| stack.resources.keys().rev().cloned().collect())
        .unwrap_or_default();
    for name in names.iter().filter(|name| !keep.contains(*name)) {
        if !remove(&shared, &id, name).await {
            let reason = format!("The following resource(s) failed to delete: [{name}].");
            shared.world().tell_stack(&id, "DELETE_FAILED", &reason);
            return;
        }
    }
    shared.world().tell_stack(&id, "DELETE_COMPLETE", "");
}

/// Finishes the rollback of an update.
pub(super) async fn continue_rollback(shared: Arc<Shared>, id: String) {
    shared.world().tell_stack(&id, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated");
    tokio::time::sleep(STEP).await;
    let name = shared.world().stack(&id).map(|stack| stack.name.clone()).unwrap_or_default();
    let fault = shared.world().fault(&name, "*", "ROLLBACK");
    let status = if fault.is_some() { "UPDATE_ROLLBACK_FAILED" } else { "UPDATE_ROLLBACK_COMPLETE" };
    shared.world().tell_stack(&id, status, &fault.unwrap_or_default());
}

/// The resources that come or change, each after what it refers to.
fn order(set: &ChangeSet, template: &Template, shared: &Shared, id: &str) -> Vec<String> {
    let world = shared.world();
    let Some(stack) = world.stack(id) else { return Vec::new() };
    let physical = BTreeMap::new();
    let all =
        template.resources(&Scope { stack: &stack.name, parameters: &set.parameters, physical: &physical });
    let mut ordered = Vec::new();
    for name in all.keys() {
        visit(name, &all, &mut ordered);
    }
    let changes = |name: &String| {
        set.changes.iter().any(|change| change.resource == *name && change.action != "Remove")
    };
    ordered.into_iter().filter(changes).collect()
}

/// Puts a resource behind those it needs.
fn visit(name: &str, all: &BTreeMap<String, Evaluated>, ordered: &mut Vec<String>) {
    if ordered.iter().any(|known| known == name) {
        return;
    }
    let Some(resource) = all.get(name) else { return };
    resource.needs.iter().filter(|need| *need != name).for_each(|need| visit(need, all, ordered));
    if !ordered.iter().any(|known| known == name) {
        ordered.push(name.to_owned());
    }
}

/// Creates or changes one resource.
async fn bring(
    shared: &Shared,
    id: &str,
    name: &str,
    set: &ChangeSet,
    template: &Template,
    replaced: &mut Vec<(String, String)>,
) -> Result<(), String> {
    let (kind, is_new, fault, stack) = {
        let mut world = shared.world();
        let Some(stack) = world.stack(id).cloned() else { return Ok(()) };
        let old = stack.resources.get(name).cloned();
        let physical =
            stack.resources.iter().map(|(name, one)| (name.clone(), one.physical.clone())).collect();
        let scope = Scope { stack: &stack.name, parameters: &set.parameters, physical: &physical };
        let Some(wanted) = template.resources(&scope).remove(name) else { return Ok(()) };
        let change = set.changes.iter().find(|change| change.resource == name);
        let is_replaced = change.is_some_and(|change| change.replacement == Some("True"));
        let is_new = old.is_none() || is_replaced;
        let kind = wanted.kind.clone();
        if let Some(old) = old.as_ref().filter(|_| is_replaced && !change.is_some_and(|change| change.keeps))
        {
            replaced.push((name.to_owned(), old.kind.clone()));
        }
        let verb = if is_new { "CREATE" } else { "UPDATE" };
        world.tell(id, name, &kind, &format!("{verb}_IN_PROGRESS"), "");
        let physical = match old.filter(|_| !is_replaced) {
            Some(old) => old.physical,
            None => world.named(&stack.name, name, &wanted.kind, &wanted.properties),
        };
        let resource =
            Resource { kind: kind.clone(), physical, properties: wanted.properties, status: String::new() };
        if let Some(stack) = world.stack_mut(id) {
            stack.resources.insert(name.to_owned(), resource.clone());
        }
        world.tell(id, name, &kind, &format!("{verb}_IN_PROGRESS"), "Resource creation Initiated");
        world.made(&resource);
        let fault = world.fault(&stack.name, name, verb);
        (kind, is_new, fault, stack.name)
    };
    let verb = if is_new { "CREATE" } else { "UPDATE" };
    tokio::time::sleep(STEP).await;
    while shared.world().held.contains(&format!("{stack}/{name}")) {
        tokio::time::sleep(HELD).await;
    }
    let mut world = shared.world();
    if let Some(reason) = fault {
        world.tell(id, name, &kind, &format!("{verb}_FAILED"), &reason);
        return Err(reason);
    }
    world.tell(id, name, &kind, &format!("{verb}_COMPLETE"), "");
    Ok(())
}

async fn remove(shared: &Shared, id: &str, name: &str) -> bool {
    let Some((stack, resource)) = shared
        .world()
        .stack(id)
        .and_then(|stack| Some((stack.name.clone(), stack.resources.get(name)?.clone())))
    else {
        return true;
    };
    shared.world().tell(id, name, &resource.kind, "DELETE_IN_PROGRESS", "");
    tokio::time::sleep(STEP).await;
    while shared.world().held.contains(&format!("{stack}/{name}")) {
        tokio::time::sleep(HELD).await;
    }
    let mut world = shared.world();
    let is_full = world.objects.get(&resource.physical).is_some_and(|objects| !objects.is_empty());
    let fault = world.fault(&stack, name, "DELETE").or_else(|| {
        (resource.kind == "AWS::S3::Bucket" && is_full)
            .then(|| "The bucket you tried to delete is not empty".to_owned())
    });
    if let Some(reason) = fault {
        world.tell(id, name, &resource.kind, "DELETE_FAILED", &reason);
        return false;
    }
    world.tell(id, name, &resource.kind, "DELETE_COMPLETE", "");
    world.unmade(&resource);
    if let Some(stack) = world.stack_mut(id) {
        stack.resources.remove(name);
    }
    true
}

async fn roll_back(shared: &Shared, id: &str, before: &Stack, is_creation: bool) {
    let fault = shared.world().fault(&before.name, "*", "ROLLBACK");
    let names: Vec<String> = shared
        .world()
        .stack(id)
        .map(|stack| stack.resources.keys().rev().cloned().collect())
        .unwrap_or_default();
    for name in names {
        if is_creation || !before.resources.contains_key(&name) {
            remove(shared, id, &name).await;
        } else {
            let kind = before.resources[&name].kind.clone();
            let is_changed = shared
                .world()
                .stack(id)
                .is_some_and(|stack| stack.resources.get(&name) != before.resources.get(&name));
            if is_changed {
                shared.world().tell(id, &name, &kind, "UPDATE_IN_PROGRESS", "");
                tokio::time::sleep(STEP).await;
                shared.world().tell(id, &name, &kind, "UPDATE_COMPLETE", "");
            }
        }
    }
    let mut world = shared.world();
    if !is_creation && let Some(stack) = world.stack_mut(id) {
        stack.resources.clone_from(&before.resources);
        stack.parameters.clone_from(&before.parameters);
        stack.template.clone_from(&before.template);
    }
    let prefix = if is_creation { "" } else { "UPDATE_" };
    let end = if fault.is_some() { "FAILED" } else { "COMPLETE" };
    world.tell_stack(id, &format!("{prefix}ROLLBACK_{end}"), &fault.unwrap_or_default());
}

impl World {
    /// The name of a new resource in AWS.
    fn named(&mut self, stack: &str, name: &str, kind: &str, properties: &Value) -> String {
        let arn = |service: &str, rest: String| {
            format!("arn:aws:{service}:{}:{}:{rest}", super::REGION, super::ACCOUNT)
        };
        let property = |name: &str| Some(text(&properties[name])).filter(|value| !value.is_empty());
        match kind {
            "AWS::ECS::Service" => {
                let cluster = property("Cluster").unwrap_or_default();
                let service = property("ServiceName").unwrap_or_else(|| name.to_owned());
                arn("ecs", format!("service/{cluster}/{service}"))
            }
            "AWS::ECS::TaskDefinition" => {
                let family = property("Family").unwrap_or_else(|| name.to_owned());
                let prefix = arn("ecs", format!("task-definition/{family}:"));
                let revision = 1 + self.definitions.keys().filter(|known| known.starts_with(&prefix)).count();
                format!("{prefix}{revision}")
            }
            "AWS::ECS::Cluster" => property("ClusterName").unwrap_or_else(|| stack.to_owned()),
            "AWS::Logs::LogGroup" => property("LogGroupName").unwrap_or_else(|| format!("/{stack}/{name}")),
            "AWS::ECR::Repository" => property("RepositoryName").unwrap_or_else(|| format!("{stack}/{name}")),
            "AWS::SecretsManager::Secret" => arn("secretsmanager", format!("secret:{stack}-{name}")),
            "AWS::S3::Bucket" => {
                property("BucketName").unwrap_or_else(|| format!("{stack}-{}", name.to_lowercase()))
            }
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
                let kind = if text(&properties["Type"]) == "network" { "net" } else { "app" };
                arn("elasticloadbalancing", format!("loadbalancer/{kind}/{stack}/{:016x}", self.serial()))
            }
            "AWS::ElasticLoadBalancingV2::TargetGroup" => {
                arn("elasticloadbalancing", format!("targetgroup/{stack}/{:016x}", self.serial()))
            }
            "AWS::KMS::Key" => arn("kms", format!("key/{:032x}", self.serial())),
            "AWS::CloudFront::Distribution" => format!("E{:013}", self.serial()),
            "AWS::ApiGatewayV2::Api" => format!("api{:07}", self.serial()),
            "AWS::Lambda::Function" => property("FunctionName").unwrap_or_else(|| format!("{stack}-{name}")),
            _ => format!("{stack}-{}-{}", name.to_lowercase(), self.serial()),
        }
    }

    /// What else there is once a resource is.
    fn made(&mut self, resource: &Resource) {
        let properties = &resource.properties;
        match resource.kind.as_str() {
            "AWS::ECS::TaskDefinition" => {
                self.definitions.insert(resource.physical.clone(), properties.clone());
            }
            "AWS::ECS::Service" => {
                let mut parts = resource.physical.rsplit('/');
                let name = parts.next().unwrap_or_default().to_owned();
                let cluster = parts.next().unwrap_or_default().to_owned();
                let named = text(&properties["TaskDefinition"]);
                let definition = self.definition(&named).unwrap_or(named);
                let desired = properties["DesiredCount"]
                    .as_u64()
                    .map_or(2, |count| usize::try_from(count).unwrap_or(2));
                let is_new = !self.services.contains_key(&name);
                let service = self.services.entry(name.clone()).or_insert_with(|| Service {
                    cluster,
                    name: name.clone(),
                    definition: definition.clone(),
                    desired,
                });
                if !is_new && !text(&properties["TaskDefinition"]).starts_with("arn:") {
                    return;
                }
                service.definition = definition;
                self.settle();
            }
            "AWS::SecretsManager::Secret" => {
                self.secrets.insert(resource.physical.clone(), format!("{{\"k1\":\"{}\"}}", "s".repeat(40)));
            }
            "AWS::S3::Bucket" => drop(self.objects.entry(resource.physical.clone()).or_default()),
            _ => {}
        }
    }

    fn unmade(&mut self, resource: &Resource) {
        match resource.kind.as_str() {
            "AWS::ECS::Service" => {
                let name = resource.physical.rsplit('/').next().unwrap_or_default();
                self.services.remove(name);
                let running =
                    self.tasks.iter_mut().filter(|task| task.service == name && task.status == "RUNNING");
                for task in running {
                    task.status = "STOPPED";
                    task.reason = format!("Scaling activity initiated by (service {name})");
                }
            }
            "AWS::S3::Bucket" => drop(self.objects.remove(&resource.physical)),
            _ => {}
        }
    }

    /// The ARN of a task definition, named by ARN or by family: its newest revision.
    pub(super) fn definition(&self, named: &str) -> Option<String> {
        if self.definitions.contains_key(named) {
            return Some(named.to_owned());
        }
        let of_family =
            |arn: &&String| arn.rsplit('/').next().and_then(|rest| rest.split(':').next()) == Some(named);
        let revision = |arn: &&String| arn.rsplit(':').next().and_then(|rest| rest.parse::<u32>().ok());
        self.definitions.keys().filter(of_family).max_by_key(revision).cloned()
    }

    /// ECS at work: as many tasks of each service's definition as it wants, and of older ones only those that
    /// are protected.
    pub(super) fn settle(&mut self) {
        let services: Vec<Service> = self.services.values().cloned().collect();
        for service in services {
            let is_current = |task: &Task| {
                task.service == service.name
                    && task.definition == service.definition
                    && task.status == "RUNNING"
            };
            while self.tasks.iter().filter(|task| is_current(task)).count() < service.desired {
                let serial = self.serial();
                self.tasks.push(Task {
                    id: format!("{serial:032x}"),
                    service: service.name.clone(),
                    definition: service.definition.clone(),
                    status: "RUNNING",
                    is_protected: false,
                    reason: String::new(),
                    container: String::new(),
                    exit_code: None,
                });
            }
            let mut surplus =
                self.tasks.iter().filter(|task| is_current(task)).count().saturating_sub(service.desired);
            for task in
                self.tasks.iter_mut().filter(|task| task.service == service.name && task.status == "RUNNING")
            {
                let is_old = task.definition != service.definition;
                if task.is_protected || !(is_old || surplus > 0) {
                    continue;
                }
                if !is_old {
                    surplus -= 1;
                }
                task.status = "STOPPED";
                task.reason = format!("Scaling activity initiated by (service {})", service.name);
            }
        }
    }
}
