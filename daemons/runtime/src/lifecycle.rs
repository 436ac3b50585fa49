//! One start-up and shutdown path for every daemon: telemetry, signals, the order to end.

use std::io::IsTerminal as _;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The exit code of a second SIGINT (OPERATIONS.md, exit codes).
const INTERRUPTED: i32 = 130;

/// Logs to stderr: for people on a terminal, as JSON lines elsewhere. `RUST_LOG` overrides `level`.
pub fn log_to_stderr(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let _ = registry.with(layer.with_target(false)).try_init();
    } else {
        let _ = registry.with(layer.json().flatten_event(true).with_ansi(false)).try_init();
    }
}

/// A token that is cancelled by SIGINT or SIGTERM; a second SIGINT ends the process at once.
///
/// # Errors
/// When the operating system installs no signal handler.
pub fn shutdown_on_signals() -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(watch(interrupt, terminate, shutdown.clone()));
    Ok(shutdown)
}

async fn watch(mut interrupt: Signal, mut terminate: Signal, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            Some(()) = interrupt.recv() => {
                if shutdown.is_cancelled() {
                    std::process::exit(INTERRUPTED);
                }
                tracing::info!("interrupted, ending; once more ends at once");
            }
            Some(()) = terminate.recv() => tracing::info!("asked to end"),
            else => return,
        }
        shutdown.cancel();
    }
}
