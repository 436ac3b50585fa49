//! The signaling daemon alone, for containers; `mobzctl launch signaling` is the same.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use mobz_runtime::lifecycle;
use mobz_signaling::{Settings, serve};
use tokio::net::TcpListener;

/// The signaling daemon of MobZ: WebSocket signaling and the control API
#[derive(Parser)]
#[command(name = "mobz-signaling", version)]
struct Args {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { settings } = Args::parse();
    lifecycle::log_to_stderr("info");
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let shutdown = lifecycle::shutdown_on_signals()?;
    let url =
        settings.common.redis.as_deref().context("--redis URL (or MOBZ_REDIS) says where rooms are kept")?;
    let store = mobz_store::open(Some(url)).await?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    Ok(serve(settings, store, listener, shutdown).await?)
}
