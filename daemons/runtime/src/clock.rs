//! The clock and the dice: the only places that read either.

use std::time::{SystemTime, UNIX_EPOCH};

use mobz_core::id::{NodeId, UserId};
use mobz_core::time::{Timestamp, millis};

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    #[cfg(feature = "testing")]
    if let Some(now) = simulated::now() {
        return now;
    }
    Timestamp::from_millis(SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default())
}

/// 128 random bits from the operating system.
pub fn random() -> u128 {
    #[cfg(feature = "testing")]
    if let Some(random) = simulated::random() {
        return random;
    }
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
    #[cfg(feature = "testing")]
    let host = if simulated::now().is_some() { String::new() } else { host() };
    #[cfg(not(feature = "testing"))]
    let host = host();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let host: String = host.trim().chars().filter(plain).take(40).collect();
    let id = format!("{}-{:08x}", if host.is_empty() { "node" } else { &host }, random() >> 96);
    id.parse().unwrap_or_else(|_| unreachable!("filtered to a node id"))
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

/// A clock and dice that a simulation throws: for the thread that asked for them, until it ends them.
#[cfg(feature = "testing")]
pub mod simulated {
    use std::cell::Cell;
    use std::time::Duration;

    use mobz_core::time::Timestamp;
    use tokio::time::Instant;

    thread_local! {
        static CLOCK: Cell<Option<Instant>> = const { Cell::new(None) };
        static DICE: Cell<u64> = const { Cell::new(0) };
    }

    /// When simulations begin.
    const EPOCH: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// From now on this thread's time is that of its paused tokio runtime, and its chance follows from `seed`.
    pub fn begin(seed: u64) {
        CLOCK.set(Some(Instant::now()));
        DICE.set(seed);
    }

    /// This thread's time and chance are the machine's again.
    pub fn end() {
        CLOCK.set(None);
    }

    /// The next number (Vigna's `SplitMix64`, the same on every machine and for ever).
    pub fn dice() -> u64 {
        let state = DICE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        DICE.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How long this thread's simulation has gone on.
    pub fn elapsed() -> Duration {
        CLOCK.get().map(|begun| begun.elapsed()).unwrap_or_default()
    }

    pub(super) fn now() -> Option<Timestamp> {
        CLOCK.get().map(|begun| EPOCH.after(begun.elapsed()))
    }

    pub(super) fn random() -> Option<u128> {
        CLOCK.get().map(|_| u128::from(dice()) << 64 | u128::from(dice()))
    }
}
