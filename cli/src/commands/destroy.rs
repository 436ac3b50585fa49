//! `mobzctl destroy`.

use serde::Serialize;

use super::cloud::Site;
use super::cloud::follow::{Screen, follow, follow_others};
use super::interrupted;
use crate::args::deploy::Destroy;
use crate::aws::stacks::{Since, Stack};
use crate::confirm::confirm;
use crate::deploy::cause::{advice, first_cause};
use crate::deploy::environment::Part;
use crate::deploy::status::StackStatus;
use crate::deploy::tree::{Event, Tree};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, span};

#[derive(Debug, Serialize)]
struct Report {
    environment: String,
    destroyed: Vec<String>,
}

/// Deletes the environment.
pub async fn run(args: &Destroy, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, None).await?;
    let screen = Screen::new(output, "looking at the environment");
    let interrupted = interrupted()?;
    let timed_out = tokio::time::sleep(args.timeout);
    tokio::select! {
        done = destroy(&site, args, output, &screen) => done,
        () = interrupted => {
            let goes_on = screen.goes_on();
            drop(screen);
            let what = goes_on.map_or_else(String::new, |stack| format!("; the deletion of {stack} goes on by itself"));
            output.note(&format!("stopped waiting{what}: go on with `mobzctl destroy`"));
            Ok(Exit::Interrupted)
        }
        () = timed_out => {
            let why = format!("there was something left after {}", span(args.timeout.as_secs()));
            Err(Failure::timed_out("the environment is not destroyed", why, "go on with `mobzctl destroy`"))
        }
    }
}

async fn destroy(site: &Site, args: &Destroy, output: &Output, screen: &Screen<'_>) -> Result<Exit> {
    let environment = &site.config.environment;
    let stacks = site.find().await?;
    let mut report = Report { environment: environment.to_string(), destroyed: Vec::new() };
    if !stacks.is_empty() {
        let names: Vec<&str> = stacks.values().rev().map(|stack| stack.name.as_str()).collect();
        let what = format!(
            "This deletes all of environment {environment} in {}: {}. Calls are cut; images, logs and secrets are gone",
            site.cloud.region,
            names.join(", ")
        );
        screen.pause(|| confirm(output, args.yes, &what))?;
    }
    for (part, stack) in stacks.iter().rev() {
        match part {
            Part::Registry => {
                if let Some(bucket) = stack.outputs.get("ArtifactsBucket") {
                    screen.say(&format!("emptying bucket {bucket}"));
                    let gone = site.cloud.empty_bucket(bucket).await?;
                    screen.line(&format!("emptied bucket {bucket}: {gone} objects"));
                }
            }
            Part::Munit => {
                if let Some(family) = stack.outputs.get("MunitFamily") {
                    site.cloud.deregister(family).await?;
                }
            }
            Part::Network
            | Part::Secrets
            | Part::Redis
            | Part::Cluster
            | Part::Coturn
            | Part::Origin
            | Part::SignalingDaemon
            | Part::SignalingServerless
            | Part::Watch => {}
        }
        delete(site, stack, screen).await?;
        report.destroyed.push(stack.name.clone());
    }
    screen.say("");
    output.document(&report, |_| match report.destroyed.len() {
        0 => format!("nothing to destroy: {environment} has no stack in {}", site.cloud.region),
        count => format!("destroyed {environment}: {count} stacks"),
    })?;
    Ok(Exit::Done)
}

/// Deletes one stack, and waits for its end. One that is being changed is waited for first.
pub(super) async fn delete(site: &Site, stack: &Stack, screen: &Screen<'_>) -> Result<()> {
    let cloud = &site.cloud;
    let mut status = stack.status;
    if status.is_busy() && status != StackStatus::DeleteInProgress {
        let followed = follow_others(cloud, stack, screen).await?;
        let Some(now) = followed.status else { return Ok(()) };
        status = now;
    }
    let mut reader;
    if status == StackStatus::DeleteInProgress {
        reader = cloud.reader(&stack.id, Since::RunThatGoesOn).await?;
    } else {
        reader = cloud.reader(&stack.id, Since::Now).await?;
        cloud.delete_stack(&stack.id, &[]).await?;
    }
    let held = cloud.resources(&stack.id).await?.into_iter();
    let held = held.filter(|held| held.status != "DELETE_COMPLETE").map(|held| (held.resource, held.kind));
    let tree = Tree::new(&stack.name, held);
    let followed = follow(cloud, &stack.id, &mut reader, tree, screen).await?;
    match followed.status {
        None | Some(StackStatus::DeleteComplete) => {
            screen.line(&format!("{} deleted", stack.name));
            Ok(())
        }
        Some(_) => Err(left(&stack.name, &followed.events)),
    }
}

fn left(stack: &str, events: &[Event]) -> Failure {
    let cause = first_cause(events);
    let reason = cause.and_then(|event| event.reason.as_deref()).unwrap_or("no reason was given");
    let why = cause.map_or_else(
        || "CloudFormation gave no reason".to_owned(),
        |event| format!("{} ({}): {}", event.resource, event.kind, reason.trim_end_matches('.')),
    );
    let remedy = advice(reason).unwrap_or("delete what is named yourself, then run `mobzctl destroy` again");
    Failure::failed(format!("cannot delete stack {stack}"), why, remedy)
}
