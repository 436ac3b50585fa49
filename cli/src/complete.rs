//! What the shell offers for a value: asked of the files and the endpoint, within a short bound.

use std::time::Duration;

use clap_complete::CompletionCandidate;

use crate::context::{self, Contexts};
use crate::endpoint::{Endpoint, Where};

/// How long the endpoint is waited for while a person waits for a completion.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(700);
/// The most ids that are offered.
const COMPLETIONS_MAX: usize = 200;

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
    ids(Kind::Rooms)
}

/// Ids of munits at the endpoint.
pub fn munits() -> Vec<CompletionCandidate> {
    ids(Kind::Munits)
}

/// Ids of stations at the endpoint.
pub fn stations() -> Vec<CompletionCandidate> {
    ids(Kind::Stations)
}

#[derive(Clone, Copy)]
enum Kind {
    Rooms,
    Munits,
    Stations,
}

fn ids(kind: Kind) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let list = async {
        let endpoint = Endpoint::open(&place()).await.ok()?;
        match kind {
            Kind::Rooms => endpoint.rooms(None, None, COMPLETIONS_MAX).await.ok(),
            Kind::Munits => endpoint.munits(None, COMPLETIONS_MAX).await.ok(),
            Kind::Stations => endpoint.stations(None, COMPLETIONS_MAX).await.ok(),
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(COMPLETION_TIMEOUT, list).await });
    runtime.shutdown_background();
    let Ok(Some(answer)) = answer else { return Vec::new() };
    // Where the entries are, what names one, and what tells more of it.
    let (list, id, help) = match kind {
        Kind::Rooms => ("rooms", "room", "mode"),
        Kind::Munits => ("munits", "id", "state"),
        Kind::Stations => ("stations", "station", "room"),
    };
    let Some(entries) = answer[list].as_array() else { return Vec::new() };
    let candidate = |entry: &serde_json::Value| {
        let help = entry[help].as_str().unwrap_or_default().to_owned();
        Some(CompletionCandidate::new(entry[id].as_str()?).help(Some(help.into())))
    };
    entries.iter().filter_map(candidate).collect()
}

/// Where the line that is being completed acts: by its own flags, else by the environment.
fn place() -> Where {
    let words = std::env::args().skip_while(|word| word != "--").skip(1).collect::<Vec<_>>();
    let said = |flag: &str, variable: &str| flag_of(&words, flag).or_else(|| std::env::var(variable).ok());
    Where {
        endpoint: said("--endpoint", "MOBZ_ENDPOINT"),
        context: said("--context", "MOBZ_CONTEXT"),
        token: said("--token", "MOBZ_TOKEN"),
    }
}

/// The value of a flag, written `--flag value` or `--flag=value`, anywhere in a line that is not finished.
fn flag_of(words: &[String], flag: &str) -> Option<String> {
    words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix(flag)? {
        "" => words.get(index + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_wherever_it_stands() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = |line| flag_of(&words(line), "--endpoint");
        assert_eq!(found("mobzctl room inspect --endpoint http://a x").as_deref(), Some("http://a"));
        assert_eq!(found("mobzctl --endpoint=http://a room inspect x").as_deref(), Some("http://a"));
        assert_eq!(found("mobzctl room --endpoints x"), None);
        assert_eq!(found("mobzctl room --endpoint"), None);
    }
}
