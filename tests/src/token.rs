//! Access tokens made by hand, so that wrong ones can be made too.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A signing key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub kid: String,
    /// Its secret.
    pub secret: String,
}

impl Key {
    /// The key the tests use.
    pub fn test() -> Self {
        Self { kid: "k1".into(), secret: "a secret of the tests that is long enough".into() }
    }

    /// As the environment variable `MOBZ_KEYS` wants it.
    pub fn environment(&self) -> String {
        format!("{}:{}", self.kid, self.secret)
    }

    /// Signs these claims, with an hour to live where they name no `exp`.
    pub fn sign(&self, claims: Value) -> String {
        let mut claims = claims;
        if claims["exp"].is_null() {
            claims["exp"] = json!(now() + 3600);
        }
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(self.secret.as_bytes())).expect("claims are JSON")
    }

    /// A token for one user in one room.
    pub fn participant(&self, room: &str, user: &str, grants: &[&str]) -> String {
        self.sign(json!({ "sub": user, "room": room, "grants": grants_claim(grants) }))
    }

    /// A token for the control API.
    pub fn admin(&self) -> String {
        self.sign(json!({ "sub": "operator", "grants": { "admin": true } }))
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}

fn grants_claim(grants: &[&str]) -> Value {
    grants.iter().map(|grant| ((*grant).to_owned(), Value::Bool(true))).collect()
}
