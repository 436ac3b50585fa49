//! ECS: services, their tasks, and why some stopped.

use aws_sdk_ecs::types::{self, DesiredStatus};

use super::error::failure;
use super::{Cloud, time};
use crate::deploy::cause::Evidence;
use crate::error::Result;

/// How many tasks one request may describe.
const TASKS_AT_ONCE: usize = 100;
/// How many stopped tasks are looked at for the reason.
const STOPPED_MAX: usize = 10;
/// How many of a stopped task's last lines are shown.
const LINES_MAX: i32 = 12;

/// How ECS begins the reason of a task that it stopped because fewer or others were wanted.
const SENT_AWAY: &str = "Scaling activity initiated by";

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The cluster's name or ARN.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// How many tasks it should have.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many are starting.
    pub pending: u32,
    /// Its task definition, ARN with revision.
    pub definition: String,
    /// What rolls out, the newest first.
    pub deployments: Vec<Deployment>,
}

/// One version of a service that runs, or is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its task definition.
    pub definition: String,
    /// How many tasks of it there should be.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many failed to.
    pub failed: u32,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    /// All of it.
    pub arn: String,
    /// Its task definition.
    pub definition: String,
    /// Whether it runs, all its containers up.
    pub is_running: bool,
    /// Whether it is to stop, or has.
    pub is_ending: bool,
    /// `HEALTHY`, `UNHEALTHY`, `UNKNOWN`.
    pub health: String,
    /// When it started.
    pub since: jiff::Timestamp,
    /// Why it stopped, one line for the task and each container that says something.
    pub why: Vec<String>,
    /// Containers that ended badly, or all where none did.
    pub ended: Vec<String>,
}

impl Service {
    /// How it rolls out, for people: `2 of 3 tasks running`.
    pub fn rollout(&self) -> String {
        let Some(newest) = self.deployments.first() else {
            return format!("{} of {} tasks running", self.running, self.desired);
        };
        let failed = if newest.failed > 0 { format!(", {} failed", newest.failed) } else { String::new() };
        let old: u32 = self.deployments.iter().skip(1).map(|deployment| deployment.running).sum();
        let old = if old > 0 { format!(", {old} old ones left") } else { String::new() };
        format!("{} of {} tasks running{failed}{old}", newest.running, newest.desired)
    }
}

impl Cloud {
    /// A service, by cluster and name; `None` where there is none.
    pub async fn service(&self, cluster: &str, name: &str) -> Result<Option<Service>> {
        let request = self.ecs.describe_services().cluster(cluster).services(name);
        let answer = request
            .send()
            .await
            .map_err(|error| failure(&format!("cannot look at service {name}"), &error))?;
        let found = answer.services.unwrap_or_default().into_iter().next();
        Ok(found.filter(|service| service.status() != Some("INACTIVE")).map(|service| read(cluster, service)))
    }

    /// The tasks of a service, those that run and those that are starting or ending.
    pub async fn tasks(&self, cluster: &str, service: &str) -> Result<Vec<Task>> {
        self.tasks_of(cluster, service, DesiredStatus::Running).await
    }

