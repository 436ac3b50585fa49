//! The clock and the dice: the only places that read either.

use std::time::{SystemTime, UNIX_EPOCH};

use mobz_core::id::{NodeId, UserId};
use mobz_core::time::{Timestamp, millis};

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    Timestamp::from_millis(SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default())
}

/// 128 random bits from the operating system.
pub fn random() -> u128 {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Without randomness secrets would be guessable; nothing may go on.
        tracing::error!(%error, "the operating system gives no random numbers");
        std::process::abort();
    }
    u128::from_le_bytes(bytes)
}

/// A fresh user id, for a stack without keys where the client brings none.
pub fn user_id() -> UserId {
    let id = format!("u-{:016x}", random() >> 64);
    id.parse().unwrap_or_else(|_| unreachable!("hexadecimal digits are a user id"))
}

/// A fresh node id: the host's name and a random tail.
pub fn node_id() -> NodeId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let host: String = host.trim().chars().filter(plain).take(40).collect();
    let id = format!("{}-{:08x}", if host.is_empty() { "node" } else { &host }, random() >> 96);
    id.parse().unwrap_or_else(|_| unreachable!("filtered to a node id"))
}
