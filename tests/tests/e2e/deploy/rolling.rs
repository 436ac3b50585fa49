//! Munits roll: new ones beside the old, old ones drained, and nobody's call cut; interrupted and finished.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobz_core::munit::Input;
use mobz_core::store::Store;
use mobz_tests::{Process, Redis, SOON, ScriptedMunit, Signal, Stack, eventually, is_inside, mobzctl};

use super::Site;
use crate::munit::{answered, joined, publish, publish_somewhere, watch};

/// A deployed environment whose munits tell of themselves to a local stack.
struct Rolling {
    site: Site,
    stack: Stack,
    store: Arc<dyn Store>,
    redis: Redis,
}

impl Rolling {
    async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let stack = Stack::up_with(&["--redis", &redis.url()]);
        let store = mobz_store::open(Some(&redis.url())).await.unwrap();
        Self { site: Site::deployed(), stack, store, redis }
    }

    /// Ids of the running munit tasks of this revision.
    fn tasks(&self, revision: &str) -> Vec<String> {
        let running = self.site.aws.running("munit").into_iter();
        running.filter(|(_, of)| of == revision).map(|(id, _)| id).collect()
    }

    async fn munit(&self, task: &str) -> ScriptedMunit {
        ScriptedMunit::start(&self.store, task, 10).await
    }

    fn deploy(&self, flags: &[&str]) -> Process {
        let arguments = [&["deploy", "--yes", "--endpoint", &self.stack.control], flags].concat();
        self.site.start(&arguments)
    }

    async fn state(&self, munit: &str) -> String {
        let munit = self.stack.api().get(&format!("/v1/munits/{munit}")).await;
        munit["state"].as_str().unwrap_or_default().to_owned()
    }
}

