//! AWS, as a deployment asks it: thin, without a rule. What is decided is decided in `crate::deploy`.

pub mod error;
pub mod images;
pub mod logs;
pub mod objects;
pub mod proposals;
pub mod services;
pub mod stacks;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::ProvideCredentials;
use aws_sdk_cloudformation::primitives::DateTime;
use jiff::Timestamp;

use crate::config::Config;
use crate::error::{Failure, Result, chain};

/// How often a request is tried in all when AWS throttles it or the connection breaks; then it has failed.
const ATTEMPTS_MAX: u32 = 6;
/// How long the first wait between two tries is; it doubles, and is shortened by chance.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// What to do about credentials that are not there or not good any more.
pub(crate) const LOG_IN: &str =
    "log in again (`aws sso login`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID), then run the same command";

/// An AWS account's region, open.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The region.
    pub region: String,
    cloudformation: aws_sdk_cloudformation::Client,
    ecs: aws_sdk_ecs::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    ecr: aws_sdk_ecr::Client,
    s3: aws_sdk_s3::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sts: aws_sdk_sts::Client,
}

/// Who the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's number.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

impl Cloud {
    /// Finds region and credentials as every AWS tool does (environment, profile, SSO, role).
    pub async fn open(config: &Config) -> Result<Self> {
        Self::in_region(config.region.as_ref().map(ToString::to_string)).await
    }

    /// In this region, else the one of the environment or profile.
    pub async fn in_region(region: Option<String>) -> Result<Self> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let retries =
            RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX).with_initial_backoff(BACKOFF_MIN);
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).retry_config(retries);
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        Self::of(&loader.load().await).await
    }

    async fn of(shared: &SdkConfig) -> Result<Self> {
        let what = "cannot use AWS";
        let Some(region) = shared.region() else {
            let remedy = "write region: in mobz.yaml, or set AWS_REGION";
            return Err(Failure::usage(what, "no region is named", remedy));
        };
        let credentials = shared.credentials_provider();
        let credentials =
            credentials.ok_or_else(|| Failure::refused(what, "there are no credentials", LOG_IN))?;
        credentials.provide_credentials().await.map_err(|error| {
            let why = format!("there are no credentials that work: {}", chain(&error));
            Failure::refused(what, why, LOG_IN)
        })?;
        // Buckets are named in the path where an endpoint of one's own answers: it has no name for each.
        let path_style = shared.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(shared).force_path_style(path_style).build();
        Ok(Self {
            region: region.to_string(),
            cloudformation: aws_sdk_cloudformation::Client::new(shared),
            ecs: aws_sdk_ecs::Client::new(shared),
            logs: aws_sdk_cloudwatchlogs::Client::new(shared),
            ecr: aws_sdk_ecr::Client::new(shared),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(shared),
            sts: aws_sdk_sts::Client::new(shared),
        })
    }

    /// Who these credentials belong to.
    pub async fn identity(&self) -> Result<Identity> {
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| error::failure("cannot use AWS", &error))?;
        Ok(Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }

    /// A secret's text.
    pub async fn secret(&self, arn: &str) -> Result<String> {
        let answer = self.secrets.get_secret_value().secret_id(arn).send().await;
        let answer =
            answer.map_err(|error| error::failure(&format!("cannot read the secret {arn}"), &error))?;
        Ok(answer.secret_string.unwrap_or_default())
    }
}

/// A time of AWS; the beginning of time where there is none.
fn time(time: Option<&DateTime>) -> Timestamp {
    let time =
        time.and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}
