//! `mobz.yaml`: one environment, as the deploy commands read it.

mod fault;
mod text;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result, os};
use crate::yaml;
pub use text::commented;
pub use values::{Cidr, EnvironmentName, Ports, Region, Retention};

/// Where the deploy commands look for it unless `--file` names another.
pub const FILE: &str = "mobz.yaml";
/// The most munits of one environment: as many tasks as one ECS service may have.
pub const MUNITS_MAX: u32 = 5000;

/// The most daemons, origins or TURN servers of one environment.
pub const TASKS_MAX: u32 = 1000;

/// How clients reach signaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signaling {
    /// A service of daemons behind a load balancer.
    #[default]
    Daemon,
    /// API Gateway and a Lambda.
    Serverless,
}

impl Signaling {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Serverless => "serverless",
        }
    }
}

/// What images and the Lambda are built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Architecture {
    /// Intel's and AMD's.
    #[default]
    #[serde(rename = "x86_64")]
    X86,
    /// Graviton.
    #[serde(rename = "arm64")]
    Arm,
}

impl Architecture {
    /// As container engines call it.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::X86 => "linux/amd64",
            Self::Arm => "linux/arm64",
        }
    }

    /// Whether this machine has it.
    pub fn is_of_this_machine(self) -> bool {
        let name = match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        };
        std::env::consts::ARCH == name
    }
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Its name, with which the names of all its stacks begin.
    pub environment: EnvironmentName,
    /// The AWS region; the one of the AWS profile or of `AWS_REGION` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// How clients reach signaling.
    #[serde(default)]
    pub signaling: Signaling,
    /// Tags on everything, beside those that name MobZ and the environment.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The network.
    #[serde(default)]
    pub network: Network,
    /// The store.
    #[serde(default)]
    pub redis: Redis,
    /// The media servers.
    #[serde(default)]
    pub munits: Munits,
    /// The signaling daemons; of no matter where signaling is serverless.
    #[serde(default)]
    pub daemons: Daemons,
    /// The LL-HLS origin.
    #[serde(default)]
    pub origin: Origin,
    /// The TURN servers.
    #[serde(default)]
    pub turn: Turn,
    /// The logs.
    #[serde(default)]
    pub logs: Logs,
    /// The alarms.
    #[serde(default)]
    pub alarms: Alarms,
    /// The container images.
    #[serde(default)]
    pub images: Images,
}

/// The network: two zones, public subnets for media.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// Its addresses.
    pub cidr: Cidr,
}

/// ElastiCache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Redis {
    /// Size of a node.
    pub node_type: String,
    /// Replicas of each shard, 0 to 5; 1 or more fail over.
    pub replicas: u8,
    /// Shards, 1 to 90; more than 1 is cluster mode.
    pub shards: u8,
}

impl Default for Redis {
    fn default() -> Self {
        Self { node_type: "cache.t4g.small".to_owned(), replicas: 1, shards: 1 }
    }
}

/// The munit service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Munits {
    /// The fewest that run.
    pub min: u32,
    /// The most that scaling starts.
    pub max: u32,
    /// CPU units of a task, 1024 are a core.
    pub cpu: u32,
    /// Memory of a task, MiB.
    pub memory: u32,
    /// The most stations a munit takes.
    pub stations: u32,
    /// The most watched stations a munit takes, summed over all viewers.
    pub viewers: u32,
    /// UDP ports of media.
    pub rtp_ports: Ports,
    /// Fargate Spot: cheaper, and taken away with two minutes' notice.
    pub spot: bool,
}

impl Default for Munits {
    fn default() -> Self {
        Self {
            min: 2,
            max: 10,
            cpu: 2048,
            memory: 4096,
            stations: 100,
            viewers: 900,
            rtp_ports: Ports { from: 20_000, to: 20_999 },
            spot: false,
        }
    }
}

/// A service of daemons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Daemons {
    /// How many run.
    pub count: u32,
    /// CPU units of a task, 1024 are a core.
    pub cpu: u32,
    /// Memory of a task, MiB.
    pub memory: u32,
    /// The name that clients reach them by, instead of CloudFront's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// ARN of that name's ACM certificate, in us-east-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl Default for Daemons {
    fn default() -> Self {
        Self { count: 2, cpu: 1024, memory: 2048, domain: None, certificate: None }
    }
}

