//! End-to-end tests against real `mobzctl` processes, written from PROTOCOL.md and OPERATIONS.md.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]
#![allow(clippy::large_futures, reason = "a test's future holds its clients; it runs once")]

mod control;
mod data;
mod deploy;
mod errors;
mod figures;
mod fsck;
mod join;
mod lifecycle;
mod limits;
mod load;
mod load_hls;
mod load_webrtc;
mod m2m;
mod munit;
mod munits;
mod nodes;
mod outage;
mod p2m;
mod playlists;
mod probe;
mod publish;
mod push;
mod relay;
mod resume;
mod roles;
mod shutdown;
mod stream;
mod tail;
mod tokens;
mod up;

use serde_json::{Value, json};

/// The users in a list of participants or publishers, in order of their names.
fn users(list: &Value) -> Vec<&str> {
    let mut users: Vec<_> =
        list.as_array().into_iter().flatten().filter_map(|entry| entry["user"].as_str()).collect();
    users.sort_unstable();
    users
}

/// The entry of one user in a list of participants or publishers.
fn entry<'a>(list: &'a Value, user: &str) -> &'a Value {
    let found = list.as_array().into_iter().flatten().find(|entry| entry["user"] == user);
    found.unwrap_or_else(|| unreachable!("{user} is not in {list}"))
}

fn sync() -> Value {
    json!({ "type": "Sync" })
}

fn candidate(number: u32) -> Value {
    json!({ "type": "iceCandidate", "candidate": format!("candidate:{number}"), "sdpMid": "0", "sdpMLineIndex": 0 })
}
