//! `mobzctl deploy`.

mod roll;
mod supply;

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use self::supply::{Supply, supplied};
use super::cloud::bring::{Brought, Options};
use super::cloud::follow::{Screen, follow_others};
use super::cloud::images::Zip;
use super::cloud::{Site, Stacks};
use super::interrupted;
use crate::args::deploy::Deploy;
use crate::confirm::confirm;
use crate::deploy::environment::Part;
use crate::deploy::plan::Plan;
use crate::deploy::run::Outcome;
use crate::endpoint::Where;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, span};

/// What a deployment tells in the end.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    environment: String,
    /// Whether anything was changed.
    changed: bool,
    /// Whether all of it is done: not with `--detach`.
    complete: bool,
    /// The images that were built and pushed, with repository and tag.
    images: Vec<String>,
    stacks: Vec<Line>,
    munits: Option<roll::Rolled>,
    outputs: std::collections::BTreeMap<String, String>,
}

/// One stack of it.
#[derive(Debug, Serialize)]
struct Line {
    stack: String,
    /// `created`, `updated`, `unchanged`, `deleted`, `goingOn`.
    outcome: &'static str,
    seconds: u64,
}

/// Brings the environment to what `mobz.yaml` says.
pub async fn run(args: &Deploy, place: &Where, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, args.sources.templates.as_deref()).await?;
    let zip = args.sources.lambda.as_deref().map(Zip::read).transpose()?;
    let screen = Screen::new(output, "looking at the environment");
    let interrupted = interrupted()?;
    let timed_out = tokio::time::sleep(args.timeout);
    let work = deploy(&site, zip.as_ref(), args, place, output, &screen);
    tokio::select! {
        // The interruption first: on a terminal it also ends the engine that builds an image, which is no failure then.
        biased;
        () = interrupted => {
            let goes_on = screen.goes_on();
            drop(screen);
            output.note(&left(goes_on.as_deref(), "stopped waiting"));
            Ok(Exit::Interrupted)
        }
        () = timed_out => {
            let goes_on = screen.goes_on();
            let why = format!("there was something left after {}", span(args.timeout.as_secs()));
            Err(Failure::timed_out("the deployment is not done", why, left(goes_on.as_deref(), "not waiting any more")))
        }
        done = work => done,
    }
}

fn left(goes_on: Option<&str>, what: &str) -> String {
    match goes_on {
        Some(stack) => format!(
            "{what}; {stack} goes on by itself: see it with `mobzctl status --watch`, go on with `mobzctl deploy`"
        ),
        None => format!("{what}; go on with `mobzctl deploy`"),
    }
}

