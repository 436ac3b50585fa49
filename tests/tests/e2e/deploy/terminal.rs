//! What a person sees on a terminal.

use std::io::Write;
use std::process::Stdio;

use super::Site;

/// Runs a command on a terminal of its own (`script`, util-linux) and types this; → what the terminal was sent.
fn typed(site: &Site, command: &str, input: &str) -> (Option<i32>, String) {
    let mobzctl = site.command(&[]);
    let program = mobzctl.get_program().to_str().unwrap().to_owned();
    let mut terminal = std::process::Command::new("script");
    terminal.args([
        "--quiet",
        "--flush",
        "--return",
        "--command",
        &format!("{program} {command}"),
        "/dev/null",
    ]);
    for (name, value) in mobzctl.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.current_dir(site.path()).env("TERM", "xterm").env_remove("NO_COLOR");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().expect("script is there");
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(input.as_bytes()).unwrap();
    let output = terminal.wait_with_output().unwrap();
    drop(keys);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Without colours and movements of the cursor.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    (out + rest).replace('\r', "\n")
}

#[test]
fn a_deployment_on_a_terminal_shows_the_plan_asks_and_draws_a_tree() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    let (code, seen) = typed(&site, "deploy", "n\n");
    let told = plain(&seen);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("This changes environment demo in eu-central-1. Go ahead? [y/N]"), "{told}");
    assert!(told.contains("the answer was no"), "{told}");
    assert_eq!(site.aws.status("demo-munit"), "CREATE_COMPLETE");

    let (code, seen) = typed(&site, "deploy", "y\n");
    let told = plain(&seen);
    assert_eq!(code, Some(0), "{told}");
    assert!(seen.contains("\x1b["), "colours and movement");
    let tree = ["demo-munit  updat", "└ Scaling  ApplicationAutoScaling::ScalableTarget  updated"];
    assert!(tree.iter().all(|part| told.contains(part)), "{told}");
    let end = &told[told.rfind("demo-munit  updated").unwrap()..];
    let lines: Vec<&str> = end.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[..2], ["demo-munit  updated", "demo is as mobz.yaml says"], "{told}");
}