    async fn tasks_of(&self, cluster: &str, service: &str, status: DesiredStatus) -> Result<Vec<Task>> {
        let what = format!("cannot look at the tasks of service {service}");
        let request = self.ecs.list_tasks().cluster(cluster).service_name(service).desired_status(status);
        let mut pages = request.into_paginator().items().send();
        let mut arns = Vec::new();
        while let Some(arn) = pages.next().await {
            arns.push(arn.map_err(|error| failure(&what, &error))?);
        }
        let mut tasks = Vec::with_capacity(arns.len());
        for some in arns.chunks(TASKS_AT_ONCE) {
            let request = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(some.to_vec()));
            let answer = request.send().await.map_err(|error| failure(&what, &error))?;
            tasks.extend(answer.tasks.unwrap_or_default().into_iter().map(task));
        }
        Ok(tasks)
    }

    /// Why tasks of a service stopped, and what the last of them logged. What cannot be found out is left out:
    /// this only explains a failure.
    pub async fn evidence(&self, cluster: &str, service: &str) -> Evidence {
        let mut evidence = Evidence::default();
        let stopped = self.tasks_of(cluster, service, DesiredStatus::Stopped).await;
        let mut stopped = stopped.unwrap_or_default();
        // Those that were sent away say nothing of why others did not stay.
        stopped.retain(|task| !task.why.iter().any(|why| why.starts_with(SENT_AWAY)));
        stopped.sort_by_key(|task| std::cmp::Reverse(task.since));
        for reason in stopped.iter().take(STOPPED_MAX).flat_map(|task| &task.why) {
            if !evidence.stopped.contains(reason) {
                evidence.stopped.push(reason.clone());
            }
        }
        let Some(last) = stopped.first() else { return evidence };
        let streams = self.log_streams(&last.definition).await.unwrap_or_default();
        for (container, group, prefix) in streams.into_iter().filter(|(name, ..)| last.ended.contains(name)) {
            let stream = format!("{prefix}/{container}/{}", last.id);
            let lines = self.last_lines(&group, &stream, LINES_MAX).await.unwrap_or_default();
            evidence.log.extend(lines.into_iter().map(|line| format!("{container}  {line}")));
        }
        evidence
    }

    /// Where the containers of a task definition log: container, group, prefix.
    async fn log_streams(&self, definition: &str) -> Result<Vec<(String, String, String)>> {
        let answer = self.ecs.describe_task_definition().task_definition(definition).send().await;
        let answer = answer.map_err(|error| failure("cannot look at a task definition", &error))?;
        let containers = answer.task_definition.and_then(|one| one.container_definitions).unwrap_or_default();
        let streams = containers.into_iter().filter_map(|container| {
            let options = container.log_configuration?.options?;
            let option = |name: &str| options.get(name).cloned();
            Some((container.name?, option("awslogs-group")?, option("awslogs-stream-prefix")?))
        });
        Ok(streams.collect())
    }

    /// Has a service start tasks of another definition, and end the ones it has as they may end.
    pub async fn roll(&self, cluster: &str, service: &str, definition: &str) -> Result<()> {
        let request = self.ecs.update_service().cluster(cluster).service(service).task_definition(definition);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| failure(&format!("cannot roll service {service}"), &error))
    }

    /// Has a service run this many tasks.
    pub async fn scale(&self, cluster: &str, service: &str, count: u32) -> Result<()> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let request = self.ecs.update_service().cluster(cluster).service(service).desired_count(count);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| failure(&format!("cannot scale service {service}"), &error))
    }

    /// Takes the revisions of a task definition's family out of use.
    pub async fn deregister(&self, family: &str) -> Result<()> {
        let what = format!("cannot deregister task definitions of {family}");
        let mut pages =
            self.ecs.list_task_definitions().family_prefix(family).into_paginator().items().send();
        while let Some(arn) = pages.next().await {
            let arn = arn.map_err(|error| failure(&what, &error))?;
            let request = self.ecs.deregister_task_definition().task_definition(arn);
            request.send().await.map_err(|error| failure(&what, &error))?;
        }
        Ok(())
    }
}

/// Cluster and name out of a service's ARN, as CloudFormation names it.
pub fn cluster_and_name(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.rsplit('/');
    let name = parts.next()?;
    Some((parts.next()?, name))
}

/// The last part of an ARN.
fn id(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

fn read(cluster: &str, service: types::Service) -> Service {
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    let deployments = service.deployments.unwrap_or_default().into_iter().map(|one| Deployment {
        definition: one.task_definition.unwrap_or_default(),
        desired: count(one.desired_count),
        running: count(one.running_count),
        failed: count(one.failed_tasks),
        state: one.rollout_state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
        reason: one.rollout_state_reason,
    });
    Service {
        cluster: cluster.to_owned(),
        name: service.service_name.unwrap_or_default(),
        desired: count(service.desired_count),
        running: count(service.running_count),
        pending: count(service.pending_count),
        definition: service.task_definition.unwrap_or_default(),
        deployments: deployments.collect(),
    }
}

fn task(task: types::Task) -> Task {
    let containers = task.containers.unwrap_or_default();
    let mut why: Vec<String> = task.stopped_reason.iter().cloned().collect();
    for container in &containers {
        let name = container.name().unwrap_or("a container");
        match (container.reason(), container.exit_code) {
            (Some(reason), _) => why.push(format!("{name}: {reason}")),
            (None, Some(code)) if code != 0 => why.push(format!("{name}: exit code {code}")),
            (None, Some(_) | None) => {}
        }
    }
    let named = |badly: bool| {
        let all = containers
            .iter()
            .filter(move |container| !badly || container.exit_code.is_some_and(|code| code != 0));
        all.filter_map(|container| container.name.clone()).collect::<Vec<_>>()
    };
    let ended = Some(named(true)).filter(|badly| !badly.is_empty()).unwrap_or_else(|| named(false));
    let arn = task.task_arn.unwrap_or_default();
    Task {
        id: id(&arn),
        arn,
        definition: task.task_definition_arn.unwrap_or_default(),
        is_running: task.last_status.as_deref() == Some("RUNNING"),
        is_ending: task.desired_status.as_deref() == Some("STOPPED"),
        health: task.health_status.map(|health| health.as_str().to_owned()).unwrap_or_default(),
        since: time(task.started_at.as_ref().or(task.created_at.as_ref())),
        why,
        ended,
    }
}
