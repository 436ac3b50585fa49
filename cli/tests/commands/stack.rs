//! `up`, `down` and `status`.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::json;

use crate::support::Home;

#[test]
fn ready_is_one_line_of_json_with_the_contracts_keys() {
    let home = Home::new();
    let stack = home.up(&["--munits", "0"]);
    let keys: Vec<_> = stack.ready.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["control", "demo", "munits", "origin", "ready", "signal"]);
    assert_eq!((&stack.ready["ready"], &stack.ready["munits"]), (&json!(true), &json!([])));
    assert!(stack.url("signal").starts_with("ws://127.0.0.1:") && stack.url("signal").ends_with("/signal"));
}

#[test]
fn a_stack_that_is_asked_to_end_exits_with_0_and_leaves_nothing() {
    let home = Home::new();
    for signal in [Signal::INT, Signal::TERM] {
        let mut stack = home.up(&[]);
        assert_eq!(home.run(&["status", "--output", "json"]).json()["stacks"].as_array().unwrap().len(), 1);
        stack.process.signal(signal);
        assert_eq!(stack.process.ended(), Some(0));
        assert_eq!(std::fs::read_dir(home.path().join("run/mobz")).unwrap().count(), 0);
    }
}

#[test]
fn a_stack_that_was_killed_is_not_taken_for_a_living_one() {
    let home = Home::new();
    let mut stack = home.up(&[]);
    stack.process.signal(Signal::KILL);
    stack.process.ended();
    assert_eq!(home.run(&["status", "--output", "json"]).json(), json!({"stacks": []}));
    home.run(&["down"]).done();
}

#[test]
fn a_detached_stack_outlives_its_parent_and_ends_with_down() {
    let home = Home::new();
    let ready = home.run(&["up", "--port-base", "0", "--detach", "--output", "json"]);
    ready.done();
    assert_eq!(ready.json()["ready"], true);
    let stacks = home.run(&["status", "--output", "json"]).json();
    assert_eq!(stacks["stacks"][0]["control"], ready.json()["control"]);
    // The other commands find it by themselves.
    home.run(&["room", "list"]).done();
    let stopped = home.run(&["down", "--output", "json"]).json();
    assert_eq!(stopped["stopped"][0]["pid"], stacks["stacks"][0]["pid"]);
    home.run(&["room", "list"]).failed(6);
    assert_eq!(home.run(&["down"]).done().out, "nothing to stop\n");
}

#[test]
fn of_several_stacks_one_must_be_named() {
    let home = Home::new();
    let (one, two) = (home.up(&[]), home.up(&[]));
    home.run(&["down"]).failed(4);
    let port = one.url("control").rsplit(':').next().unwrap();
    home.run(&["down", "--port-base", port]).done();
    home.run(&["room", "list", "--endpoint", two.url("control")]).done();
    home.run(&["down", "--all"]).done();
    home.run(&["room", "list", "--endpoint", two.url("control")]).failed(6);
}

#[test]
fn a_taken_port_is_refused_with_a_way_out_also_in_the_background() {
    let home = Home::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    for detach in [&[][..], &["--detach"]] {
        let ran = home.run(&[&["up", "--port-base", "0", "--listen", &address], detach].concat());
        ran.failed(4);
        assert!(ran.err.contains(&address) && ran.err.contains("--port-base"), "{}", ran.err);
    }
}

#[test]
fn more_munits_than_there_are_ports_for_are_refused() {
    let ran = Home::new().run(&["up", "--port-base", "0", "--munits", "1000"]);
    ran.failed(2);
    assert!(ran.err.contains("UDP ports") && ran.err.contains("launch regulator"), "{}", ran.err);
}

#[test]
fn beyond_loopback_a_stack_wants_keys() {
    let ran = Home::new().run(&["up", "--port-base", "0", "--listen", "0.0.0.0:0"]);
    ran.failed(1);
    assert!(ran.err.contains("--keys") && ran.err.contains("--insecure-open"), "{}", ran.err);
}
