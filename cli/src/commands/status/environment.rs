//! The environment on AWS: stacks, services, munits and rooms.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::super::cloud::follow::{Screen, follow};
use super::super::cloud::{Site, Stacks};
use super::super::interrupted;
use super::super::munit::{self, Kind};
use super::ANSWER_MAX;
use crate::aws::stacks::Since;
use crate::deploy::environment::Part;
use crate::deploy::status::StackStatus;
use crate::deploy::tree::Tree;
use crate::endpoint::Where;
use crate::error::{Failure, Result};
use crate::output::{Output, age};

/// The most rooms that are shown.
const ROOMS_MAX: usize = 20;

/// The environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    name: String,
    region: String,
    stacks: Vec<Standing>,
    services: Vec<Service>,
    /// `null` where the control API does not tell.
    munits: Option<Vec<Value>>,
    /// The first rooms; `null` where the control API does not tell.
    rooms: Option<Vec<Value>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    stack: String,
    status: StackStatus,
    reason: Option<String>,
    changed: String,
    drifted: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    #[serde(rename = "service")]
    name: String,
    desired: u32,
    running: u32,
    pending: u32,
    rollout: String,
}

/// Looks at an environment, after following what goes on in it where asked to.
pub(super) async fn look(file: &Path, watch: bool, place: &Where, output: &Output) -> Result<Environment> {
    let site = Site::open(file, None).await?;
    if watch {
        let interrupted = interrupted()?;
        tokio::select! {
            done = settle(&site, output) => done?,
            () = interrupted => output.note("stopped watching; it goes on by itself"),
        }
    }
    let stacks = site.find().await?;
    let mut services = Vec::new();
    for name in ["OriginService", "SignalingService", "MunitService", "CoturnService"] {
        let (Some(cluster), Some(name)) = (Site::output(&stacks, "ClusterName"), Site::output(&stacks, name))
        else {
            continue;
        };
        if let Some(service) = site.cloud.service(cluster, name).await? {
            services.push(Service {
                rollout: service.rollout(),
                name: service.name,
                desired: service.desired,
                running: service.running,
                pending: service.pending,
            });
        }
    }
    let told = tokio::time::timeout(ANSWER_MAX, control(&site, &stacks, place)).await;
    let (munits, rooms) = match told {
        Ok(Ok(Some((munits, rooms)))) => (Some(munits), Some(rooms)),
        Ok(Ok(None) | Err(_)) | Err(_) => (None, None),
    };
    let standing = stacks.into_values().map(|stack| Standing {
        stack: stack.name,
        status: stack.status,
        reason: stack.reason.filter(|reason| !reason.is_empty()),
        changed: stack.changed.to_string(),
        drifted: stack.drifted,
    });
    Ok(Environment {
        name: site.config.environment.to_string(),
        region: site.cloud.region.clone(),
        stacks: standing.collect(),
        services,
        munits,
        rooms,
    })
}

/// Follows each stack that is being changed, until none is.
async fn settle(site: &Site, output: &Output) -> Result<()> {
    let screen = Screen::new(output, "looking at the environment");
    loop {
        let stacks = site.find().await?;
        let Some(busy) = stacks.values().find(|stack| stack.status.is_busy()) else { return Ok(()) };
        let mut reader = site.cloud.reader(&busy.id, Since::RunThatGoesOn).await?;
        let followed = follow(&site.cloud, &busy.id, &mut reader, Tree::new(&busy.name, []), &screen).await?;
        let words = followed.status.map_or("deleted", StackStatus::words);
        screen.line(&format!("{}  {words}", busy.name));
    }
}

async fn control(site: &Site, stacks: &Stacks, place: &Where) -> Result<Option<(Vec<Value>, Vec<Value>)>> {
    let Some(control) = site.control(stacks, place).await? else { return Ok(None) };
    let munits = munit::all(&control, Kind::Munits).await?;
    let mut rooms = control.rooms(None, None, ROOMS_MAX).await?;
    let Value::Array(rooms) = rooms["rooms"].take() else {
        return Err(Failure::failed("cannot list rooms", "the answer is odd", "use a newer mobzctl"));
    };
    Ok(Some((munits, rooms)))
}

impl Environment {
    /// For people, in one screen.
    pub(super) fn text(&self, output: &Output) -> String {
        let title = output.bold(&format!("environment {} in {}", self.name, self.region));
        if self.stacks.is_empty() {
            return format!("{title}\nnothing is deployed; `mobzctl deploy` does that");
        }
        let rows = self.stacks.iter().map(|stack| {
            let drift = if stack.drifted { ", changed by hand" } else { "" };
            let words = format!("{}{drift}", stack.status.words());
            [stack.stack.clone(), words, age(&stack.changed)]
        });
        let mut sections =
            vec![format!("{title}\n{}", output.table(["STACK", "STATE", "CHANGED"], rows.collect()))];
        if !self.services.is_empty() {
            let rows = self.services.iter().map(|service| [service.name.clone(), service.rollout.clone()]);
            sections.push(output.table(["SERVICE", "TASKS"], rows.collect()));
        }
        match &self.munits {
            Some(munits) if !munits.is_empty() => sections.push(munit::table(output, munits)),
            None if self.stacks.iter().any(|stack| stack.stack.ends_with(Part::Munit.as_str())) => {
                sections.push("the control API does not tell of munits and rooms".to_owned());
            }
            Some(_) | None => {}
        }
        if let Some(rooms) = self.rooms.as_ref().filter(|rooms| !rooms.is_empty()) {
            sections.push(super::super::room::table(output, rooms));
        }
        sections.join("\n\n")
    }
}
