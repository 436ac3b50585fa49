//! `munit …` and `station …` against a stack and straight on its Redis.

use std::sync::Arc;

use mobz_core::munit::Input;
use mobz_core::store::Store;
use mobz_runtime::testing::ScriptedMunit;
use mobz_store::testing::Redis;
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{Home, Ran, Stack, eventually};

const STATION: &str = "m1-000000000001";

/// A stack on a Redis, with munits that have no media.
struct Site {
    home: Home,
    stack: Stack,
    redis: Redis,
    runtime: Runtime,
    store: Arc<dyn Store>,
}

impl Site {
    fn new() -> Self {
        let (home, redis) = (Home::new(), Redis::start().unwrap());
        let stack = home.up(&["--redis", &redis.url(), "--munits", "0"]);
        let runtime = Runtime::new().unwrap();
        let store = runtime.block_on(mobz_store::open(Some(&redis.url()))).unwrap();
        Self { home, stack, redis, runtime, store }
    }

    fn munit(&self, id: &str) -> ScriptedMunit {
        self.runtime.block_on(ScriptedMunit::start(&self.store, id, 10))
    }

    /// Puts a station on a munit's record, or takes it off.
    fn change(&self, munit: &ScriptedMunit, input: Input) {
        self.runtime.block_on(munit.change(input));
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run(arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--output", "json"]].concat()).json()
    }
}

fn assign() -> Input {
    let (station, user, room) = (STATION.parse(), "ann".parse(), "demo".parse());
    Input::Assign { station: station.unwrap(), user: user.unwrap(), room: room.unwrap() }
}

#[test]
fn a_munit_is_listed_inspected_drained_and_revived() {
    let site = Site::new();
    assert_eq!(site.run(&["munit", "list"]).out, "no munits\n");
    let munit = site.munit("m1");
    site.change(&munit, assign());
    let list = site.json(&["munit", "list"]);
    assert_eq!((&list["munits"][0]["id"], &list["munits"][0]["state"]), (&"m1".into(), &"active".into()));
    assert_eq!((&list["munits"][0]["stations"], &list["munits"][0]["viewers"]), (&1.into(), &0.into()));
    let inspected = site.json(&["munit", "inspect", "m1"]);
    assert_eq!(inspected["assigned"][0]["station"], STATION);
    site.run(&["munit", "inspect", "m9"]).failed(3);

    site.run(&["munit", "drain", "m1"]).failed(4);
    site.run(&["munit", "drain", "m9", "--yes"]).failed(3);
    site.run(&["munit", "drain", "m1", "--wait", "--timeout", "1s", "--yes"]).failed(5);
    let mut drain = site.home.start(&["munit", "drain", "--all", "--wait", "--yes", "--output", "json"]);
    site.change(&munit, Input::Unassign(STATION.parse().unwrap()));
    assert_eq!(drain.ended(), Some(0));
    assert_eq!(site.json(&["munit", "list"])["munits"][0]["state"], "drained");
    let revived = site.json(&["munit", "revive", "m1", "--yes"]);
    assert_eq!(revived["munits"][0]["state"], "active");
}

#[test]
fn a_munit_with_live_stations_is_stopped_only_by_force() {
    let site = Site::new();
    let munit = site.munit("m1");
    site.change(&munit, assign());
    let refused = site.run(&["munit", "stop", "m1", "--yes"]);
    refused.failed(4);
    assert!(refused.err.contains("1 live station"), "{}", refused.err);
    site.run(&["munit", "stop", "m1", "--force", "--grace", "1s", "--yes"]).done();
    drop(munit);
    let stopped = site.json(&["munit", "stop", "m1", "--wait", "--yes"]);
    assert_eq!(stopped["munits"][0]["state"], "stopped");
}

#[test]
fn a_store_as_endpoint_tells_and_does_the_same_of_munits() {
    let site = Site::new();
    let munit = site.munit("m1");
    site.change(&munit, assign());
    let (url, control) = (site.redis.url(), site.stack.url("control").to_owned());
    for command in [&["munit", "list"][..], &["munit", "inspect", "m1"], &["station", "list"]] {
        let both = [&control, &url].map(|endpoint| {
            let mut told = site.json(&[command, &["--endpoint", endpoint]].concat());
            // Time goes on between the two.
            forget_age(&mut told);
            told
        });
        assert_eq!(both[0], both[1]);
    }
    site.run(&["munit", "drain", "m1", "--yes", "--endpoint", &url]).done();
    assert_eq!(site.json(&["munit", "inspect", "m1"])["state"], "draining");
    site.run(&["munit", "stop", "m1", "--yes", "--endpoint", &url]).failed(4);
    site.run(&["station", "unassign", STATION, "--yes", "--endpoint", &url]).done();
    site.run(&["station", "unassign", STATION, "--yes"]).failed(3);
    site.run(&["station", "unassign", STATION, "--yes", "--if-exists"]).done();
    site.run(&["station", "inspect", STATION]).failed(3);
    site.run(&["station", "assign", STATION, "--yes"]).failed(3);
}

#[test]
fn watched_munits_are_told_change_by_change_and_shown_by_status() {
    let site = Site::new();
    let _munits = (site.munit("m1"), site.munit("m2"));
    let status = site.json(&["status"]);
    assert_eq!(status["stacks"][0]["munits"].as_array().unwrap().len(), 2, "{status}");
    let mut watch = site.home.start(&["munit", "watch", "m1", "--output", "json"]);
    // The watch stands when it tells of a change; until then there are more.
    let told = std::thread::scope(|scope| {
        let first = scope.spawn(|| watch.json());
        eventually("the watch tells of a change", || {
            for verb in ["drain", "revive"] {
                site.run(&["munit", verb, "m2", "--yes"]).done();
                site.run(&["munit", verb, "m1", "--yes"]).done();
            }
            first.is_finished().then_some(())
        });
        first.join().unwrap()
    });
    assert_eq!(told["munit"], "m1");
    assert!(told["name"].as_str().unwrap().starts_with("munit."), "{told}");
    watch.signal(Signal::INT);
    assert_eq!(watch.ended(), Some(0));
}

fn forget_age(told: &mut Value) {
    if let Some(object) = told.as_object_mut() {
        object.remove("heartbeatAgeMs");
        object.values_mut().for_each(forget_age);
    } else if let Some(list) = told.as_array_mut() {
        list.iter_mut().for_each(forget_age);
    }
}