fn assign(munit: &str) -> (Input, Input) {
    let station: mobz_core::id::StationId = format!("{munit}-000000000001").parse().unwrap();
    let assign = Input::Assign {
        station: station.clone(),
        user: "ann".parse().unwrap(),
        room: "demo".parse().unwrap(),
    };
    (assign, Input::Unassign(station))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_munit_with_a_call_is_drained_beside_the_new_ones_and_an_interrupted_roll_is_finished() {
    let rolling = Rolling::start().await;
    let Rolling { site, .. } = &rolling;
    let old = rolling.tasks("1");
    assert_eq!(old.len(), 2);
    let busy = rolling.munit(&old[0]).await;
    let (assign, unassign) = assign(&old[0]);
    busy.change(assign).await;
    site.aws.protects(&old[0], true);

    site.configure("environment: demo\nmunits:\n  stations: 50\n");
    let mut deploy = rolling.deploy(&[]);
    eventually("new tasks run", async || (rolling.tasks("2").len() == 2).then_some(())).await;
    assert_eq!(rolling.tasks("1"), [old[0].clone()], "the idle one is gone, the busy one is not");
    assert_eq!(rolling.state(&old[0]).await, "active", "it is not drained before new ones can take over");
    let mut new = Vec::new();
    for task in rolling.tasks("2") {
        new.push(rolling.munit(&task).await);
    }
    eventually("the old one drains", async || (rolling.state(&old[0]).await == "draining").then_some(()))
        .await;
    deploy.signal(Signal::INT);
    assert_eq!(super::ended(&mut deploy), Some(130), "{}", deploy.log());
    assert!(deploy.log().contains("munits: draining"), "{}", deploy.log());
    assert_eq!(rolling.tasks("1"), [old[0].clone()], "the call goes on");

    let mut again = rolling.deploy(&["--output", "json"]);
    eventually("it waits again", async || {
        again.log().contains("1 old one left with 1 connections").then_some(())
    })
    .await;
    busy.change(unassign).await;
    site.aws.protects(&old[0], false);
    assert_eq!(super::ended(&mut again), Some(0), "{}", again.log());
    assert_eq!((rolling.tasks("1").len(), rolling.tasks("2").len()), (0, 2));
    let executed = site.aws.asked("ExecuteChangeSet");
    site.run(&["deploy", "--endpoint", &rolling.stack.control]).done().says("nothing to change");
    assert_eq!(site.aws.asked("ExecuteChangeSet"), executed);
    drop(new);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_migrate_old_munits_are_told_to_move_their_stations() {
    let rolling = Rolling::start().await;
    let old = rolling.tasks("1");
    let busy = rolling.munit(&old[0]).await;
    let (assign, unassign) = assign(&old[0]);
    busy.change(assign).await;
    rolling.site.aws.protects(&old[0], true);
    rolling.site.configure("environment: demo\nmunits:\n  stations: 50\n");
    let mut deploy = rolling.deploy(&["--migrate"]);
    eventually("new tasks run", async || (rolling.tasks("2").len() == 2).then_some(())).await;
    let mut new = Vec::new();
    for task in rolling.tasks("2") {
        new.push(rolling.munit(&task).await);
    }
    eventually("the old one moves its stations", async || {
        let munit = rolling.stack.api().get(&format!("/v1/munits/{}", old[0])).await;
        (munit["migrate"] == true).then_some(())
    })
    .await;
    busy.change(unassign).await;
    rolling.site.aws.protects(&old[0], false);
    assert_eq!(super::ended(&mut deploy), Some(0), "{}", deploy.log());
    assert_eq!(rolling.tasks("1").len(), 0);
    drop(new);
}

/// The tasks of the munit service as processes: a regulator with a Janus for each, started and ended as ECS
/// does, and protected while it has stations.
struct Fleet<'a> {
    rolling: &'a Rolling,
    running: BTreeMap<String, Process>,
    started: u16,
}

impl Fleet<'_> {
    async fn step(&mut self) {
        let Rolling { site, stack, redis, .. } = self.rolling;
        let wanted: Vec<String> = site.aws.running("munit").into_iter().map(|(id, _)| id).collect();
        for task in &wanted {
            if !self.running.contains_key(task) {
                let first = 20_000 + 500 * self.started;
                self.started += 1;
                let ports = format!("{first}-{}", first + 499);
                let mut command = mobzctl();
                command.args(["launch", "regulator", "--munit", task, "--redis", &redis.url()]);
                command.args(["--spawn-janus", "--rtp-ports", &ports]);
                self.running.insert(task.clone(), Process::start(&mut command));
            }
        }
        let gone: Vec<String> = self.running.keys().filter(|task| !wanted.contains(task)).cloned().collect();
        for task in gone {
            let mut process = self.running.remove(&task).unwrap();
            process.signal(Signal::TERM);
            let ended = tokio::task::spawn_blocking(move || process.wait(SOON)).await.unwrap();
            assert_eq!(ended.code, Some(0), "a regulator ends well");
        }
        let munits = stack.api().get("/v1/munits").await;
        for munit in munits["munits"].as_array().unwrap() {
            let is_busy = munit["stations"] != 0;
            site.aws.protects(munit["id"].as_str().unwrap(), is_busy);
        }
    }

    /// Steps until it is so.
    async fn until(&mut self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + 2 * SOON;
        while !is_so().await {
            assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
            self.step().await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_goes_on_over_a_roll_of_real_munits_that_is_interrupted_and_finished() {
    if !is_inside(
        "deploy::rolling::a_live_call_goes_on_over_a_roll_of_real_munits_that_is_interrupted_and_finished",
    ) {
        return;
    }
    let rolling = Rolling::start().await;
    let Rolling { site, stack, .. } = &rolling;
    let mut fleet = Fleet { rolling: &rolling, running: BTreeMap::new(), started: 0 };
    fleet.step().await;
    let (mut ann, _) = joined(stack, "ann", true).await;
    let (mut bob, _) = joined(stack, "bob", false).await;
    let (sends, station) = publish_somewhere(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(30).await;
    fleet.step().await;

    site.configure("environment: demo\nmunits:\n  stations: 50\n");
    let mut first = rolling.deploy(&["--migrate"]);
    fleet
        .until("old munits are drained", async || first.log().contains("munits: moving the stations of"))
        .await;
    first.signal(Signal::INT);
    assert_eq!(super::ended(&mut first), Some(130), "{}", first.log());
    let news = ann.expect_that("to be moved", |signal| signal["moved"][0]["user"] == "ann").await;
    sees.sees(30).await;

    let mut second = rolling.deploy(&["--migrate"]);
    let (_sends_again, moved) = publish(&mut ann).await;
    assert_eq!(news["moved"][0]["to"], moved);
    let offered = bob.expect("WatchAck").await;
    assert_eq!(offered["replaces"], station);
    assert!(!sees.has_ended() && !sends.has_ended(), "the old connections stand until the new ones do");
    let sees_again = answered(&mut bob, &offered).await;
    sees_again.sees(30).await;
    fleet.until("the second run ends", async || second.try_wait().is_some()).await;
    assert_eq!(super::ended(&mut second), Some(0), "{}", second.log());
    assert_eq!((sees.lost(), sees_again.lost()), (0, 0), "no picture is lost");
    sees_again.sees(30).await;

    fleet
        .until("the old ones are gone", async || {
            let munits = stack.api().get("/v1/munits").await;
            munits["munits"].as_array().unwrap().iter().filter(|munit| munit["state"] != "stopped").count()
                == 2
        })
        .await;
    let stations = stack.api().get("/v1/stations").await;
    assert_eq!(stations["stations"].as_array().unwrap().len(), 1, "{stations}");
    assert_eq!(stations["stations"][0]["station"], moved);
    assert_eq!((rolling.tasks("1").len(), rolling.tasks("2").len()), (0, 2));
}
