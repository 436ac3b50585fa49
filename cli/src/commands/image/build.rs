//! `mobzctl image build`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{chosen, local};
use crate::args::deploy::ImageBuild;
use crate::config::Config;
use crate::deploy::environment::Image;
use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// Builds images.
pub(super) async fn run(args: &ImageBuild, output: &Output) -> Result<Exit> {
    let config = Config::load(&args.images.file.file)?;
    let images = chosen(&args.images, &config);
    for image in &images {
        recipe(*image, &args.checkout)?;
    }
    let engine = Engine::find(args.images.engine)?;
    let mut names = Vec::new();
    for image in images {
        names.push(build(image, &config, &args.checkout, engine, output).await?);
    }
    output.document(&json!({ "engine": engine.as_str(), "images": names }), |_| {
        names.iter().map(|name| format!("built {name}")).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// The file of a checkout that an image is built by.
pub(in crate::commands) fn recipe(image: Image, checkout: &Path) -> Result<PathBuf> {
    let dockerfile = checkout.join("templates/images").join(image.as_str()).join("Dockerfile");
    if dockerfile.exists() {
        return Ok(dockerfile);
    }
    Err(Failure::not_found(
        format!("cannot build {}", image.as_str()),
        format!("there is no {}", dockerfile.display()),
        "name a checkout of MobZ with --checkout DIR",
    ))
}

/// Builds an image of a checkout, for the architecture that the environment has; → what it is called on this machine.
pub(in crate::commands) async fn build(
    image: Image,
    config: &Config,
    checkout: &Path,
    engine: Engine,
    output: &Output,
) -> Result<String> {
    let (name, dockerfile) = (local(image, config), recipe(image, checkout)?);
    let architecture = config.images.architecture;
    let platform = (!architecture.is_of_this_machine()).then_some(architecture.platform());
    output.note(&format!("building {name} with {}", engine.as_str()));
    engine.build(&name, platform, &dockerfile, checkout).await?;
    Ok(name)
}
