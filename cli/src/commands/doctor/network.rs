//! What answers: the endpoint, Redis, TURN servers.

use std::time::Duration;

use mobz_runtime::stun::mapped_address;
use tokio::time::timeout;

use super::Check;
use crate::control::Client;
use crate::endpoint::{Place, Where};
use crate::error::{Failure, os};
use crate::exit::Exit;

/// How long Redis is waited for.
const REDIS_TIMEOUT: Duration = Duration::from_secs(5);

/// The endpoint: reachable, well, and open to this operator.
pub(super) async fn endpoint(place: &Where) -> Vec<Check> {
    let name = "endpoint";
    let found = match Place::find(place) {
        Ok(found) => found,
        Err(failure) => return vec![failed(name, &failure)],
    };
    if let Some(store) = &found.store {
        return vec![redis(store).await];
    }
    let client = match found.admin_token().and_then(|token| Client::new(found.url.clone(), token)) {
        Ok(client) => client,
        Err(failure) => return vec![failed(name, &failure)],
    };
    let shown = found.shown();
    if let Err(failure) = client.probe("healthz").await {
        // Nobody said that a stack should run here.
        let nobody_asked = place.endpoint.is_none() && found.found_by.starts_with("the usual");
        return vec![if nobody_asked && failure.exit() == Exit::Unreachable {
            Check::warn(name, format!("no stack runs at {shown}"), "start one with `mobzctl up`")
        } else {
            failed(name, &failure)
        }];
    }
    let mut checks = vec![Check::ok(name, format!("{shown} is alive ({})", found.found_by))];
    checks.push(match client.probe("readyz").await {
        Ok(()) => Check::ok("ready", "it can serve"),
        Err(failure) => failed("ready", &failure),
    });
    checks.push(match client.rooms(None, None, 1).await {
        Ok(_) => Check::ok("access", "the control API answers"),
        Err(failure) => failed("access", &failure),
    });
    checks
}

fn failed(name: &str, failure: &Failure) -> Check {
    Check::fail(name, failure.why(), failure.remedy())
}

/// Whether a Redis answers.
pub(super) async fn redis(url: &str) -> Check {
    let remedy = "start it, or correct the URL (redis://user:password@host:port)";
    let ping = async {
        let store = mobz_store::open(Some(url)).await?;
        store.ping().await.map(|()| store.describe())
    };
    match timeout(REDIS_TIMEOUT, ping).await {
        Ok(Ok(store)) => Check::ok("redis", format!("{store} answers")),
        Ok(Err(error)) => Check::fail("redis", error.to_string(), remedy),
        Err(_) => Check::fail("redis", "does not answer in time", remedy),
    }
}

/// Whether a STUN or TURN server answers a Binding request over UDP (RFC 8489 §6).
pub(super) async fn stun(url: &str) -> Check {
    let name = format!("turn {url}");
    let remedy = "check that the server runs, and that UDP to it passes every firewall";
    match mapped_address(url).await {
        Ok(seen) => Check::ok(name, format!("answers; sees this machine as {seen}")),
        Err(error) => Check::fail(name, os(&error), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    #[tokio::test]
    async fn a_server_that_answers_a_binding_request_is_well() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let mut request = [0; 64];
            let (length, from) = server.recv_from(&mut request).await.unwrap();
            // 192.0.2.1:32853 in the response of RFC 5769 §2.2.
            let address = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
            let response = [&[1, 1, 0, 12], &request[4..length], &address[..]].concat();
            server.send_to(&response, from).await.unwrap();
        });
        let check = stun(&format!("turn:127.0.0.1:{port}")).await;
        answering.await.unwrap();
        assert_eq!(
            (check.verdict, check.detail.as_str()),
            (Verdict::Ok, "answers; sees this machine as 192.0.2.1:32853")
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_fails() {
        let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        drop(holder);
        assert_eq!(stun(&format!("turn:127.0.0.1:{port}")).await.verdict, Verdict::Fail);
    }
}
