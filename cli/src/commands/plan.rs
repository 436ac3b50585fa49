//! `mobzctl plan`.

use super::cloud::Site;
use super::cloud::images::Zip;
use crate::args::deploy::Plan;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// Shows what a deployment would change.
pub async fn run(args: &Plan, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.file.file, args.sources.templates.as_deref()).await?;
    let zip = args.sources.lambda.as_deref().map(Zip::read).transpose()?;
    let progress = Progress::waiting(output, "asking CloudFormation what would change");
    let stacks = site.find().await?;
    let artifacts = site.artifacts(&stacks, zip.as_ref()).await?;
    let plan = site.plan(&stacks, &artifacts.known, args.sources.revert_drift).await?;
    drop(progress);
    output.document(&plan, |output| plan.text(output))?;
    for image in &artifacts.missing {
        let tag = &site.config.images.tag;
        output.note(&format!(
            "image {} {tag} is not in the registry yet: `mobzctl deploy` builds and pushes it, in a checkout of MobZ",
            image.as_str()
        ));
    }
    for stack in stacks.values().filter(|stack| stack.drifted) {
        output.note(&format!("{} was changed by hand: --revert-drift would change that back", stack.name));
    }
    Ok(if args.detailed_exitcode && plan.has_changes() { Exit::Changes } else { Exit::Done })
}
