//! `mobzctl munit scale`.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::args::munit::Scale;
use crate::aws::services::Service;
use crate::commands::cloud::Site;
use crate::commands::interrupted;
use crate::confirm::confirm;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, span};
use crate::progress::Progress;

/// How often the service is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Has the environment's munit service run so many munits, within the bounds of its configuration.
pub(super) async fn run(args: &Scale, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, None).await?;
    let munits = &site.config.munits;
    let what = format!("cannot scale the munits of {} to {}", site.config.environment, args.count);
    if !(munits.min..=munits.max).contains(&args.count) {
        let why =
            format!("mobz.yaml has {} to {}, and scaling would bring it back there", munits.min, munits.max);
        return Err(Failure::refused(what, why, "change munits.min or munits.max, and deploy"));
    }
    let stacks = site.find().await?;
    let names = (Site::output(&stacks, "ClusterName"), Site::output(&stacks, "MunitService"));
    let (Some(cluster), Some(name)) = names else {
        return Err(Failure::not_found(what, "it has no munit service", "deploy it with `mobzctl deploy`"));
    };
    let gone =
        || Failure::not_found(&what, "its munit service is gone", "deploy it anew with `mobzctl deploy`");
    let mut service = site.cloud.service(cluster, name).await?.ok_or_else(gone)?;
    if service.desired != args.count {
        let fate = if args.count < service.desired {
            "; munits with stations stay until these have ended"
        } else {
            ""
        };
        let change = format!("This scales munits from {} to {}{fate}", service.desired, args.count);
        confirm(output, args.yes, &change)?;
        site.cloud.scale(cluster, name, args.count).await?;
        service.desired = args.count;
    }
    if args.detach {
        show(&service, output)?;
        output.note("it goes on by itself: see it with `mobzctl status`");
        return Ok(Exit::Done);
    }
    let progress = Progress::waiting(output, "scaling");
    let interrupted = interrupted()?;
    let until = Instant::now() + args.timeout;
    let reached = async {
        loop {
            let service = site.cloud.service(cluster, name).await?.ok_or_else(gone)?;
            if service.running == args.count && service.pending == 0 {
                return Ok::<_, Failure>(service);
            }
            progress.say(service.rollout());
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        service = reached => {
            drop(progress);
            show(&service?, output)?;
            Ok(Exit::Done)
        }
        () = interrupted => {
            output.note("stopped waiting; it goes on by itself: see it with `mobzctl status`");
            Ok(Exit::Interrupted)
        }
        () = tokio::time::sleep_until(until) => Err(Failure::timed_out(
            "the munits are not scaled yet",
            format!("it was not so after {}", span(args.timeout.as_secs())),
            "it goes on by itself: see it with `mobzctl status`",
        )),
    }
}

fn show(service: &Service, output: &Output) -> Result<()> {
    let document = json!({ "service": service.name, "desired": service.desired, "running": service.running });
    output.document(&document, |_| format!("{} of {} munits running", service.running, service.desired))
}
