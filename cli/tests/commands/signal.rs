//! `signal` against a stack.

use serde_json::Value;

use crate::support::Home;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn signals_on_stdin_are_sent_and_their_answers_printed() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let ran = home.pipe(
        &["signal", "demo", "--user", "ann"],
        "{\"type\":\"Sync\",\"id\":\"1\"}\n\n{\"type\":\"Nonsense\",\"id\":\"2\"}\n",
    );
    ran.done();
    let heard = lines(&ran.out);
    let types: Vec<_> = heard.iter().map(|signal| signal["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["JoinAck", "RoomState", "Error"]);
    assert_eq!((&heard[1]["re"], &heard[2]["code"]), (&"1".into(), &"unknown_signal".into()));
}

#[test]
fn two_peers_hear_each_other_and_leave_when_stdin_ends() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");
    home.pipe(&["signal", "demo", "--user", "bob"], "{\"type\":\"Offer\",\"sdp\":\"v=0\",\"id\":\"1\"}\n")
        .done();
    let mut heard = Vec::new();
    while !heard.contains(&"left".to_owned()) {
        let signal = ann.json();
        let left = signal["left"][0]["reason"].as_str().unwrap_or_default();
        heard.push(if left.is_empty() {
            signal["type"].as_str().unwrap().to_owned()
        } else {
            left.to_owned()
        });
    }
    assert!(heard.contains(&"Offer".to_owned()), "{heard:?}");
}

#[test]
fn a_refused_join_is_exit_code_4() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");
    let ran = home.run(&["signal", "demo", "--mode", "p2m"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(lines(&ran.out)[0]["code"], "mode_mismatch");
    let ran = home.run(&["signal", "demo", "--resume", "ann~nonsense"]);
    assert_eq!((ran.code, &lines(&ran.out)[0]["code"]), (4, &"resume_failed".into()));
}

#[test]
fn a_store_is_no_place_to_join() {
    Home::new().run(&["signal", "demo", "--endpoint", "redis://127.0.0.1:1"]).failed(2);
}
