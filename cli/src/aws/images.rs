//! ECR: which images are there, and the login for pushing more.

use aws_sdk_ecr::types::ImageIdentifier;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Cloud;
use super::error::{code, failure};
use crate::error::{Failure, Result};

/// A login to a registry.
#[derive(Clone)]
pub struct Login {
    /// The registry's host.
    pub registry: String,
    /// The user's name.
    pub user: String,
    /// The password, good for twelve hours.
    pub password: String,
}

impl Cloud {
    /// The digest of the image with this tag; `None` where there is none. `repository` is its URI.
    pub async fn digest(&self, repository: &str, tag: &str) -> Result<Option<String>> {
        let name = repository.split_once('/').map_or(repository, |(_, name)| name);
        let id = ImageIdentifier::builder().image_tag(tag).build();
        match self.ecr.describe_images().repository_name(name).image_ids(id).send().await {
            Ok(answer) => {
                Ok(answer.image_details.unwrap_or_default().into_iter().find_map(|image| image.image_digest))
            }
            Err(error)
                if matches!(code(&error), Some("ImageNotFoundException" | "RepositoryNotFoundException")) =>
            {
                Ok(None)
            }
            Err(error) => Err(failure(&format!("cannot look for image {name}:{tag}"), &error)),
        }
    }

    /// A login to the account's registry.
    pub async fn registry_login(&self) -> Result<Login> {
        let what = "cannot log in to ECR";
        let answer =
            self.ecr.get_authorization_token().send().await.map_err(|error| failure(what, &error))?;
        let odd = || Failure::failed(what, "its answer cannot be understood", "use a newer mobzctl");
        let data = answer.authorization_data.unwrap_or_default().into_iter().next().ok_or_else(odd)?;
        let token = STANDARD.decode(data.authorization_token.unwrap_or_default()).map_err(|_| odd())?;
        let token = String::from_utf8(token).map_err(|_| odd())?;
        let (user, password) = token.split_once(':').ok_or_else(odd)?;
        let endpoint = data.proxy_endpoint.unwrap_or_default();
        let registry = endpoint.trim_start_matches("https://").to_owned();
        Ok(Login { registry, user: user.to_owned(), password: password.to_owned() })
    }
}
