//! Keys from wherever an operator keeps them, and tokens signed by them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mobz_core::room::Grants;
use mobz_core::time::Timestamp;
use mobz_core::token::{Claims, Keys};

use crate::error::{Failure, Result, os};

/// How long a token lives that is made for one command.
pub const OWN_TOKEN_TTL: Duration = Duration::from_secs(600);

const REMEDY: &str = "keys are YAML lines `keyId: secret` with secrets of at least 32 bytes, for example from `openssl rand -hex 32`";

/// Keys of a file: YAML `keyId: secret`.
pub fn from_file(path: &Path) -> Result<Keys> {
    let what = format!("cannot use the keys in {}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(&what, os(&error), "name a readable file with --keys"))?;
    let keys: BTreeMap<String, String> =
        serde_yaml::from_str(&text).map_err(|error| Failure::failed(&what, error.to_string(), REMEDY))?;
    Keys::new(keys).map_err(|error| Failure::failed(&what, error.to_string(), REMEDY))
}

/// Keys written `keyId:secret,…`, the form of `MOBZ_KEYS`.
pub fn from_text(text: &str) -> Result<Keys> {
    Keys::parse(text).map_err(|error| Failure::failed("cannot use the keys", error.to_string(), REMEDY))
}

/// The keys in `MOBZ_KEYS`, else those of the file that `MOBZ_KEYS_FILE` names, if either is set.
pub fn from_environment() -> Result<Option<Keys>> {
    let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    match (set("MOBZ_KEYS"), set("MOBZ_KEYS_FILE")) {
        (Some(list), _) => from_text(&list).map(Some),
        (None, Some(path)) => from_file(Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// Claims that end `ttl` from now and allow `grants`; the rest is up to the caller.
pub fn claims(ttl: Duration, grants: Grants) -> Claims {
    let ends = now().after(ttl).as_secs();
    Claims { sub: None, room: None, exp: ends, nbf: None, mode: None, name: None, grants }
}

/// Signs claims with the first key.
pub fn sign(keys: &Keys, claims: &Claims) -> Result<String> {
    let key = keys.first().unwrap_or_default();
    keys.sign(key, claims).map_err(|error| Failure::failed("cannot sign a token", error.to_string(), REMEDY))
}

/// The time, as tokens count it.
pub fn now() -> Timestamp {
    Timestamp::from_millis(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}
