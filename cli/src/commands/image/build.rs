//! `mobzctl image build`.

use serde_json::json;

use super::{chosen, local};
use crate::args::deploy::ImageBuild;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// Builds images.
pub(super) fn run(args: &ImageBuild, output: &Output) -> Result<Exit> {
    let config = Config::load(&args.images.file.file)?;
    let mut work = Vec::new();
    for image in chosen(&args.images, &config) {
        let dockerfile = args.checkout.join("templates/images").join(image.as_str()).join("Dockerfile");
        if !dockerfile.exists() {
            return Err(Failure::not_found(
                format!("cannot build {}", image.as_str()),
                format!("there is no {}", dockerfile.display()),
                "name a checkout of MobZ with --checkout DIR",
            ));
        }
        work.push((local(image, &config), dockerfile));
    }
    let engine = Engine::find(args.images.engine)?;
    for (name, dockerfile) in &work {
        output.note(&format!("building {name} with {}", engine.as_str()));
        engine.build(name, dockerfile, &args.checkout)?;
    }
    let names: Vec<&String> = work.iter().map(|(name, _)| name).collect();
    output.document(&json!({ "engine": engine.as_str(), "images": names }), |_| {
        names.iter().map(|name| format!("built {name}")).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}
