//! Contexts, and which endpoint wins.

use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

const KEY: &str = "k1:0123456789abcdef0123456789abcdef";

#[test]
fn a_context_is_added_used_and_listed_without_its_secret() {
    let home = Home::new();
    home.run(&["context", "add", "prod", "--endpoint", "https://mobz.example.org", "--key", KEY]).done();
    home.run(&["context", "use", "prod"]).done();
    let list = home.run(&["context", "list", "--output", "json"]);
    let rows = list.json()["contexts"].clone();
    assert_eq!(rows[1]["name"], "prod");
    assert_eq!((&rows[1]["current"], &rows[1]["access"]), (&true.into(), &"key".into()));
    assert!(!list.out.contains("0123456789abcdef"), "{}", list.out);
    let file = home.path().join("config/mobz/contexts.yaml");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_flag_goes_before_the_environment_and_that_before_the_context() {
    let home = Home::new();
    home.run(&["context", "add", "a", "--endpoint", "http://127.0.0.1:1/context", "--use"]).done();
    let at_context = home.run(&["room", "list"]);
    assert!(at_context.err.contains("127.0.0.1:1/context"), "{}", at_context.err);
    let mut command = home.mobzctl(&["room", "list"]);
    let output = command.env("MOBZ_ENDPOINT", "http://127.0.0.1:1/environment").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1/environment"));
    let mut command = home.mobzctl(&["room", "list", "--endpoint", "http://127.0.0.1:1/flag"]);
    let output = command.env("MOBZ_ENDPOINT", "http://127.0.0.1:1/environment").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1/flag"));
}

#[test]
fn an_unknown_context_is_not_found() {
    Home::new().run(&["context", "use", "nowhere"]).failed(3);
    Home::new().run(&["room", "list", "--context", "nowhere"]).failed(3);
}

#[test]
fn a_file_that_is_no_contexts_file_is_told_with_its_line() {
    let home = Home::new();
    let folder = home.path().join("config/mobz");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("contexts.yaml"), "contexts:\n  a:\n    endpiont: x\n").unwrap();
    let ran = home.run(&["room", "list"]);
    ran.failed(1);
    assert!(ran.err.contains("endpiont"), "{}", ran.err);
}
