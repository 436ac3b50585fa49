//! The munits of a stack: a Janus each, and the regulators that drive them.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mobz_core::id::MunitId;
use mobz_core::munit::Capacity;
use mobz_core::store::Store;
use mobz_regulator::{Config, House, Munit, Place, keep_serving};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::args::stack::Up;
use crate::commands::regulator_failed;
use crate::error::{Failure, Result};

/// How to get what munits need.
pub(super) const REMEDY: &str = "install Janus for group calls (m2m): apt-get install janus";
/// The first UDP port of media.
const RTP_FIRST: u16 = 20_000;
/// How many UDP ports of media each munit has.
const RTP_PORTS: u16 = 1000;
/// The most munits of one stack: each has its ports.
const MUNITS_MAX: u32 = 40;

/// The munits to start: as many as were asked for; else one, where Janus is installed.
pub(super) fn plan(args: &Up) -> Result<Vec<Munit>> {
    let is_installed = mobz_regulator::find_janus().is_some();
    let count = args.munits.unwrap_or(u32::from(is_installed));
    if count > MUNITS_MAX {
        return Err(Failure::usage(
            format!("cannot start {count} munits"),
            format!("each takes {RTP_PORTS} UDP ports from {RTP_FIRST} on"),
            format!("start at most {MUNITS_MAX} here, and more on other machines with `launch regulator`"),
        ));
    }
    if count > 0 && !is_installed {
        return Err(Failure::refused(
            format!("cannot start {count} munits"),
            "there is no program `janus` on the PATH",
            format!("{REMEDY}; or leave --munits out: p2p and p2m run without"),
        ));
    }
    // Stacks that share a Redis share its munits: theirs must not have the same names.
    let tail = args.common.redis.as_ref().map(|_| format!("-{:08x}", rand::random::<u32>()));
    let munit = |number: u32| {
        let id: MunitId = format!("m{number}{}", tail.as_deref().unwrap_or_default())
            .parse()
            .unwrap_or_else(|_| unreachable!("letters, digits and a dash are a munit id"));
        let config = Config { rtp_ports: rtp_ports(number), ..Config::default() };
        Munit {
            id,
            region: "local".to_owned(),
            address: "local".to_owned(),
            capacity: Capacity { stations: args.capacity_stations, viewers: args.capacity_viewers },
            janus: Place::Own(Arc::new(House::new(config))),
        }
    };
    Ok((1..=count).map(munit).collect())
}

/// The UDP ports of munit `number`, counted from 1.
fn rtp_ports(number: u32) -> RangeInclusive<u16> {
    let offset = u16::try_from(number.saturating_sub(1)).unwrap_or_default() * RTP_PORTS;
    RTP_FIRST + offset..=RTP_FIRST + offset + (RTP_PORTS - 1)
}

/// A munit that serves until `shutdown`, whatever becomes of it meanwhile; and what is told once it takes stations.
pub(super) fn start(
    munit: Munit,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) -> (impl Future<Output = Result<()>> + Send, oneshot::Receiver<()>) {
    let (ready, when_ready) = oneshot::channel();
    let served = async move {
        let name = format!("munit {}", munit.id);
        let served = keep_serving(munit, store, ready, shutdown.clone()).await;
        served.map_err(|error| regulator_failed(&name, &error))?;
        // One that was stopped has ended; the rest of the stack goes on.
        shutdown.cancelled().await;
        Ok(())
    };
    (served, when_ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn munits_have_ports_of_their_own() {
        assert_eq!((rtp_ports(1), rtp_ports(2)), (20_000..=20_999, 21_000..=21_999));
        assert!(rtp_ports(MUNITS_MAX).end() < &u16::MAX);
    }
}
