//! The munits of a stack: a Janus each, and the regulators that drive them.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mobz_core::id::MunitId;
use mobz_core::munit::Capacity;
use mobz_core::store::Store;
use mobz_regulator::{Config, House, Munit, Place, Ready, keep_serving};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::args::stack::Up;
use crate::commands::regulator_failed;
use crate::error::{Failure, Result};
use crate::stack;

/// How to get what munits need.
pub(super) const REMEDY: &str = "install Janus for group calls (m2m): apt-get install janus";
/// The first UDP port of media.
const RTP_FIRST: u16 = 20_000;
/// How many there are from there on.
const RTP_PORTS: usize = u16::MAX as usize - RTP_FIRST as usize + 1;

/// The munits to start: as many as were asked for; else one, where Janus is installed.
pub(super) fn plan(args: &Up) -> Result<Vec<Munit>> {
    let is_installed = mobz_regulator::find_janus().is_some();
    let count = args.munits.unwrap_or(u32::from(is_installed));
    // One for each connection that it takes.
    let ports = args.capacity_stations.saturating_add(args.capacity_viewers);
    let most = RTP_PORTS / ports.max(1);
    if count as usize > most {
        return Err(Failure::usage(
            format!("cannot start {count} munits"),
            format!(
                "each takes {ports} UDP ports, one for each station and viewer it takes, from {RTP_FIRST} on"
            ),
            format!(
                "start at most {most} here, or give a smaller --capacity-viewers; more run on other machines with `launch regulator`"
            ),
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
        let config = Config { rtp_ports: rtp_ports(number, ports), ..Config::default() };
        Munit {
            id,
            region: "local".to_owned(),
            address: "local".to_owned(),
            capacity: Capacity { stations: args.capacity_stations, viewers: args.capacity_viewers },
            janus: Arc::new(Place::Own(Box::new(House::new(config)))),
        }
    };
    Ok((1..=count).map(munit).collect())
}

/// The UDP ports of munit `number`, counted from 1, where each has so many; all of them fit.
fn rtp_ports(number: u32, ports: usize) -> RangeInclusive<u16> {
    let before = (number as usize).saturating_sub(1) * ports;
    let port = |offset: usize| u16::try_from(usize::from(RTP_FIRST) + offset).unwrap_or(u16::MAX);
    port(before)..=port(before + ports.max(1) - 1)
}

/// A munit that serves until `shutdown`, whatever becomes of it meanwhile; and what is told once it takes stations.
pub(super) fn start(
    munit: Munit,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) -> (impl Future<Output = Result<()>> + Send, oneshot::Receiver<stack::Munit>) {
    let (known, when_known) = oneshot::channel();
    let served = async move {
        let id = munit.id.to_string();
        let name = format!("munit {id}");
        let (ready, when_ready) = oneshot::channel();
        let told = async {
            if let Ok(Ready { janus }) = when_ready.await {
                // Who does not care has dropped it.
                let _ = known.send(stack::Munit { id, janus });
            }
        };
        let (served, ()) = tokio::join!(keep_serving(munit, store, ready, shutdown.clone()), told);
        served.map_err(|error| regulator_failed(&name, &error))?;
        // One that was stopped has ended; the rest of the stack goes on.
        shutdown.cancelled().await;
        Ok(())
    };
    (served, when_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn munits_have_ports_of_their_own() {
        assert_eq!((rtp_ports(1, 1100), rtp_ports(2, 1100)), (20_000..=21_099, 21_100..=22_199));
        let most = u32::try_from(RTP_PORTS / 1100).unwrap();
        assert!(*rtp_ports(most, 1100).end() < u16::MAX && most >= 40, "{most}");
    }
}
