//! `mobzctl token create`.

use std::time::Duration;

use mobz_core::room::Grants;
use mobz_core::time::millis;
use mobz_core::token::Keys;
use serde::Serialize;

use crate::args::token::{Create, Grant};
use crate::endpoint::{Place, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::keys;
use crate::output::Output;

/// The longest life of a token: longer ones outlive the memory of who holds them.
const TTL_MAX: Duration = Duration::from_secs(366 * 86_400);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    token: String,
    key_id: &'a str,
    expires_at: String,
}

/// Makes a token and prints it: the bare token for people and `$(…)`, more in JSON.
pub(super) fn run(args: &Create, place: &Where, output: &Output) -> Result<Exit> {
    let grants = grants(&args.grant);
    check(args, grants)?;
    let keys = find_keys(args, place)?;
    let key_id = args.key_id.as_deref().or(keys.first()).unwrap_or_default();
    let mut claims = keys::claims(args.ttl, grants);
    claims.sub.clone_from(&args.user);
    claims.room.clone_from(&args.room);
    claims.name.clone_from(&args.name);
    claims.mode = args.mode.map(Into::into);
    let token = keys.sign(key_id, &claims).map_err(|error| {
        Failure::failed(
            "cannot sign the token",
            error.to_string(),
            "name one of the file's keys with --key-id",
        )
    })?;
    let ends = i64::try_from(claims.exp).ok().and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    let made = Made { token, key_id, expires_at: ends.map(|ends| ends.to_string()).unwrap_or_default() };
    output.document(&made, |_| made.token.clone())?;
    output.detail(&format!("signed with key {}, good until {}", made.key_id, made.expires_at));
    Ok(Exit::Done)
}

fn check(args: &Create, grants: Grants) -> Result<()> {
    let what = "cannot make the token";
    if args.ttl < Duration::from_secs(1) || args.ttl > TTL_MAX {
        let days = millis(TTL_MAX) / 86_400_000;
        return Err(Failure::usage(
            what,
            "its life is out of bounds",
            format!("give --ttl between 1s and {days}d"),
        ));
    }
    if args.room.is_none() && !grants.admin {
        return Err(Failure::usage(
            what,
            "only a token with the grant admin is good without a room",
            "name the room with --room, or add --grant admin",
        ));
    }
    Ok(())
}

fn find_keys(args: &Create, place: &Where) -> Result<Keys> {
    if let Some(key) = &args.key {
        return keys::from_text(key);
    }
    if let Some(file) = &args.keys {
        return keys::from_file(file);
    }
    if let Some(keys) = keys::from_environment()? {
        return Ok(keys);
    }
    // A token in the environment says nothing about keys.
    let place = Place::find(&Where { token: None, ..place.clone() })?;
    place.keys.ok_or_else(|| {
        Failure::usage(
            "cannot make the token",
            "there is no key to sign it with",
            "name a file of keys with --keys FILE, set MOBZ_KEYS, or add keys to the context",
        )
    })
}

fn grants(list: &[Grant]) -> Grants {
    if list.is_empty() {
        return Grants::USUAL;
    }
    let has = |grant| list.contains(&grant);
    Grants {
        publish: has(Grant::Publish),
        watch: has(Grant::Watch),
        owner: has(Grant::Owner),
        kick: has(Grant::Kick),
        admin: has(Grant::Admin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_grant_named_is_publish_and_watch_and_a_named_one_stands_alone() {
        assert_eq!(grants(&[]), Grants::USUAL);
        assert_eq!(grants(&[Grant::Admin]), Grants { admin: true, ..Grants::NONE });
    }
}