/// The origin service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Origin {
    /// How many run.
    pub count: u32,
    /// CPU units of a task, 1024 are a core.
    pub cpu: u32,
    /// Memory of a task, MiB.
    pub memory: u32,
    /// How far back players may go.
    #[serde(with = "values::time")]
    pub window: Duration,
    /// Playback only with a token.
    pub private_playback: bool,
    /// The name that players reach it by, instead of CloudFront's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// ARN of that name's ACM certificate, in us-east-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            count: 2,
            cpu: 1024,
            memory: 2048,
            window: Duration::from_secs(60),
            private_playback: false,
            domain: None,
            certificate: None,
        }
    }
}

/// The coturn service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Turn {
    /// How many run; none is no TURN.
    pub count: u32,
    /// The name of the certificate, for `turns:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// ARN of that name's ACM certificate, in the environment's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Log groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Logs {
    /// How long they are kept.
    pub retention_days: Retention,
}

/// Alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Alarms {
    /// Who is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Images {
    /// Which version of them runs.
    pub tag: String,
    /// What they are built for, and the Lambda.
    pub architecture: Architecture,
}

impl Default for Images {
    fn default() -> Self {
        Self { tag: env!("CARGO_PKG_VERSION").to_owned(), architecture: Architecture::default() }
    }
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read {}", path.display());
            if error.kind() == io::ErrorKind::NotFound {
                let remedy = "write one with `mobzctl init`, or name it with --file";
                Failure::not_found(what, "there is no such file", remedy)
            } else {
                Failure::failed(what, os(&error), "make it readable, or name another with --file")
            }
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a text; `name` is what a failure calls it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut document = yaml::read(text).map_err(|error| fault::no_yaml(error, name))?;
        if document.is_null() {
            return Err(fault::empty(name));
        }
        without_nulls(&mut document);
        let config: Self =
            serde_path_to_error::deserialize(document).map_err(|error| fault::told(&error, text, name))?;
        config.check().map_err(|(key, why, remedy)| fault::of_key(text, name, key, &why, &remedy))?;
        Ok(config)
    }

    /// What no single value can say of itself: the key at fault, why, and what to do.
    fn check(&self) -> std::result::Result<(), Fault> {
        let Munits { min, max, stations, viewers, .. } = &self.munits;
        let limits = [
            ("munits.max", *max, 1, MUNITS_MAX),
            ("daemons.count", self.daemons.count, 1, TASKS_MAX),
            ("origin.count", self.origin.count, 1, TASKS_MAX),
            ("turn.count", self.turn.count, 0, TASKS_MAX),
            ("munits.stations", *stations, 1, 10_000),
            ("munits.viewers", *viewers, 1, 100_000),
            ("redis.replicas", self.redis.replicas.into(), 0, 5),
            ("redis.shards", self.redis.shards.into(), 1, 90),
        ];
        let beyond = limits.into_iter().find(|(_, value, least, most)| !(*least..=*most).contains(value));
        if let Some((key, value, least, most)) = beyond {
            return Err((key, format!("{key} is {value}"), format!("write {least} to {most}")));
        }
        let sizes = [
            ("munits.cpu", "munits.memory", self.munits.cpu, self.munits.memory),
            ("daemons.cpu", "daemons.memory", self.daemons.cpu, self.daemons.memory),
            ("origin.cpu", "origin.memory", self.origin.cpu, self.origin.memory),
        ];
        for (cpu_key, memory_key, cpu, memory) in sizes {
            values::fargate(cpu_key, memory_key, cpu, memory)?;
        }
        if min > max {
            let why = format!("munits.min is {min}, and munits.max only {max}");
            return Err(("munits.min", why, "make min the smaller".to_owned()));
        }
        if self.redis.replicas == 0 && self.redis.shards > 1 {
            let why = "cluster mode without replicas loses rooms with a node".to_owned();
            return Err(("redis.replicas", why, "write replicas: 1 or more".to_owned()));
        }
        let named = [
            ("daemons.domain", &self.daemons.domain, &self.daemons.certificate),
            ("origin.domain", &self.origin.domain, &self.origin.certificate),
            ("turn.domain", &self.turn.domain, &self.turn.certificate),
        ];
        if let Some((key, ..)) =
            named.into_iter().find(|(_, domain, certificate)| domain.is_some() != certificate.is_some())
        {
            let section = key.trim_end_matches(".domain");
            let why = format!("{section} has a domain or a certificate, but not both");
            return Err((key, why, "write both, or neither".to_owned()));
        }
        if let Some(key) = self.tags.keys().find(|key| key.starts_with("aws:") || key.starts_with("mobz:")) {
            let why = format!("the tag {key} has a prefix that is taken");
            return Err(("tags", why, "choose another name for it".to_owned()));
        }
        Ok(())
    }
}

