//! Time-limited TURN credentials: username `expiry:user`, password base64(HMAC-SHA1(secret, username)),
//! as coturn's `use-auth-secret` takes them (draft-uberti-behave-turn-rest-00 §2.2).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::id::UserId;
use crate::signal::IceServer;
use crate::time::Timestamp;

/// TURN servers that share one secret.
#[derive(Clone)]
pub struct Turn {
    /// `turn:host:port?transport=udp`, …
    pub urls: Vec<String>,
    /// The secret shared with the server.
    pub secret: String,
    /// How long a credential is good.
    pub ttl: Duration,
}

impl Turn {
    /// The servers with a credential for `user`, good from `now` for [`Turn::ttl`].
    pub fn ice_server(&self, user: &UserId, now: Timestamp) -> IceServer {
        let username = format!("{}:{user}", now.after(self.ttl).as_secs());
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret.as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(username.as_bytes());
        let credential = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        IceServer { urls: self.urls.clone(), username: Some(username), credential: Some(credential) }
    }
}

/// Shows the servers and hides the secret.
impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("urls", &self.urls).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_the_hmac_of_expiry_and_user() {
        let turn = Turn {
            urls: vec!["turn:127.0.0.1:3478".into()],
            secret: "north".into(),
            ttl: Duration::from_secs(3600),
        };
        let server = turn.ice_server(&"ann".parse().unwrap(), Timestamp::from_millis(1_000_000));
        // printf 4600:ann | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(server.username.as_deref(), Some("4600:ann"));
        assert_eq!(server.credential.as_deref(), Some("V8KJMgwhmCzJLy5tIylAhjqGm4I="));
    }
}
