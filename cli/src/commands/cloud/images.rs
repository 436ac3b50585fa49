//! The artifacts that stacks are given: images by digest, the Lambda's zip by its hash.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use futures_util::future::try_join_all;
use sha1::{Digest, Sha1};

use super::{Site, Stacks};
use crate::deploy::environment::{Image, Part};
use crate::error::{Failure, Result, os};

/// What stacks are given, and what is not there to be given.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Artifacts {
    /// Parameters by name.
    pub(in crate::commands) known: BTreeMap<String, String>,
    /// Images that the registry has no version of.
    pub(in crate::commands) missing: Vec<Image>,
}

/// The zip of the Lambda.
pub(in crate::commands) struct Zip {
    bytes: Vec<u8>,
    key: String,
}

impl Zip {
    /// Reads it.
    pub(in crate::commands) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            let what = format!("cannot read the Lambda's zip {}", path.display());
            Failure::failed(what, os(&error), "name another with --lambda")
        })?;
        let hash = Sha1::digest(&bytes).iter().fold(String::new(), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        Ok(Self { key: format!("signaling-{hash}.zip"), bytes })
    }
}

impl Site {
    /// Looks for the images in the registry, and names the zip.
    pub(in crate::commands) async fn artifacts(
        &self,
        stacks: &Stacks,
        zip: Option<&Zip>,
    ) -> Result<Artifacts> {
        let mut artifacts = Artifacts::default();
        if let Some(zip) = zip {
            artifacts.known.insert("LambdaKey".to_owned(), zip.key.clone());
        }
        let Some(registry) = stacks.get(&Part::Registry) else { return Ok(artifacts) };
        let tag = &self.config.images.tag;
        let wanted = Image::ALL.into_iter().filter(|image| image.is_wanted(&self.config));
        let looks = wanted.filter_map(|image| Some((image, registry.outputs.get(image.repository())?)));
        let looks = looks.map(async |(image, repository)| {
            let digest = self.cloud.digest(repository, tag).await?;
            Ok::<_, Failure>((image, digest.map(|digest| format!("{repository}@{digest}"))))
        });
        for (image, name) in try_join_all(looks).await? {
            match name {
                Some(name) => drop(artifacts.known.insert(image.parameter().to_owned(), name)),
                None => artifacts.missing.push(image),
            }
        }
        Ok(artifacts)
    }

    /// Uploads the zip, unless it is there; → whether it had to be.
    pub(in crate::commands) async fn upload(&self, bucket: &str, zip: &Zip) -> Result<bool> {
        if self.cloud.has_object(bucket, &zip.key).await? {
            return Ok(false);
        }
        self.cloud.put_object(bucket, &zip.key, zip.bytes.clone()).await?;
        Ok(true)
    }
}
