//! The regulator alone, for containers; `mobzctl launch regulator` is the same.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use mobz_regulator::{Settings, serve};
use mobz_runtime::lifecycle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The regulator of MobZ: drives one Janus, and with it is a munit
#[derive(Parser)]
#[command(name = "mobz-regulator", version)]
struct Args {
    #[command(flatten)]
    settings: Settings,
}

// One thread: its Janus is slower by far, and what goes from task to task waits for no other thread to wake.
#[tokio::main(flavor = "current_thread")]
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
    let munit = settings.munit().await?;
    let url =
        settings.common.redis.as_deref().context("--redis URL (or MOBZ_REDIS) says where munits are kept")?;
    let store = mobz_store::open(Some(url)).await?;
    let listener = match settings.listen {
        Some(listen) => {
            Some(TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?)
        }
        None => None,
    };
    let (ready, _) = oneshot::channel();
    Ok(serve(munit, store, listener, ready, shutdown).await?)
}
