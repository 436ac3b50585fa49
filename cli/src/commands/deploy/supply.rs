//! The artifacts of a deployment: the Lambda is uploaded, images that the registry lacks are built and pushed.

use super::super::cloud::follow::Screen;
use super::super::cloud::images::{Artifacts, Zip};
use super::super::cloud::{Site, Stacks};
use super::super::image::build::{build, recipe};
use super::super::image::push::push;
use crate::args::deploy::Deploy;
use crate::deploy::environment::{Image, Part};
use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::output::Output;

/// What a deployment puts into the registry.
#[derive(Debug)]
pub(super) struct Supply {
    missing: Vec<Image>,
    tag: String,
    /// What builds it, or why it cannot be built here.
    engine: Result<Engine>,
}

impl Supply {
    /// What there is to be put there, as things stand: all images where there is no registry yet, `None` where it
    /// lacks none.
    pub(super) fn due(site: &Site, stacks: &Stacks, artifacts: &Artifacts, args: &Deploy) -> Option<Self> {
        let missing = if stacks.contains_key(&Part::Registry) {
            artifacts.missing.clone()
        } else {
            Image::ALL.into_iter().filter(|image| image.is_wanted(&site.config)).collect()
        };
        (!missing.is_empty()).then(|| Self::of(site, missing, args))
    }

    fn of(site: &Site, missing: Vec<Image>, args: &Deploy) -> Self {
        // The engine last: to find one, programs are started.
        let recipes = missing.iter().try_for_each(|image| recipe(*image, &args.checkout).map(drop));
        let engine = recipes.and_then(|()| Engine::find(args.engine));
        Self { missing, tag: site.config.images.tag.clone(), engine }
    }

    /// Whether images are to be built and pushed.
    pub(super) const fn builds(&self) -> bool {
        self.engine.is_ok()
    }

    /// What will be done about images, for people.
    pub(super) fn words(&self, stacks: &Stacks) -> String {
        let (names, tag) = (names(&self.missing).join(", "), &self.tag);
        match &self.engine {
            Ok(engine) => format!("images to build with {} and to push as {tag}: {names}", engine.as_str()),
            Err(why) => {
                let all_run = self.missing.iter().all(|image| is_running(stacks, *image));
                let stay = if all_run { "those that run stay, for " } else { "" };
                format!("images that the registry lacks as {tag}: {names}; {stay}{}", why.why())
            }
        }
    }
}

/// The artifacts, once there is a registry to have them, and the images that were pushed: what is missing is put there.
pub(super) async fn supplied(
    site: &Site,
    stacks: &Stacks,
    zip: Option<&Zip>,
    args: &Deploy,
    output: &Output,
    screen: &Screen<'_>,
) -> Result<(Artifacts, Vec<String>)> {
    if let (Some(zip), Some(bucket)) = (zip, Site::output(stacks, "ArtifactsBucket")) {
        screen.say("uploading the Lambda");
        if site.upload(bucket, zip).await? {
            screen.line("uploaded the Lambda");
        }
    }
    let artifacts = site.artifacts(stacks, zip).await?;
    if artifacts.missing.is_empty() {
        return Ok((artifacts, Vec::new()));
    }
    let supply = Supply::of(site, artifacts.missing.clone(), args);
    let engine = match supply.engine {
        Ok(engine) => engine,
        Err(why) => {
            let wanted_now = supply.missing.into_iter().filter(|image| !is_running(stacks, *image));
            let wanted_now: Vec<Image> = wanted_now.collect();
            if wanted_now.is_empty() {
                return Ok((artifacts, Vec::new()));
            }
            return Err(refused(&wanted_now, &supply.tag, &why));
        }
    };
    let pushed = screen.leave(made(site, stacks, &supply.missing, args, engine, output)).await?;
    let artifacts = site.artifacts(stacks, zip).await?;
    if artifacts.missing.is_empty() {
        return Ok((artifacts, pushed));
    }
    Err(Failure::failed(
        format!("cannot go on without the images {}", names(&artifacts.missing).join(", ")),
        format!("the registry does not tell of them with the tag {}, though they were pushed", supply.tag),
        "deploy again: it goes on from here",
    ))
}

/// Builds images and pushes them; → their names in the registry.
async fn made(
    site: &Site,
    stacks: &Stacks,
    images: &[Image],
    args: &Deploy,
    engine: Engine,
    output: &Output,
) -> Result<Vec<String>> {
    let mut work = Vec::new();
    for image in images {
        let Some(repository) = Site::output(stacks, image.repository()) else { continue };
        let local = build(*image, &site.config, &args.checkout, engine, output).await?;
        work.push((local, format!("{repository}:{}", site.config.images.tag)));
    }
    push(site, &work, engine, output).await?;
    Ok(work.into_iter().map(|(_, name)| name).collect())
}

fn refused(images: &[Image], tag: &str, why: &Failure) -> Failure {
    let names = names(images);
    Failure::refused(
        format!("cannot go on without the images {}", names.join(", ")),
        format!("the registry has none with the tag {tag}, and {}", why.why()),
        format!(
            "deploy where there are a container engine and a checkout of MobZ (--checkout DIR), or push them from there \
             with `mobzctl image push {}`, then deploy again: it goes on from here",
            names.join(" ")
        ),
    )
}

fn names(images: &[Image]) -> Vec<&'static str> {
    images.iter().map(|image| image.as_str()).collect()
}

/// Whether a stack has a value for this image that it can keep.
fn is_running(stacks: &Stacks, image: Image) -> bool {
    stacks.values().any(|stack| stack.parameters.contains_key(image.parameter()))
}
