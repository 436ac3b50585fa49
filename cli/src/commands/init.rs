//! `mobzctl init`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::args::deploy::Init;
use crate::config::commented;
use crate::deploy::template::Templates;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;

/// Writes a commented configuration, and never over another.
pub fn run(args: &Init, output: &Output) -> Result<Exit> {
    let text = commented(&args.environment, args.region.as_ref());
    if args.print {
        output.text(&text)?;
        return Ok(Exit::Done);
    }
    let path = &args.file.file;
    let what = format!("cannot write {}", path.display());
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            let remedy = "remove it first, or name another with --file; --print shows a fresh one";
            Failure::refused(&what, "it is there already", remedy)
        } else {
            Failure::failed(&what, os(&error), "check the folder's permissions, or name another with --file")
        }
    })?;
    if let Some(folder) = &args.templates {
        templates(folder)?;
        output.note(&format!("wrote the templates to {}", folder.display()));
    }
    output.note(&format!(
        "wrote {}: read it, then `mobzctl plan` shows what `mobzctl deploy` would create",
        path.display()
    ));
    Ok(Exit::Done)
}

/// Writes the embedded templates into a folder.
fn templates(folder: &Path) -> Result<()> {
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        Templates::embedded().try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes))
    });
    written.map_err(|error| {
        let what = format!("cannot write the templates to {}", folder.display());
        Failure::failed(what, os(&error), "check the folder's permissions, or name another")
    })
}
