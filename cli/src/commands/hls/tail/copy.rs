//! The media as files: a new one wherever the stream goes on from something else, so that each can be played.

use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::super::playlist::Resource;
use crate::error::{Failure, Result, os};

/// Fragmented MP4 files of a stream's media: one for each timeline and initialization section.
pub(super) struct Copy<'a> {
    first: &'a Path,
    file: File,
    /// The number of the file that is open.
    number: u32,
    /// What is in it; nothing yet.
    holds: Option<(u64, Option<Resource>)>,
}

impl<'a> Copy<'a> {
    /// Makes the first file.
    pub(super) async fn create(first: &'a Path) -> Result<Self> {
        let file = File::create(first).await.map_err(|error| unwritable(first, &error))?;
        Ok(Self { first, file, number: 1, holds: None })
    }

    /// Whether media of this timeline and initialization section does not belong to what is in the file.
    pub(super) fn is_new(&self, timeline: u64, map: Option<&Resource>) -> bool {
        self.holds.as_ref().is_none_or(|(held, init)| *held != timeline || init.as_ref() != map)
    }

    /// Begins with an initialization section: the first file, or the next; then its path is given.
    pub(super) async fn begin(
        &mut self,
        timeline: u64,
        map: Option<&Resource>,
        init: &[u8],
    ) -> Result<Option<PathBuf>> {
        let mut next = None;
        if self.holds.is_some() {
            self.number += 1;
            let path = numbered(self.first, self.number);
            self.file = File::create(&path).await.map_err(|error| unwritable(&path, &error))?;
            next = Some(path);
        }
        self.holds = Some((timeline, map.cloned()));
        self.add(init).await?;
        Ok(next)
    }

    /// Adds media to the file.
    pub(super) async fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.file.write_all(bytes).await?;
            self.file.flush().await
        };
        written.await.map_err(|error| unwritable(self.first, &error))
    }
}

/// `copy.mp4` as `copy-2.mp4`.
fn numbered(first: &Path, number: u32) -> PathBuf {
    let mut name = first.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    first.with_file_name(name)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("cannot write {}", path.display()),
        os(error),
        "choose another place with --bytes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_are_numbered_before_their_extension() {
        let second = |path: &str| numbered(path.as_ref(), 2);
        assert_eq!(second("copy.mp4"), PathBuf::from("copy-2.mp4"));
        assert_eq!(second("/tmp/a.b/copy"), PathBuf::from("/tmp/a.b/copy-2"));
    }
}
