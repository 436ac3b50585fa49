//! The stacks of an environment: which it has, in which order, and what they are given.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;

use crate::config::{Architecture, Config, EnvironmentName, Signaling};

/// A kind of stack (templates/stacks/README.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// VPC, subnets, the key.
    Network,
    /// Token keys, Redis' password, TURN's secret.
    Secrets,
    /// ElastiCache.
    Redis,
    /// ECR, and the bucket of the Lambda's zip.
    Registry,
    /// ECS cluster and log groups.
    Cluster,
    /// TURN servers.
    Coturn,
    /// LL-HLS origins behind CloudFront.
    Origin,
    /// Signaling daemons.
    SignalingDaemon,
    /// API Gateway and the Lambda.
    SignalingServerless,
    /// Media servers.
    Munit,
    /// Alarms and the dashboard.
    Watch,
}

impl Part {
    /// All there are, in the order in which they are deployed; they are destroyed in the reverse one.
    pub const ALL: [Self; 11] = [
        Self::Network,
        Self::Secrets,
        Self::Redis,
        Self::Registry,
        Self::Cluster,
        Self::Coturn,
        Self::Origin,
        Self::SignalingDaemon,
        Self::SignalingServerless,
        Self::Munit,
        Self::Watch,
    ];

    /// As its template's file is called, and its stack after the environment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Secrets => "secrets",
            Self::Redis => "redis",
            Self::Registry => "registry",
            Self::Cluster => "cluster",
            Self::Coturn => "coturn",
            Self::Origin => "origin",
            Self::SignalingDaemon => "signaling-daemon",
            Self::SignalingServerless => "signaling-serverless",
            Self::Munit => "munit",
            Self::Watch => "watch",
        }
    }

    /// Whether an environment of this configuration has it.
    pub const fn is_wanted(self, config: &Config) -> bool {
        match self {
            Self::Coturn => config.turn.count > 0,
            Self::SignalingDaemon => matches!(config.signaling, Signaling::Daemon),
            Self::SignalingServerless => matches!(config.signaling, Signaling::Serverless),
            Self::Network
            | Self::Secrets
            | Self::Redis
            | Self::Registry
            | Self::Cluster
            | Self::Origin
            | Self::Munit
            | Self::Watch => true,
        }
    }

    /// The name of its stack.
    pub fn stack(self, environment: &EnvironmentName) -> String {
        format!("{environment}-{self}")
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A container image that an environment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Image {
    /// Janus.
    JanusMediaServer,
    /// Its regulator.
    Regulator,
    /// The signaling daemon.
    Signaling,
    /// The origin.
    Origin,
    /// The TURN server.
    Coturn,
}

impl Image {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::JanusMediaServer, Self::Regulator, Self::Signaling, Self::Origin, Self::Coturn];

    /// As its folder in `templates/images` and its repository are called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JanusMediaServer => "janus-media-server",
            Self::Regulator => "regulator",
            Self::Signaling => "signaling",
            Self::Origin => "origin",
            Self::Coturn => "coturn",
        }
    }

    /// The output of the registry's stack that tells its repository.
    pub const fn repository(self) -> &'static str {
        match self {
            Self::JanusMediaServer => "JanusMediaServerRepository",
            Self::Regulator => "RegulatorRepository",
            Self::Signaling => "SignalingRepository",
            Self::Origin => "OriginRepository",
            Self::Coturn => "CoturnRepository",
        }
    }

    /// The parameter that names it.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::JanusMediaServer => "JanusMediaServerImage",
            Self::Regulator => "RegulatorImage",
            Self::Signaling => "SignalingImage",
            Self::Origin => "OriginImage",
            Self::Coturn => "CoturnImage",
        }
    }

    /// Whether an environment of this configuration runs it.
    pub const fn is_wanted(self, config: &Config) -> bool {
        match self {
            Self::JanusMediaServer | Self::Regulator | Self::Origin => true,
            Self::Signaling => Part::SignalingDaemon.is_wanted(config),
            Self::Coturn => Part::Coturn.is_wanted(config),
        }
    }
}

/// The log group of the Lambda, as its stack names it.
pub fn lambda_log_group(environment: &EnvironmentName) -> String {
    format!("/mobz/{environment}/lambda")
}

/// How many tasks a service is scaled to at most where the configuration does not say.
const SCALE_MAX: u32 = 10;

