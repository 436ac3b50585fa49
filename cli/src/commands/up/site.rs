//! The demo site: its files are in this binary.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rust_embed::Embed;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Listener;
use crate::commands::daemon_failed;
use crate::error::Result;

/// The site as npm built it; empty in a binary that was built before it.
#[derive(Embed)]
#[folder = "../tests/demo/dist"]
#[allow_missing = true]
struct Files;

/// Shown where the site was not built.
const NO_SITE: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>MobZ</title>
<p>The stack runs, but this mobzctl was built without the demo site.
<p>Build the site, then mobzctl again:
<pre>npm --prefix tests/demo ci
npm --prefix tests/demo run build
cargo build --release --package mobzctl</pre>
";

/// What the pages ask for to find the stack.
#[derive(Clone, Debug, Serialize)]
struct Config {
    signal: String,
    origin: String,
    version: &'static str,
}

/// Serves the site until `shutdown`.
pub(super) async fn serve(
    listener: Listener,
    signal: String,
    origin: String,
    shutdown: CancellationToken,
) -> Result<()> {
    let config = Config { signal, origin, version: env!("CARGO_PKG_VERSION") };
    let router =
        Router::new().route("/config.json", get(configuration)).fallback(get(file)).with_state(config);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .map_err(|error| daemon_failed("the demo site", &error))
}

async fn configuration(State(config): State<Config>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(config)).into_response()
}

async fn file(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    // `/p2p` is `/p2p.html`: addresses that people type.
    let found = Files::get(path).map(|file| (path.to_owned(), file)).or_else(|| {
        let page = format!("{path}.html");
        Files::get(&page).map(|file| (page, file))
    });
    match found {
        Some((path, file)) => answer(&path, &file.metadata.sha256_hash(), &file.data, request.headers()),
        None if path == "index.html" => {
            ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")], NO_SITE)
                .into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
    }
}

fn answer(path: &str, hash: &[u8; 32], bytes: &[u8], asked: &HeaderMap) -> Response {
    let (short, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let tag = format!("\"{:016x}\"", u64::from_be_bytes(*short));
    let headers = [
        (CONTENT_TYPE, content_type(path).to_owned()),
        (CACHE_CONTROL, cache_control(path).to_owned()),
        (ETAG, tag.clone()),
    ];
    if asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, bytes.to_vec()).into_response()
}

/// What has its content's hash in its name never changes; all else is asked for anew each time.
fn cache_control(path: &str) -> &'static str {
    if path.rsplit('/').next().is_some_and(|name| name.starts_with("chunk-")) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "mp4" => "video/mp4",
        "ts" | "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_file_is_not_sent_again() {
        let fresh = answer("a.js", &[7; 32], b"x", &HeaderMap::new());
        let mut asked = HeaderMap::new();
        asked.insert(IF_NONE_MATCH, fresh.headers()[ETAG].clone());
        assert_eq!(fresh.status(), StatusCode::OK);
        assert_eq!(answer("a.js", &[7; 32], b"x", &asked).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer("a.js", &[8; 32], b"y", &asked).status(), StatusCode::OK);
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(cache_control("assets/chunk-E3CCUWL7.js").contains("immutable"));
        assert_eq!(cache_control("mobz.js"), "no-cache");
        assert_eq!(content_type("mobz.js"), "text/javascript; charset=utf-8");
    }
}
