//! Access tokens: JWT (RFC 7519), HS256, with a `kid` that names the key (PROTOCOL.md §2).

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{RoomId, UserId};
use crate::room::{Grants, Mode};
use crate::time::Timestamp;

/// The shortest secret, in bytes: HS256 wants a key as long as its digest (RFC 7518 §3.2).
pub const SECRET_LENGTH_MIN: usize = 32;
/// The longest token that is looked at, in bytes.
pub const TOKEN_LENGTH_MAX: usize = 4096;

/// The keys that tokens are signed with, by key id.
#[derive(Clone, Default)]
pub struct Keys(BTreeMap<String, String>);

/// What a token claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user; absent in a playback or an admin token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<UserId>,
    /// The only room it is good for; an `admin` token needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// When it ends, in seconds since the epoch.
    pub exp: u64,
    /// Before when it is not good yet, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The only mode it is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The name shown to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it allows; absent is publish and watch.
    #[serde(default = "usual")]
    pub grants: Grants,
}

/// How long a playback token is good: as long as API Gateway lets a signaling connection live, so
/// that a viewer gets a fresh one with the `JoinAck` of its next connection at the latest.
pub const PLAYBACK_TTL: Duration = Duration::from_secs(2 * 3600);

impl Claims {
    /// Of a token that plays `room` from `now` for [`PLAYBACK_TTL`], and does nothing else.
    pub fn playback(room: RoomId, now: Timestamp) -> Self {
        let grants = Grants { watch: true, ..Grants::NONE };
        let exp = now.after(PLAYBACK_TTL).as_secs();
        Self { sub: None, room: Some(room), exp, nbf: None, mode: None, name: None, grants }
    }
}

fn usual() -> Grants {
    Grants::USUAL
}

/// Why keys or a token are no good.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// A secret is too short.
    #[error("the secret of key {kid:?} has {length} bytes; use at least {SECRET_LENGTH_MIN}")]
    ShortSecret {
        /// The key.
        kid: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A `keyId:secret` list that is none.
    #[error("keys are written keyId:secret, separated by commas")]
    BadKeys,
    /// No key to sign with.
    #[error("there is no key {0:?}")]
    NoKey(String),
    /// Not a JWT, not HS256, an unknown `kid` or a signature that does not fit.
    #[error("the token is not signed by one of this server's keys (HS256, header kid)")]
    Invalid,
    /// Its time is over.
    #[error("the token expired; get a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet (nbf); check the clocks")]
    TooEarly,
}

impl Keys {
    /// Keys by id.
    ///
    /// # Errors
    /// [`TokenError::ShortSecret`], [`TokenError::BadKeys`] when there is none.
    pub fn new(keys: BTreeMap<String, String>) -> Result<Self, TokenError> {
        if keys.is_empty() {
            return Err(TokenError::BadKeys);
        }
        match keys.iter().find(|(_, secret)| secret.len() < SECRET_LENGTH_MIN) {
            Some((kid, secret)) => Err(TokenError::ShortSecret { kid: kid.clone(), length: secret.len() }),
            None => Ok(Self(keys)),
        }
    }

    /// Reads `keyId:secret,keyId:secret`, the form of `MOBZ_KEYS`, or a JSON object `{"keyId": "secret"}`, the
    /// form in which secret managers keep several.
    ///
    /// # Errors
    /// [`TokenError::BadKeys`], [`TokenError::ShortSecret`].
    pub fn parse(list: &str) -> Result<Self, TokenError> {
        if list.trim_start().starts_with('{') {
            return Self::new(serde_json::from_str(list).map_err(|_| TokenError::BadKeys)?);
        }
        let pair = |entry: &str| {
            let (kid, secret) = entry.split_once(':')?;
            (!kid.is_empty()).then(|| (kid.to_owned(), secret.to_owned()))
        };
        let keys = list.split(',').map(|entry| pair(entry.trim())).collect::<Option<_>>();
        Self::new(keys.ok_or(TokenError::BadKeys)?)
    }

    /// The id of a key to sign with: the first.
    pub fn first(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }

    /// Signs claims with the key `kid`.
    ///
    /// # Errors
    /// [`TokenError::NoKey`].
    pub fn sign(&self, kid: &str, claims: &Claims) -> Result<String, TokenError> {
        let secret = self.0.get(kid).ok_or_else(|| TokenError::NoKey(kid.to_owned()))?;
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).map_err(|_| TokenError::Invalid)
    }

    /// Checks signature and time of a token.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], [`TokenError::Expired`], [`TokenError::TooEarly`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(TokenError::Invalid);
        }
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or(TokenError::Invalid)?;
        let secret = self.0.get(&kid).ok_or(TokenError::Invalid)?;
        // Time is checked below, against the time that was given.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let key = DecodingKey::from_secret(secret.as_bytes());
        let claims = decode::<Claims>(token, &key, &validation).map_err(|_| TokenError::Invalid)?.claims;
        if claims.exp <= now.as_secs() {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf > now.as_secs()) {
            return Err(TokenError::TooEarly);
        }
        Ok(claims)
    }
}

/// Names the keys and hides the secrets.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn keys() -> Keys {
        Keys::parse(&format!("k1:{SECRET}")).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            sub: Some("ann".parse().unwrap()),
            room: Some("demo".parse().unwrap()),
            exp: NOW.as_secs() + 1,
            nbf: None,
            mode: None,
            name: None,
            grants: Grants::USUAL,
        }
    }

    #[test]
    fn keys_are_read_as_a_list_and_as_json() {
        let json = Keys::parse(&format!("{{\"k1\": \"{SECRET}\"}}\n")).unwrap();
        assert_eq!(json.verify(&keys().sign("k1", &claims()).unwrap(), NOW), Ok(claims()));
        for wrong in ["{", "{}", "{\"k1\": 1}", "[\"k1\"]", "k1", ":secret"] {
            assert!(Keys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signed_token_verifies_until_it_expires() {
        let token = keys().sign("k1", &claims()).unwrap();
        assert_eq!(keys().verify(&token, NOW), Ok(claims()));
        let later = NOW.after(std::time::Duration::from_secs(1));
        assert_eq!(keys().verify(&token, later), Err(TokenError::Expired));
    }

    #[test]
    fn another_key_another_algorithm_and_a_changed_claim_are_invalid() {
        let token = keys().sign("k1", &claims()).unwrap();
        let other = Keys::parse("k1:ffffffffffffffffffffffffffffffff").unwrap();
        assert_eq!(other.verify(&token, NOW), Err(TokenError::Invalid));
        let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.eyJleHAiOjk5OTk5OTk5OTl9.";
        assert_eq!(keys().verify(unsigned, NOW), Err(TokenError::Invalid));
        let mut changed = token.into_bytes();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        assert_eq!(keys().verify(&String::from_utf8(changed).unwrap(), NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn grants_left_out_are_publish_and_watch_and_a_grant_left_out_is_none() {
        let all: Claims = serde_json::from_str(r#"{"exp":1}"#).unwrap();
        assert_eq!(all.grants, Grants::USUAL);
        let watch: Claims = serde_json::from_str(r#"{"exp":1,"grants":{"watch":true}}"#).unwrap();
        assert_eq!(watch.grants, Grants { watch: true, ..Grants::NONE });
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(
            Keys::parse("k:short").unwrap_err(),
            TokenError::ShortSecret { kid: "k".into(), length: 5 }
        );
        assert_eq!(Keys::parse("nonsense").unwrap_err(), TokenError::BadKeys);
    }
}