/// Takes out keys without a value, as a section has of which all is commented out: they stand at their defaults.
fn without_nulls(value: &mut serde_json::Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(without_nulls);
    }
}

type Fault = (&'static str, String, String);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text, "mobz.yaml").unwrap_err().to_string()
    }

    #[test]
    fn a_name_is_enough_and_the_rest_has_defaults() {
        let config = Config::parse("environment: demo\n", "mobz.yaml").unwrap();
        assert_eq!(config.environment.as_str(), "demo");
        assert_eq!((config.munits.min, config.munits.max, config.turn.count), (2, 10, 0));
        assert_eq!(config.signaling, Signaling::Daemon);
    }

    #[test]
    fn what_init_writes_is_read_and_says_the_defaults() {
        let text = commented(&"demo".parse().unwrap(), Some(&"eu-central-1".parse().unwrap()));
        let written = Config::parse(&text, "mobz.yaml").unwrap();
        let plain = Config::parse("environment: demo\nregion: eu-central-1\n", "mobz.yaml").unwrap();
        assert_eq!(written, plain);
    }

    #[test]
    fn every_key_stands_in_what_init_writes() {
        let some = || Some(String::new());
        let all = Config {
            alarms: Alarms { email: some() },
            daemons: Daemons { domain: some(), certificate: some(), ..Daemons::default() },
            origin: Origin { domain: some(), certificate: some(), ..Origin::default() },
            turn: Turn { domain: some(), certificate: some(), ..Turn::default() },
            ..Config::parse("environment: demo\nregion: eu-central-1\n", "mobz.yaml").unwrap()
        };
        let text = commented(&all.environment, all.region.as_ref());
        let keys = serde_json::to_value(&all).unwrap();
        for (section, value) in keys.as_object().unwrap() {
            assert!(text.contains(&format!("\n{section}:")), "no {section}");
            for key in value.as_object().into_iter().flat_map(|section| section.keys()) {
                assert!(text.contains(&format!("{key}: ")), "no {section}.{key}");
            }
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
        let text = "environment: demo\nredis:\n  # two of them\n  replicsa: 2\n";
        let told = refused(text);
        assert_eq!(
            told,
            "cannot understand mobz.yaml\n  why: line 4: there is no key redis.replicsa\n  \
             do:  did you mean replicas? The keys there are nodeType, replicas, shards"
        );
    }

    #[test]
    fn an_unknown_key_unlike_any_is_told_all_there_are() {
        let told = refused("environment: demo\nzzz: 1\n");
        assert!(
            told.contains("line 2: there is no key zzz\n  do:  the keys there are environment, "),
            "{told}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_told_with_its_line() {
        let told = refused("environment: demo\nmunits:\n  min: two\n");
        assert!(told.contains("line 3: munits.min: invalid type: string \"two\", expected u32"), "{told}");
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_the_line_of_its_key() {
        let told = refused("environment: demo\nmunits:\n  max: 3\n  min: 4\n");
        assert!(told.contains("line 4: munits.min is 4, and munits.max only 3"), "{told}");
        let told = refused("environment: demo\norigin:\n  count: 0\n");
        assert!(told.contains("line 3: origin.count is 0"), "{told}");
        let told = refused("environment: demo\nmunits:\n  cpu: 2048\n  memory: 3000\n");
        assert!(told.contains("line 4: munits.memory is 3000"), "{told}");
        assert!(told.contains("write 4096 to 16384 in steps of 1024"), "{told}");
    }

    #[test]
    fn a_name_is_needed_and_must_be_one() {
        assert!(refused("region: eu-central-1\n").contains("missing field `environment`"));
        let told = refused("environment: Demo_1\n");
        assert!(told.contains("line 1: environment: an environment's name is"), "{told}");
    }

    #[test]
    fn an_empty_file_is_told_to_be_empty() {
        assert!(refused("# nothing\n").contains("it is empty"));
    }

    #[test]
    fn yaml_that_is_none_is_told_with_its_line() {
        let told = refused("environment: demo\nmunits: [\n");
        assert!(told.contains("line "), "{told}");
    }
}