/// The parameters that `mobz.yaml` gives, by name.
pub fn parameters(config: &Config) -> BTreeMap<&'static str, String> {
    let Config { network, redis, munits, daemons, origin, turn, .. } = config;
    let text = |value: u32| value.to_string();
    let (task_architecture, lambda_architecture) = match config.images.architecture {
        Architecture::X86 => ("X86_64", "x86_64"),
        Architecture::Arm => ("ARM64", "arm64"),
    };
    let mut all = BTreeMap::from([
        ("Environment", config.environment.to_string()),
        ("VpcCidr", network.cidr.to_string()),
        ("SubnetBits", text(30 - network.cidr.prefix_length())),
        ("RetentionDays", text(config.logs.retention_days.days())),
        ("RedisNodeType", redis.node_type.clone()),
        ("RedisReplicas", text(redis.replicas.into())),
        ("RedisShards", text(redis.shards.into())),
        ("CoturnCount", text(turn.count)),
        ("OriginCount", text(origin.count)),
        ("OriginMax", text(origin.count.max(SCALE_MAX))),
        ("OriginCpu", text(origin.cpu)),
        ("OriginMemory", text(origin.memory)),
        ("PrivatePlayback", origin.private_playback.to_string()),
        ("Window", format!("{}s", origin.window.as_secs())),
        ("SignalingCount", text(daemons.count)),
        ("SignalingMax", text(daemons.count.max(SCALE_MAX))),
        ("SignalingCpu", text(daemons.cpu)),
        ("SignalingMemory", text(daemons.memory)),
        ("MunitMin", text(munits.min)),
        ("MunitMax", text(munits.max)),
        ("MunitCpu", text(munits.cpu)),
        ("MunitMemory", text(munits.memory)),
        ("MunitStations", text(munits.stations)),
        ("MunitViewers", text(munits.viewers)),
        ("RtpPortFrom", text(munits.rtp_ports.from.into())),
        ("RtpPortTo", text(munits.rtp_ports.to.into())),
        ("MunitSpot", munits.spot.to_string()),
        ("Architecture", task_architecture.to_owned()),
        ("LambdaArchitecture", lambda_architecture.to_owned()),
    ]);
    let optional = [
        ("AlarmEmail", &config.alarms.email),
        ("SignalDomain", &daemons.domain),
        ("SignalCertificateArn", &daemons.certificate),
        ("OriginDomain", &origin.domain),
        ("OriginCertificateArn", &origin.certificate),
        ("TurnDomain", &turn.domain),
        ("TurnCertificateArn", &turn.certificate),
    ];
    all.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        Config::parse(&format!("environment: demo\n{more}"), "mobz.yaml").unwrap()
    }

    fn parts(config: &Config) -> Vec<&'static str> {
        Part::ALL.iter().filter(|part| part.is_wanted(config)).map(|part| part.as_str()).collect()
    }

    #[test]
    fn signaling_and_turn_are_as_the_configuration_says() {
        let daemon = parts(&config(""));
        assert!(daemon.contains(&"signaling-daemon") && !daemon.contains(&"signaling-serverless"));
        assert!(!daemon.contains(&"coturn"));
        let serverless = config("signaling: serverless\nturn:\n  count: 2\n");
        assert!(
            parts(&serverless).contains(&"signaling-serverless") && parts(&serverless).contains(&"coturn")
        );
        assert!(!Image::Signaling.is_wanted(&serverless) && Image::Coturn.is_wanted(&serverless));
    }

    #[test]
    fn every_value_of_the_configuration_becomes_a_parameter() {
        let all = parameters(&config("munits:\n  rtpPorts: 30000-30999\nnetwork:\n  cidr: 10.1.0.0/20\n"));
        assert_eq!((all["RtpPortFrom"].as_str(), all["RtpPortTo"].as_str()), ("30000", "30999"));
        assert_eq!((all["SubnetBits"].as_str(), all["Window"].as_str()), ("10", "60s"));
        assert!(!all.contains_key("AlarmEmail"));
        assert_eq!((all["Architecture"].as_str(), all["LambdaArchitecture"].as_str()), ("X86_64", "x86_64"));
        let arm = parameters(&config("images:\n  architecture: arm64\n"));
        assert_eq!((arm["Architecture"].as_str(), arm["LambdaArchitecture"].as_str()), ("ARM64", "arm64"));
        assert_eq!(parameters(&config("origin:\n  count: 20\n"))["OriginMax"], "20");
    }
}
