//! Tokens, and stacks that ask for them.

use crate::support::Home;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn keys(home: &Home) -> String {
    let path = home.path().join("keys.yaml");
    std::fs::write(&path, format!("k1: {SECRET}\n")).unwrap();
    path.display().to_string()
}

#[test]
fn a_token_is_the_only_thing_on_stdout() {
    let home = Home::new();
    let ran = home.run(&["token", "create", "--keys", &keys(&home), "--room", "demo", "--user", "ann"]);
    ran.done();
    assert_eq!(ran.out.trim().split('.').count(), 3, "{}", ran.out);
    let json =
        home.run(&["token", "create", "--keys", &keys(&home), "--grant", "admin", "--output", "json"]).json();
    assert_eq!(json["keyId"], "k1");
    assert!(json["expiresAt"].as_str().unwrap().ends_with('Z'), "{json}");
}

#[test]
fn what_makes_no_sense_in_a_token_is_refused() {
    let home = Home::new();
    let keys = keys(&home);
    home.run(&["token", "create", "--keys", &keys]).failed(2);
    home.run(&["token", "create", "--room", "demo"]).failed(2);
    home.run(&["token", "create", "--keys", &keys, "--room", "demo", "--ttl", "0s"]).failed(2);
    home.run(&["token", "create", "--key", "k:short", "--room", "demo"]).failed(1);
    home.run(&["token", "create", "--keys", &keys, "--room", "demo", "--key-id", "k2"]).failed(1);
}

#[test]
fn a_stack_with_keys_lets_in_who_has_a_token_and_the_local_operator() {
    let home = Home::new();
    let keys = keys(&home);
    let stack = home.up(&["--keys", &keys]);
    let control = stack.url("control");
    // The stack of this machine is known with its keys.
    home.run(&["room", "list"]).done();
    home.run(&["room", "list", "--endpoint", control]).failed(4);
    home.run(&["room", "list", "--endpoint", control, "--token", "nonsense"]).failed(4);
    let admin = home.run(&["token", "create", "--keys", &keys, "--grant", "admin"]).out;
    home.run(&["room", "list", "--endpoint", control, "--token", admin.trim()]).done();
    let ann = home.run(&["token", "create", "--keys", &keys, "--room", "demo", "--user", "ann"]).out;
    home.run(&["room", "list", "--endpoint", control, "--token", ann.trim()]).failed(4);
    let joined = home.run(&["signal", "demo", "--endpoint", control, "--token", ann.trim()]);
    joined.done();
    assert!(joined.out.contains(r#""user":"ann""#), "{}", joined.out);
    let refused = home.run(&["signal", "other", "--endpoint", control, "--token", ann.trim()]);
    assert_eq!(refused.code, 4, "{refused:?}");
}
