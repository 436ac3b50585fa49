//! What the shell offers for a value: asked of the files and the endpoint, within a short bound.

use std::time::Duration;

use clap::Parser;
use clap_complete::CompletionCandidate;

use crate::context::{self, Contexts};
use crate::endpoint::{Endpoint, Where};

/// How long the endpoint is waited for while a person waits for a completion.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(700);
/// The most ids that are offered.
const COMPLETIONS_MAX: usize = 200;

/// The endpoint flags of the line that is being completed; all else on it is ignored.
#[derive(Debug, Parser)]
#[command(ignore_errors = true, disable_help_flag = true, disable_version_flag = true)]
struct Line {
    #[arg(long, env = "MOBZ_ENDPOINT")]
    endpoint: Option<String>,
    #[arg(long, env = "MOBZ_CONTEXT")]
    context: Option<String>,
    #[arg(long, env = "MOBZ_TOKEN")]
    token: Option<String>,
    #[arg(trailing_var_arg = false, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Names of contexts.
pub fn contexts() -> Vec<CompletionCandidate> {
    let known = Contexts::load().unwrap_or_default();
    let local = CompletionCandidate::new(context::LOCAL).help(Some("the stack on this machine".into()));
    known
        .contexts
        .into_iter()
        .map(|(name, context)| CompletionCandidate::new(name).help(Some(context.endpoint.into())))
        .chain([local])
        .collect()
}

/// Ids of rooms at the endpoint.
pub fn rooms() -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let list = async {
        let endpoint = Endpoint::open(&place()).await.ok()?;
        endpoint.rooms(None, None, COMPLETIONS_MAX).await.ok()
    };
    let answer = runtime.block_on(async { tokio::time::timeout(COMPLETION_TIMEOUT, list).await });
    runtime.shutdown_background();
    let Ok(Some(answer)) = answer else { return Vec::new() };
    let Some(rooms) = answer["rooms"].as_array() else { return Vec::new() };
    rooms
        .iter()
        .filter_map(|room| {
            let mode = room["mode"].as_str().unwrap_or_default().to_owned();
            Some(CompletionCandidate::new(room["room"].as_str()?).help(Some(mode.into())))
        })
        .collect()
}

/// Where the line that is being completed acts.
fn place() -> Where {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    Line::try_parse_from(words).map_or_else(
        |_| Where::default(),
        |line| Where { endpoint: line.endpoint, context: line.context, token: line.token },
    )
}
