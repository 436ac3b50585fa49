//! Help, usage errors and formats: what needs no stack.

use crate::support::Home;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["up"],
    &["down"],
    &["status"],
    &["launch", "signaling"],
    &["launch", "origin"],
    &["launch", "janus"],
    &["healthy"],
    &["init"],
    &["config", "check"],
    &["plan"],
    &["deploy"],
    &["destroy"],
    &["outputs"],
    &["logs"],
    &["image", "build"],
    &["image", "push"],
    &["context", "list"],
    &["context", "use"],
    &["context", "add"],
    &["doctor"],
    &["room", "list"],
    &["room", "inspect"],
    &["room", "watch"],
    &["room", "kick"],
    &["room", "close"],
    &["munit", "list"],
    &["munit", "inspect"],
    &["munit", "drain"],
    &["munit", "revive"],
    &["munit", "stop"],
    &["munit", "scale"],
    &["munit", "watch"],
    &["station", "list"],
    &["station", "inspect"],
    &["station", "assign"],
    &["station", "unassign"],
    &["fsck"],
    &["hls", "push"],
    &["hls", "tail"],
    &["hls", "probe"],
    &["load", "signaling"],
    &["load", "hls"],
    &["load", "webrtc"],
    &["token", "create"],
    &["signal"],
    &["events"],
    &["completions"],
];

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::new();
    for command in COMMANDS {
        let ran = home.run(&[command, &["--help"][..]].concat());
        ran.done();
        assert!(ran.out.contains("Example"), "{command:?} has no example");
        let call = [&["  mobzctl"], *command].concat().join(" ");
        assert!(ran.out.contains(&call), "{command:?}: no example calls it");
    }
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let ran = Home::new().run(&["room", "list", "--nonsense"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.out, "");
}

#[test]
fn an_id_that_is_none_is_a_usage_error_that_says_what_an_id_is() {
    let ran = Home::new().run(&["room", "inspect", "a b"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("a room id is 1 to 64 of"), "{}", ran.err);
}

#[test]
fn an_endpoint_that_is_not_there_is_exit_code_6() {
    let home = Home::new();
    home.run(&["room", "list", "--endpoint", "http://127.0.0.1:1"]).failed(6);
    home.run(&["room", "list", "--endpoint", "redis://127.0.0.1:1"]).failed(6);
    home.run(&["events", "--endpoint", "http://127.0.0.1:1"]).failed(6);
    home.run(&["signal", "demo", "--endpoint", "http://127.0.0.1:1"]).failed(6);
    home.run(&["room", "list", "--endpoint", "ftp://127.0.0.1"]).failed(2);
}

#[test]
fn what_changes_things_needs_yes_without_a_terminal() {
    let home = Home::new();
    let ran = home.run(&["room", "close", "demo", "--endpoint", "http://127.0.0.1:1"]);
    ran.failed(4);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    home.run(&["room", "kick", "demo", "ann", "--endpoint", "http://127.0.0.1:1"]).failed(4);
    for change in [
        &["munit", "revive", "m1"][..],
        &["munit", "stop", "m1"],
        &["fsck", "--repair"],
        &["station", "assign", "m1-000000000001"],
        &["station", "unassign", "m1-000000000001"],
    ] {
        home.run(&[change, &["--endpoint", "http://127.0.0.1:1"]].concat()).failed(4);
    }
}

#[test]
fn nothing_that_is_piped_is_coloured() {
    let ran = Home::new().run(&["doctor", "--port-base", "0"]);
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{ran:?}");
}

#[test]
fn doctor_answers_in_json_and_fails_with_1_when_a_check_fails() {
    let home = Home::new();
    let well = home.run(&["doctor", "--port-base", "0", "--output", "json"]);
    well.done();
    assert_eq!(well.json()["healthy"], true);
    let ill =
        home.run(&["doctor", "--port-base", "0", "--output", "json", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(ill.code, 1, "{ill:?}");
    let checks = ill.json()["checks"].as_array().unwrap().clone();
    let endpoint = checks.iter().find(|check| check["name"] == "endpoint").unwrap();
    assert_eq!(endpoint["verdict"], "fail");
    assert!(endpoint["remedy"].is_string(), "{endpoint}");
}
