//! `mobzctl image …`.

pub(super) mod build;
pub(super) mod push;

use crate::args::deploy::{Image, Images};
use crate::config::Config;
use crate::deploy::environment::Image as Which;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a verb of `image`.
pub async fn run(verb: Image, output: &Output) -> Result<Exit> {
    match verb {
        Image::Build(args) => build::run(&args, output).await,
        Image::Push(args) => push::run(&args, output).await,
    }
}

/// The images that were named, else those that the environment runs.
fn chosen(images: &Images, config: &Config) -> Vec<Which> {
    if images.names.is_empty() {
        Which::ALL.into_iter().filter(|image| image.is_wanted(config)).collect()
    } else {
        images.names.clone()
    }
}

/// What an image is called on this machine.
fn local(image: Which, config: &Config) -> String {
    format!("mobz/{}:{}", image.as_str(), config.images.tag)
}
