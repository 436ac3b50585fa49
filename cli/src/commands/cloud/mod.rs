//! What the commands that work on AWS share: the environment they work on.

pub(super) mod bring;
pub(super) mod follow;
pub(super) mod images;
pub(super) mod survey;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::try_join_all;
use mobz_core::token::Keys;

use crate::aws::Cloud;
use crate::aws::stacks::{ENVIRONMENT_TAG, Stack};
use crate::config::Config;
use crate::deploy::environment::{Part, parameters};
use crate::deploy::template::Templates;
use crate::endpoint::{Endpoint, Place, Where};
use crate::error::{Failure, Result};

/// An environment as it should be, and the account it is in.
pub(super) struct Site {
    pub(super) cloud: Cloud,
    pub(super) config: Config,
    pub(super) templates: Templates,
}

/// The stacks that an environment has.
pub(super) type Stacks = BTreeMap<Part, Stack>;

impl Site {
    /// Reads the configuration and opens the account.
    pub(super) async fn open(file: &Path, templates: Option<&Path>) -> Result<Self> {
        let config = Config::load(file)?;
        let cloud = Cloud::open(&config).await?;
        Ok(Self { cloud, config, templates: Templates::from(templates) })
    }

    /// The name of a part's stack.
    pub(super) fn stack(&self, part: Part) -> String {
        part.stack(&self.config.environment)
    }

    /// Looks for all stacks of the environment, also those that the configuration does not want (any more).
    pub(super) async fn find(&self) -> Result<Stacks> {
        let looks = Part::ALL.map(async |part| Ok::<_, Failure>((part, self.find_one(part).await?)));
        let found: Vec<(Part, Option<Stack>)> = try_join_all(looks).await?;
        Ok(found.into_iter().filter_map(|(part, stack)| Some((part, stack?))).collect())
    }

    /// Looks for one stack, and refuses one of that name that is somebody else's.
    pub(super) async fn find_one(&self, part: Part) -> Result<Option<Stack>> {
        let name = self.stack(part);
        let Some(stack) = self.cloud.stack(&name).await? else { return Ok(None) };
        if stack.tags.get(ENVIRONMENT_TAG).map(String::as_str) == Some(self.config.environment.as_str()) {
            return Ok(Some(stack));
        }
        Err(Failure::refused(
            format!("cannot use stack {name}"),
            format!(
                "it is not of this environment: it has no tag {ENVIRONMENT_TAG}={}",
                self.config.environment
            ),
            "choose another environment name in mobz.yaml, or delete that stack yourself",
        ))
    }

    /// What a part may be given: what `mobz.yaml` says, the artifacts, and the outputs of the stacks before it.
    pub(super) fn known(
        &self,
        part: Part,
        stacks: &Stacks,
        artifacts: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let given = parameters(&self.config).into_iter().map(|(name, value)| (name.to_owned(), value));
        let earlier = stacks.iter().filter(|(other, _)| **other < part && other.is_wanted(&self.config));
        let outputs = earlier.flat_map(|(_, stack)| stack.outputs.clone());
        outputs.chain(artifacts.clone()).chain(given).collect()
    }

    /// The tags on everything.
    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.config.tags.clone();
        tags.insert(ENVIRONMENT_TAG.to_owned(), self.config.environment.to_string());
        tags
    }

    /// The environment's control API, with an admin token signed by its keys; `None` where it has none (serverless).
    /// An endpoint that was named goes first.
    pub(super) async fn control(&self, stacks: &Stacks, place: &Where) -> Result<Option<Endpoint>> {
        if place.endpoint.is_some() || place.context.is_some() {
            return Endpoint::open(place).await.map(Some);
        }
        let Some(url) = Self::output(stacks, "ControlUrl") else { return Ok(None) };
        let what = "cannot use the environment's control API";
        let url = url
            .parse::<reqwest::Url>()
            .map_err(|_| Failure::failed(what, format!("its URL is odd: {url}"), "deploy again"))?;
        let keys = match Self::output(stacks, "TokenKeysArn") {
            Some(arn) => {
                let secret = self.cloud.secret(arn).await?;
                let keys: BTreeMap<String, String> = serde_json::from_str(&secret).map_err(|_| {
                    Failure::failed(
                        what,
                        "the secret with its token keys is no JSON object of keys",
                        "mend the secret",
                    )
                })?;
                let keys = Keys::new(keys);
                Some(keys.map_err(|error| Failure::failed(what, error.to_string(), "mend the secret"))?)
            }
            None => None,
        };
        let place = Place { url, store: None, token: place.token.clone(), keys, found_by: String::new() };
        Endpoint::at(&place).map(Some)
    }

    /// An output of any stack.
    pub(super) fn output<'a>(stacks: &'a Stacks, name: &str) -> Option<&'a str> {
        stacks.values().find_map(|stack| stack.outputs.get(name)).map(String::as_str)
    }
}
