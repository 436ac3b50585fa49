//! Completion scripts, and what they ask for.

use std::path::Path;

use crate::support::Home;

#[test]
fn the_scripts_that_are_kept_are_those_the_binary_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions");
    for (shell, file) in [("bash", "mobzctl.bash"), ("zsh", "_mobzctl"), ("fish", "mobzctl.fish")] {
        let printed = Home::new().run(&["completions", shell]);
        let kept = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert_eq!(kept, printed.out, "write it anew: mobzctl completions {shell} > completions/{file}");
    }
}

#[test]
fn commands_and_contexts_complete() {
    let home = Home::new();
    home.run(&["context", "add", "prod", "--endpoint", "http://127.0.0.1:1"]).done();
    assert!(complete(&home, &["mobzctl", "comp"]).contains(&"completions".to_owned()));
    let contexts = complete(&home, &["mobzctl", "context", "use", ""]);
    assert!(contexts.contains(&"prod".to_owned()) && contexts.contains(&"local".to_owned()), "{contexts:?}");
}

#[test]
fn room_ids_complete_from_the_endpoint() {
    let home = Home::new();
    let stack = home.up(&[]);
    let mut stay = home.start(&["signal", "blue-room", "--wait", "--endpoint", stack.url("control")]);
    assert_eq!(stay.json()["type"], "JoinAck");
    let rooms = complete(&home, &["mobzctl", "room", "inspect", "blu"]);
    assert_eq!(rooms, ["blue-room"]);
    let elsewhere = Home::new();
    let asked = ["mobzctl", "room", "inspect", "--endpoint", stack.url("control"), ""];
    assert_eq!(complete(&elsewhere, &asked)[0], "blue-room");
}

#[test]
fn an_endpoint_that_is_not_there_completes_to_nothing() {
    let home = Home::new();
    let rooms = complete(&home, &["mobzctl", "--endpoint", "http://127.0.0.1:1", "room", "inspect", "x"]);
    assert_eq!(rooms, Vec::<String>::new());
}

/// What bash would offer for the last of these words.
fn complete(home: &Home, words: &[&str]) -> Vec<String> {
    let mut command = home.mobzctl(&["--"]);
    command
        .args(words)
        .env("COMPLETE", "bash")
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_owned()).collect()
}
