//! Rolling the munits to the task definition that their stack registered: `crate::deploy::roll` decides.

use std::time::Duration;

use mobz_core::id::MunitId;
use mobz_runtime::control::Draining as Ask;
use serde::Serialize;
use serde_json::Value;
use tokio::time::sleep;

use super::super::cloud::follow::Screen;
use super::super::cloud::{Site, Stacks};
use super::super::munit::{self, Kind};
use crate::deploy::roll::{Draining, Munit, Progress, Seen, Step, Task, is_due as due, is_in, next};
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;

/// How often the tasks are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a roll ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rolled {
    /// How many munits were replaced.
    pub(super) replaced: usize,
}

impl Rolled {
    pub(super) fn words(&self) -> String {
        format!("{} replaced", self.replaced)
    }
}

/// The munit service: its cluster, its name, the definition that its stack registered.
struct Target<'a> {
    cluster: &'a str,
    service: &'a str,
    wanted: &'a str,
}

impl<'a> Target<'a> {
    fn of(stacks: &'a Stacks) -> Option<Self> {
        let output = |name| Site::output(stacks, name);
        let (cluster, service) = (output("ClusterName")?, output("MunitService")?);
        Some(Self { cluster, service, wanted: output("MunitTaskDefinition")? })
    }
}

/// Whether the munit service runs something else than its stack registered.
pub(super) async fn is_due(site: &Site, stacks: &Stacks) -> Result<bool> {
    let Some(target) = Target::of(stacks) else { return Ok(false) };
    Ok(look(site, &target, None).await?.is_some_and(|seen| due(&seen)))
}

/// Rolls, until no old munit is left.
pub(super) async fn roll(
    site: &Site,
    stacks: &Stacks,
    migrate: bool,
    place: &Where,
    screen: &Screen<'_>,
) -> Result<Option<Rolled>> {
    let Some(target) = Target::of(stacks) else { return Ok(None) };
    screen.say("looking at the munits");
    if !is_due(site, stacks).await? {
        return Ok(Some(Rolled { replaced: 0 }));
    }
    let control = site.control(stacks, place).await?;
    let mut replaced = std::collections::BTreeSet::new();
    let mut told: Option<Progress> = None;
    loop {
        let control = control.as_ref();
        let Some(seen) = look(site, &target, control).await? else { return Ok(None) };
        let old = seen.tasks.iter().filter(|task| task.definition != target.wanted);
        replaced.extend(old.map(|task| task.id.clone()));
        match next(&seen, migrate) {
            Step::Start => {
                screen.line("munits: starting new ones beside the old");
                site.cloud.roll(target.cluster, target.service, target.wanted).await?;
                continue;
            }
            Step::Drain(munits) => {
                let how = if migrate { "moving the stations of" } else { "draining" };
                screen.line(&format!("munits: {how} {}", munits.join(", ")));
                drain(control, &munits, migrate).await?;
                continue;
            }
            Step::Wait(progress) => {
                let words = format!("munits: {}", progress.words());
                screen.say(&words);
                if told != Some(progress) && !screen.is_live() {
                    screen.line(&words);
                }
                told = Some(progress);
            }
            Step::Done => return Ok(Some(Rolled { replaced: replaced.len() })),
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn look(site: &Site, target: &Target<'_>, control: Option<&Endpoint>) -> Result<Option<Seen>> {
    let Some(service) = site.cloud.service(target.cluster, target.service).await? else { return Ok(None) };
    let tasks = site.cloud.tasks(target.cluster, target.service).await?;
    let munits = match control {
        Some(control) => munit::all(control, Kind::Munits).await?,
        None => Vec::new(),
    };
    let mut seen = Vec::with_capacity(tasks.len());
    for task in tasks {
        let munit = munits.iter().find(|munit| is_in(munit["id"].as_str().unwrap_or_default(), &task.id));
        let munit = match (munit, control) {
            // How one drains is told only when it is asked for by name.
            (Some(munit), Some(control)) if task.definition != target.wanted => {
                detail(control, munit).await?
            }
            (munit, _) => munit.map(read),
        };
        seen.push(Task {
            munit,
            // A definition without a health check is never called healthy.
            is_up: task.is_running && task.health != "UNHEALTHY",
            is_ending: task.is_ending,
            definition: task.definition,
            id: task.id,
        });
    }
    Ok(Some(Seen {
        wanted: target.wanted.to_owned(),
        service: service.definition,
        desired: usize::try_from(service.desired).unwrap_or(usize::MAX),
        tasks: seen,
        has_control: control.is_some(),
    }))
}

async fn detail(control: &Endpoint, munit: &Value) -> Result<Option<Munit>> {
    let Ok(id) = munit["id"].as_str().unwrap_or_default().parse::<MunitId>() else { return Ok(None) };
    match control.munit(&id).await {
        Ok(munit) => Ok(Some(read(&munit))),
        Err(failure) if failure.exit() == Exit::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn read(munit: &Value) -> Munit {
    let state = munit["state"].as_str().unwrap_or_default();
    let is_told_to = matches!(state, "draining" | "drained");
    let draining = if munit["migrate"] == true { Draining::Migrating } else { Draining::Waiting };
    Munit {
        id: munit["id"].as_str().unwrap_or_default().to_owned(),
        is_active: state == "active",
        draining: is_told_to.then_some(draining),
        left: munit::left(munit),
    }
}

async fn drain(control: Option<&Endpoint>, munits: &[String], migrate: bool) -> Result<()> {
    let Some(control) = control else { return Ok(()) };
    for munit in munits.iter().filter_map(|munit| munit.parse::<MunitId>().ok()) {
        match control.drain(&munit, &Ask { deadline: None, migrate }).await {
            // One that has ended meanwhile is drained.
            Err(failure) if failure.exit() != Exit::NotFound => return Err(failure),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
