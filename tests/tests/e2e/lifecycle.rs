//! Munits that come, drain and go while people talk: PROTOCOL.md §4. `tests/load/lifecycle` measures it.

use std::time::Duration;

use mobz_core::id::StationId;
use mobz_core::munit;
use mobz_tests::{Coturn, Peer, Process, Redis, SOON, Signal, Stack, eventually, is_inside, mobzctl};
use serde_json::{Value, json};

use crate::munit::{Call, answered, call, change, joined, publish, publish_somewhere, spawning, watch};

/// The munit a station is on.
fn munit_of(station: &str) -> String {
    station.parse::<StationId>().unwrap().munit().unwrap().to_string()
}

async fn state(stack: &Stack, munit: &str) -> Value {
    let munit = stack.api().try_get(&format!("/v1/munits/{munit}")).await;
    munit.unwrap_or_default()["state"].clone()
}

async fn is(stack: &Stack, munit: &str, wanted: &str) {
    eventually(&format!("munit {munit} is {wanted}"), async || {
        (state(stack, munit).await == wanted).then_some(())
    })
    .await;
}

async fn drain(redis: &Redis, munit: &str, deadline: Option<Duration>) {
    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    let deadline = deadline.map(|within| mobz_runtime::clock::now().after(within));
    change(&*store, &munit.parse().unwrap(), munit::Input::Drain { deadline, migrate: false }).await;
}

#[tokio::test]
async fn a_drain_waits_for_the_last_to_leave_and_a_revived_munit_takes_stations_again() {
    if !is_inside("lifecycle::a_drain_waits_for_the_last_to_leave_and_a_revived_munit_takes_stations_again") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url(), "--munits", "1"]);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", true).await;
    let (_sends, station) = publish(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(10).await;
    let munit = munit_of(&station);

    drain(&redis, &munit, None).await;
    bob.refused(json!({ "type": "Offer", "sdp": "v=0" }), "no_capacity").await;
    sees.sees(60).await;
    assert_eq!(state(&stack, &munit).await, "draining");

    let store = mobz_store::open(Some(&redis.url())).await.unwrap();
    change(&*store, &munit.parse().unwrap(), munit::Input::Revive).await;
    let (_sends_too, other) = publish(&mut bob).await;
    assert_eq!(munit_of(&other), munit);
    sees.sees(10).await;
    assert_eq!(sees.lost(), 0);

    drain(&redis, &munit, None).await;
    for mut client in [ann, bob] {
        assert_eq!(state(&stack, &munit).await, "draining", "somebody is left");
        client.done(json!({ "type": "Leave" })).await;
    }
    is(&stack, &munit, "drained").await;
}

#[tokio::test]
async fn at_its_deadline_a_draining_munit_gives_up_what_is_left_and_it_goes_on_elsewhere() {
    if !is_inside(
        "lifecycle::at_its_deadline_a_draining_munit_gives_up_what_is_left_and_it_goes_on_elsewhere",
    ) {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url(), "--munits", "2"]);
    let Call { mut ann, mut bob, sends: _sends, station, sees } = call(&stack).await;
    let munit = munit_of(&station);

    drain(&redis, &munit, Some(Duration::from_secs(2))).await;
    sees.sees(30).await;
    for client in [&mut ann, &mut bob] {
        let lost = client.expect("StationLost").await;
        assert_eq!((&lost["station"], &lost["retry"]), (&json!(station), &json!(true)));
    }
    let (_sends, next) = publish(&mut ann).await;
    assert_ne!(munit_of(&next), munit);
    watch(&mut bob, &next).await.sees(10).await;
    is(&stack, &munit, "drained").await;
}

#[tokio::test]
async fn a_munit_of_which_nothing_is_left_is_missed_and_its_publishers_go_elsewhere() {
    if !is_inside("lifecycle::a_munit_of_which_nothing_is_left_is_missed_and_its_publishers_go_elsewhere") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let first = spawning(&redis);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;
    watch(&mut bob, &station).await.sees(10).await;

    let second = Stack::up_with(&["--redis", &redis.url(), "--munits", "1"]);
    first.signal(Signal::KILL);
    kill_janus_of(&first);
    for client in [&mut ann, &mut bob] {
        let lost = client.expect("StationLost").await;
        assert_eq!((&lost["station"], &lost["retry"]), (&json!(station), &json!(true)));
    }
    let (_sends, next) = publish_somewhere(&mut ann).await;
    assert_ne!(munit_of(&next), "m1");
    watch(&mut bob, &next).await.sees(10).await;
    is(&second, "m1", "lost").await;
}

