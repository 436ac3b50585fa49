//! The file that `mobzctl init` writes: every key, its default, and what it does.

use super::{EnvironmentName, Region};

/// A whole `mobz.yaml` with comments. What it does not comment out are the defaults.
pub fn commented(environment: &EnvironmentName, region: Option<&Region>) -> String {
    let region = match region {
        Some(region) => format!("region: {region}"),
        None => "# region: eu-central-1".to_owned(),
    };
    format!(
        "\
# An environment of MobZ on AWS. `mobzctl config check` checks this file, `mobzctl plan` shows what
# `mobzctl deploy` would change, `mobzctl destroy` takes all of it away again.
# Only `environment` is needed; everything else stands at its default.

# All stacks are called by this name: 1 to 16 lowercase letters, digits and hyphens, a letter first.
environment: {environment}

# Where. When left out: the region of the AWS profile, or AWS_REGION.
{region}

# How clients reach signaling: `daemon` (tasks behind a load balancer) or `serverless` (API Gateway and a
# Lambda: nothing runs while nobody calls, messages up to 128 KiB, connections of two hours).
signaling: daemon

# Tags on everything, for who pays: `team: video`.
tags: {{}}

network:
  # The addresses of the network, an IPv4 /16 to /24. Changing it later replaces everything in it.
  cidr: 10.20.0.0/16

redis:
  # Size of a node.
  nodeType: cache.t4g.small
  # Replicas of each shard; with 1 or more the store outlives a node and a zone.
  replicas: 1
  # More than 1 is cluster mode. Going from 1 to more later replaces the store: live rooms are lost.
  shards: 1

munits:
  # As many run at least, and at most; in between they are scaled by their stations.
  min: 2
  max: 10
  # Of one: CPU units (1024 are a core), memory in MiB, and how much it takes.
  cpu: 2048
  memory: 4096
  stations: 100
  viewers: 900
  # UDP ports of media, opened to the world.
  rtpPorts: 20000-20999
  # Fargate Spot costs a third; AWS may take a munit back with two minutes' notice.
  spot: false

# The signaling daemons (not with `signaling: serverless`).
daemons:
  count: 2
  cpu: 1024
  memory: 2048
  # A name of your own, and the ARN of its ACM certificate (in us-east-1: CloudFront wants it there).
  # domain: signal.example.org
  # certificate: arn:aws:acm:us-east-1:123456789012:certificate/…

# The LL-HLS origin, behind CloudFront.
origin:
  count: 2
  cpu: 1024
  memory: 2048
  # How far back players may go.
  window: 60s
  # Playback only with a token.
  privatePlayback: false
  # A name of your own, and the ARN of its ACM certificate (in us-east-1).
  # domain: live.example.org
  # certificate: arn:aws:acm:us-east-1:123456789012:certificate/…

turn:
  # TURN servers (coturn), for clients behind strict firewalls; 0 is none.
  count: 0
  # For turns: on port 443: the name, and the ARN of its ACM certificate (in the environment's region).
  # domain: turn.example.org
  # certificate: arn:aws:acm:eu-central-1:123456789012:certificate/…

logs:
  # How long logs are kept.
  retentionDays: 30

alarms:
  # Who is told when something is wrong.
  # email: ops@example.org

images:
  # Which version of the images runs; this is that of the mobzctl that wrote this file.
  tag: {tag}
  # What they are built for, and the Lambda: x86_64 or arm64.
  architecture: x86_64
",
        tag = env!("CARGO_PKG_VERSION"),
    )
}
