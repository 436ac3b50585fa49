//! `mobzctl config check`.

use std::path::Path;

use crate::args::deploy::Check;
use crate::config::{Config, Signaling};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Reads the configuration, and tells what it asks for.
pub(super) fn run(args: &Check, output: &Output) -> Result<Exit> {
    let path = &args.file.file;
    let config = Config::load(path)?;
    output.document(&config, |output| table(output, path, &config))?;
    Ok(Exit::Done)
}

fn table(output: &Output, path: &Path, config: &Config) -> String {
    let region = config.region.as_ref().map_or("the AWS profile's region", |region| region.as_str());
    let signaling = match config.signaling {
        Signaling::Daemon => format!("{} daemons", config.daemons.count),
        Signaling::Serverless => "serverless".to_owned(),
    };
    let spot = if config.munits.spot { ", on Spot" } else { "" };
    let redis = match config.redis.shards {
        1 => format!("{}, {} replicas", config.redis.node_type, config.redis.replicas),
        shards => {
            format!("{}, {shards} shards of {} replicas", config.redis.node_type, config.redis.replicas)
        }
    };
    let turn = match config.turn.count {
        0 => "none".to_owned(),
        count => format!("{count} servers"),
    };
    let rows = [
        ("environment", config.environment.to_string()),
        ("region", region.to_owned()),
        ("network", config.network.cidr.to_string()),
        ("redis", redis),
        ("signaling", signaling),
        ("munits", format!("{} to {}{spot}", config.munits.min, config.munits.max)),
        ("origin", format!("{}", config.origin.count)),
        ("turn", turn),
        ("images", config.images.tag.clone()),
    ];
    let lines = rows.map(|(name, value)| format!("  {name:<12} {value}"));
    format!("{} {}\n{}", path.display(), output.good("is good"), lines.join("\n"))
}
