//! What one connection may do, whatever room it is in: its rate, its faults, how it joins.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::{Address, UserId};
use crate::room::{Grants, Joining, resume_secret, user_of_secret};
use crate::signal::{Code, Join, Refusal};
use crate::time::{Timestamp, millis};
use crate::token::{Claims, Keys};

/// Signals a second that a connection may send for long (PROTOCOL.md §2).
pub const RATE: u64 = 200;
/// Signals it may send at once, after a rest.
pub const BURST: u64 = 2000;
/// So many faults within [`STRIKES_WITHIN`] close the connection (PROTOCOL.md §3).
pub const STRIKES_MAX: usize = 100;
/// See [`STRIKES_MAX`].
pub const STRIKES_WITHIN: Duration = Duration::from_secs(10);

/// The rate and the faults of one connection.
#[derive(Debug)]
pub struct Conduct {
    /// Thousandths of a signal that may still be sent, at `counted_at`.
    allowance: u64,
    counted_at: Timestamp,
    /// When the latest faults were, at most [`STRIKES_MAX`].
    strikes: VecDeque<Timestamp>,
}

impl Conduct {
    /// Of a connection made at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { allowance: BURST * 1000, counted_at: now, strikes: VecDeque::new() }
    }

    /// Counts one signal.
    ///
    /// # Errors
    /// `rate_limited`, with the time until the next may be sent.
    pub fn count(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let gained = millis(now.since(self.counted_at)).saturating_mul(RATE);
        self.allowance = self.allowance.saturating_add(gained).min(BURST * 1000);
        self.counted_at = now.max(self.counted_at);
        if self.allowance < 1000 {
            let wait = Duration::from_millis((1000 - self.allowance).div_ceil(RATE));
            let message = format!("more than {RATE} signals a second; slow down");
            return Err(Refusal::new(Code::RateLimited, message).retry_after(wait));
        }
        self.allowance -= 1000;
        Ok(())
    }

    /// Notes a refusal; whether the connection has earned its end.
    pub fn is_enough(&mut self, now: Timestamp, code: Code) -> bool {
        if !code.is_strike() {
            return false;
        }
        self.strikes.push_back(now);
        while self.strikes.front().is_some_and(|at| now.since(*at) > STRIKES_WITHIN) {
            self.strikes.pop_front();
        }
        self.strikes.len() >= STRIKES_MAX
    }
}

/// Chance for one Join, from the edge.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The id of a user who brings none.
    pub user: UserId,
    /// For the resume secret.
    pub random: u128,
}

/// Checks who asks to join: by token where there are keys, on trust where there are none, by its
/// secret where it resumes (PROTOCOL.md §2).
///
/// # Errors
/// `unauthorized` without a good token, `forbidden` with a good one for something else,
/// `resume_failed`, `bad_signal`.
pub fn identify(
    join: Join,
    keys: Option<&Keys>,
    now: Timestamp,
    address: Address,
    fresh: Fresh,
    re: Option<String>,
) -> Result<Joining, Refusal> {
    let (user, name, grants) = match (&join.resume, keys) {
        (Some(secret), _) => {
            let user = user_of_secret(secret).ok_or_else(|| {
                Refusal::new(Code::ResumeFailed, "that is no resume secret; send Join without `resume`")
            })?;
            (user, None, Grants::NONE)
        }
        (None, Some(keys)) => {
            let claims = claims_of(&join, keys, now)?;
            let user = claims.sub.ok_or_else(|| {
                Refusal::new(Code::Unauthorized, "the token names no user; get one with the claim `sub`")
            })?;
            let name = claims.name.or_else(|| join.user.and_then(|user| user.name));
            (user, name, claims.grants)
        }
        (None, None) => {
            let (id, name) = join.user.map_or((None, None), |user| (user.id, user.name));
            (id.unwrap_or(fresh.user), name, Grants::USUAL)
        }
    };
    if join.mode.is_none() && join.resume.is_none() {
        return Err(Refusal::bad("mode", "say which mode: p2p, p2m or m2m"));
    }
    let secret = resume_secret(&user, fresh.random);
    let (mode, publish, resume) = (join.mode, join.publish, join.resume);
    Ok(Joining { address, user, name, grants, mode, publish, resume, secret, re })
}

fn claims_of(join: &Join, keys: &Keys, now: Timestamp) -> Result<Claims, Refusal> {
    let unauthorized = |message: String| Refusal::new(Code::Unauthorized, message);
    let token = join.token.as_ref().ok_or_else(|| unauthorized("send a `token` with Join".to_owned()))?;
    let claims = keys.verify(token, now).map_err(|error| unauthorized(error.to_string()))?;
    if claims.room.as_ref() != Some(&join.room) {
        return Err(Refusal::new(Code::Forbidden, format!("the token is not for room {}", join.room)));
    }
    match (claims.mode, join.mode) {
        (Some(granted), Some(asked)) if granted != asked => {
            let message = format!("the token is for a room of mode {} only", granted.as_str());
            Err(Refusal::new(Code::Forbidden, message))
        }
        (Some(_) | None, Some(_) | None) => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn at(millis: u64) -> Timestamp {
        START.after(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_then_the_rate_is_allowed_and_no_more() {
        let mut conduct = Conduct::new(START);
        let burst = (0..3000).filter(|_| conduct.count(START).is_ok()).count();
        let second = (0..3000).filter(|_| conduct.count(at(1000)).is_ok()).count();
        assert_eq!((burst, second), (2000, 200));
        let refusal = conduct.count(at(1000)).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after), (Code::RateLimited, Some(Duration::from_millis(5))));
    }

    #[test]
    fn a_hundred_faults_in_ten_seconds_are_enough_and_slower_ones_are_not() {
        let mut fast = Conduct::new(START);
        let closed = (0..100).position(|n| fast.is_enough(at(n * 100), Code::BadSignal));
        assert_eq!(closed, Some(99));
        let mut slow = Conduct::new(START);
        assert!((0..1000).all(|n| !slow.is_enough(at(n * 102), Code::BadSignal)));
        let mut polite = Conduct::new(START);
        assert!((0..1000).all(|_| !polite.is_enough(START, Code::NoSuchUser)));
    }
}
