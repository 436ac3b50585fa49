//! `mobzctl image push`.

use serde_json::json;

use super::{chosen, local};
use crate::args::deploy::ImagePush;
use crate::commands::cloud::Site;
use crate::confirm::confirm;
use crate::deploy::environment::Part;
use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// Pushes the images that the registry does not have.
pub(super) async fn run(args: &ImagePush, output: &Output) -> Result<Exit> {
    let site = Site::open(&args.images.file.file, None).await?;
    let tag = &site.config.images.tag;
    let registry = site.find_one(Part::Registry).await?.ok_or_else(|| {
        Failure::not_found(
            "cannot push images",
            format!("environment {} has no registry yet", site.config.environment),
            "`mobzctl deploy` makes it, and builds and pushes itself what it lacks",
        )
    })?;
    let (mut there, mut work) = (Vec::new(), Vec::new());
    for image in chosen(&args.images, &site.config) {
        let repository = registry.outputs.get(image.repository()).ok_or_else(|| {
            let why = format!("stack {} has no output {}", registry.name, image.repository());
            Failure::failed(
                format!("cannot push {}", image.as_str()),
                why,
                "bring it up to date with `mobzctl deploy`",
            )
        })?;
        let name = format!("{repository}:{tag}");
        if site.cloud.digest(repository, tag).await?.is_some() {
            there.push(name);
        } else {
            work.push((local(image, &site.config), name));
        }
    }
    if !work.is_empty() {
        let names: Vec<&str> = work.iter().map(|(_, name)| name.as_str()).collect();
        confirm(output, args.yes, &format!("This pushes {}", names.join(", ")))?;
        let engine = Engine::find(args.images.engine)?;
        push(&site, &work, engine, output).await?;
    }
    let pushed: Vec<&String> = work.iter().map(|(_, name)| name).collect();
    output.document(&json!({ "pushed": pushed, "there": there }), |_| {
        let pushed = pushed.iter().map(|name| format!("pushed {name}"));
        let there = there.iter().map(|name| format!("{name} is there already"));
        pushed.chain(there).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// Pushes images to the environment's registry: what each is called on this machine, and there.
pub(in crate::commands) async fn push(
    site: &Site,
    work: &[(String, String)],
    engine: Engine,
    output: &Output,
) -> Result<()> {
    engine.login(&site.cloud.registry_login().await?).await?;
    for (local, name) in work {
        output.note(&format!("pushing {name}"));
        engine.tag(local, name).await?;
        engine.push(name).await?;
    }
    Ok(())
}