#[tokio::test]
async fn the_janus_of_a_killed_regulator_goes_on_and_is_the_next_ones() {
    if !is_inside("lifecycle::the_janus_of_a_killed_regulator_goes_on_and_is_the_next_ones") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let mut first = spawning(&redis);
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_sends, station) = publish_somewhere(&mut ann).await;
    let sees = watch(&mut bob, &station).await;
    sees.sees(10).await;

    first.signal(Signal::KILL);
    first.wait(SOON);
    sees.sees(30).await;
    let mut second = spawning(&redis);
    let (mut cem, _) = joined(&stack, "cem", false).await;
    let offered = eventually("the munit answers again", async || {
        let ack = cem.request(json!({ "type": "Watch", "station": station })).await;
        (ack["type"] == "WatchAck").then_some(ack)
    })
    .await;
    answered(&mut cem, &offered).await.sees(10).await;
    assert_eq!(sees.lost(), 0);

    second.signal(Signal::TERM);
    assert_eq!(ann.expect("StationLost").await["station"], station);
    assert_eq!(second.wait(SOON).code, Some(0));
    eventually("nothing is left", async || first.strays().is_empty().then_some(())).await;
    let kept = std::fs::read_dir(redis.directory().join("mobz")).unwrap();
    assert_eq!(kept.count(), 0, "nor any file");
}

/// Kills the Janus that a process has started.
fn kill_janus_of(process: &Process) {
    let janus = process.januses().pop().expect("it has a Janus");
    let killed = std::process::Command::new("kill").args(["-9", &janus.to_string()]).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn a_stopped_munit_leaves_the_rest_of_its_stack_alone() {
    if !is_inside("lifecycle::a_stopped_munit_leaves_the_rest_of_its_stack_alone") {
        return;
    }
    let mut stack = Stack::up_with(&["--munits", "2"]);
    let mut stop = stack.mobzctl();
    stop.args(["munit", "stop", "m1", "--wait", "--yes"]);
    let stopped = tokio::task::spawn_blocking(move || stop.output().unwrap()).await.unwrap();
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    is(&stack, "m1", "stopped").await;
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let (mut bob, _) = joined(&stack, "bob", false).await;
    let (_sends, station) = publish(&mut ann).await;
    assert_eq!(munit_of(&station), "m2");
    watch(&mut bob, &station).await.sees(10).await;
    assert_eq!(stack.terminate().code, Some(0));
    assert_eq!(stack.process.strays(), [0; 0]);
}

#[tokio::test]
async fn a_stack_that_is_killed_leaves_no_janus() {
    if !is_inside("lifecycle::a_stack_that_is_killed_leaves_no_janus") {
        return;
    }
    let mut stack = Stack::up_with(&["--munits", "1"]);
    let is_there = |process: &Process| !process.januses().is_empty();
    assert!(is_there(&stack.process));
    stack.process.signal(Signal::KILL);
    stack.process.wait(SOON);
    eventually("Janus has ended", async || (!is_there(&stack.process)).then_some(())).await;
}

#[tokio::test]
async fn a_munit_learns_its_public_address_of_a_stun_server() {
    if !is_inside("lifecycle::a_munit_learns_its_public_address_of_a_stun_server") {
        return;
    }
    let redis = Redis::start().unwrap();
    let stack = Stack::up_with(&["--redis", &redis.url()]);
    let coturn = Coturn::start();
    let mut regulator = behind_nat(&redis, &coturn.url());
    let (mut ann, _) = joined(&stack, "ann", true).await;
    let answer = eventually("the munit takes stations", async || {
        let (_, offer) = Peer::publisher().await;
        let answer = ann.request(json!({ "type": "Offer", "sdp": offer })).await;
        (answer["type"] == "Answer").then_some(answer)
    })
    .await;
    // On loopback the server sees loopback; the interface's own address is 10.99.0.1.
    let sdp = answer["sdp"].as_str().unwrap();
    let candidates: Vec<&str> = sdp.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert!(candidates.iter().any(|line| line.contains(" 127.0.0.1 ")), "{candidates:?}");
    assert_eq!(stack.api().get("/v1/munits/m1").await["address"], "127.0.0.1");
    // Killed, it would leave its Janus for a minute.
    regulator.signal(Signal::TERM);
    assert_eq!(regulator.wait(SOON).code, Some(0));
}

fn behind_nat(redis: &Redis, stun: &str) -> Process {
    let mut command = mobzctl();
    command.args(["launch", "regulator", "--munit", "m1", "--redis", &redis.url(), "--spawn-janus"]);
    command.args(["--public-ip", "stun", "--stun-server", stun]);
    command.env("XDG_RUNTIME_DIR", redis.directory());
    Process::start(&mut command)
}

#[test]
fn a_stun_server_that_does_not_answer_is_named() {
    let redis = Redis::start().unwrap();
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process = behind_nat(&redis, &nobody.to_string());
    assert_eq!(process.wait(SOON).code, Some(1));
    assert!(process.log().contains(&nobody.to_string()), "{}", process.log());
}