async fn deploy(
    site: &Site,
    zip: Option<&Zip>,
    args: &Deploy,
    place: &Where,
    output: &Output,
    screen: &Screen<'_>,
) -> Result<Exit> {
    let mut stacks = settled(site, screen).await?;
    let mut artifacts = site.artifacts(&stacks, zip).await?;
    screen.say("asking CloudFormation what would change");
    let plan = site.plan(&stacks, &artifacts.known, args.sources.revert_drift).await?;
    let rolls = roll::is_due(site, &stacks).await?;
    let mut report = Report { environment: site.config.environment.to_string(), ..Report::default() };
    if plan.has_changes() {
        screen.line(&plan.text(output));
    }
    if rolls {
        screen.line("munits: an earlier roll is not finished; it goes on after the stacks");
    }
    let supply = Supply::due(site, &stacks, &artifacts, args);
    if let Some(supply) = &supply {
        screen.line(&supply.words(&stacks));
    }
    if plan.has_changes() || rolls || supply.is_some_and(|supply| supply.builds()) {
        let what = format!("This changes environment {} in {}", site.config.environment, site.cloud.region);
        screen.pause(|| confirm(output, args.yes, &what))?;
    }
    let options = Options { revert_drift: args.sources.revert_drift, detach: args.detach };
    for part in Part::ALL.into_iter().filter(|part| part.is_wanted(&site.config)) {
        let began = Instant::now();
        let name = site.stack(part);
        let outcome = if report.changed || changes(&plan, &name) {
            match site.bring(part, &stacks, &artifacts.known, options, screen).await? {
                Brought::Done(outcome, stack) => {
                    stacks.insert(part, *stack);
                    outcome
                }
                Brought::GoingOn => {
                    report.stacks.push(Line { stack: name.clone(), outcome: "goingOn", seconds: 0 });
                    report.changed = true;
                    show(&report, output)?;
                    output.note(&left(Some(&name), "began it"));
                    return Ok(Exit::Done);
                }
            }
        } else {
            Outcome::Unchanged
        };
        if outcome != Outcome::Unchanged {
            screen.line(&format!(
                "{}  {}",
                output.good(&format!("{name} {}", outcome.as_str())),
                took(began)
            ));
            report.changed = true;
        }
        report.stacks.push(Line {
            stack: name,
            outcome: outcome.as_str(),
            seconds: began.elapsed().as_secs(),
        });
        if part == Part::Registry {
            (artifacts, report.images) = supplied(site, &stacks, zip, args, output, screen).await?;
            // What runs them is looked at, whatever the plan says: it could not know them.
            report.changed |= !report.images.is_empty();
        }
    }
    for part in Part::ALL.into_iter().rev().filter(|part| !part.is_wanted(&site.config)) {
        if let Some(stack) = stacks.remove(&part) {
            let began = Instant::now();
            super::destroy::delete(site, &stack, screen).await?;
            report.changed = true;
            report.stacks.push(Line {
                stack: stack.name,
                outcome: "deleted",
                seconds: began.elapsed().as_secs(),
            });
        }
    }
    report.munits = roll::roll(site, &stacks, args.migrate, place, screen).await?;
    report.changed |= report.munits.as_ref().is_some_and(|rolled| rolled.replaced > 0);
    report.complete = true;
    report.outputs = stacks.values().flat_map(|stack| stack.outputs.clone()).collect();
    screen.say("");
    show(&report, output)?;
    Ok(Exit::Done)
}

/// Waits until nobody changes any stack of the environment; → the stacks.
async fn settled(site: &Site, screen: &Screen<'_>) -> Result<Stacks> {
    loop {
        let stacks = site.find().await?;
        let Some(busy) = stacks.values().find(|stack| stack.status.is_busy()) else { return Ok(stacks) };
        follow_others(&site.cloud, busy, screen).await?;
    }
}

fn changes(plan: &Plan, name: &str) -> bool {
    plan.stacks.iter().any(|stack| stack.stack == name && (stack.changes > 0 || stack.first.is_some()))
}

fn took(since: Instant) -> String {
    span(since.elapsed().max(Duration::from_secs(1)).as_secs())
}

fn show(report: &Report, output: &Output) -> Result<()> {
    output.document(report, |output| {
        if !report.changed {
            return format!("nothing to change: {} is as mobz.yaml says", report.environment);
        }
        let done = report.stacks.iter().filter(|line| line.outcome != "unchanged");
        let done = done.map(|line| format!("{}  {}", line.stack, line.outcome));
        let pushed = report.images.iter().map(|name| format!("{name}  pushed"));
        let lines: Vec<String> = pushed.chain(done).collect();
        let mut text = lines.join("\n");
        if let Some(rolled) = report.munits.as_ref().filter(|rolled| rolled.replaced > 0) {
            let _ = write!(text, "\nmunits  {}", rolled.words());
        }
        if report.complete {
            let urls = ["SignalUrl", "ControlUrl", "OriginUrl", "DashboardUrl"];
            let urls = urls.iter().filter_map(|name| Some((name, report.outputs.get(*name)?)));
            let urls: Vec<String> = urls.map(|(name, url)| format!("  {name:<13} {url}")).collect();
            let environment = output.bold(&report.environment);
            let _ = write!(text, "\n{environment} is as mobz.yaml says\n{}", urls.join("\n"));
        }
        text
    })
}
