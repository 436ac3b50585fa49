//! Looking after what stands: scaling, drift, doctor, images.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mobz_tests::{Aws, SOON, Signal};

use super::{IMAGES, Site};

#[test]
fn munits_are_scaled_within_their_bounds_and_busy_ones_stay() {
    let site = Site::deployed();
    site.run(&["munit", "scale", "4"]).failed(4).says("scales munits from 2 to 4").says("add --yes");
    let scaled = site.json(&["munit", "scale", "4", "--yes"]);
    assert_eq!((&scaled["desired"], &scaled["running"]), (&4.into(), &4.into()));
    assert_eq!(site.aws.desired("munit"), 4);
    site.run(&["munit", "scale", "11", "--yes"]).failed(4).says("mobz.yaml has 2 to 10");
    let updates = site.aws.asked("UpdateService");
    site.run(&["munit", "scale", "4"]).done().says("4 of 4 munits running");
    assert_eq!(site.aws.asked("UpdateService"), updates, "nothing was to do");

    for (task, _) in site.aws.running("munit") {
        site.aws.protects(&task, true);
    }
    let detached = site.json(&["munit", "scale", "2", "--yes", "--detach"]);
    assert_eq!(detached["desired"], 2);
    assert_eq!(site.aws.running("munit").len(), 4, "no call is cut");
    site.run(&["munit", "scale", "2", "--timeout", "1s"]).failed(5).says("it goes on by itself");
    for (task, _) in site.aws.running("munit") {
        site.aws.protects(&task, false);
    }
    site.run(&["munit", "scale", "2"]).done().says("2 of 2 munits running");
    site.configure("environment: other\n");
    site.run(&["munit", "scale", "2", "--yes"]).failed(3);
}

#[test]
fn what_was_changed_by_hand_is_shown_and_changed_back_when_asked() {
    let site = Site::deployed();
    site.aws.drifts("demo-origin");
    site.run(&["status"]).done().says("in place, changed by hand");
    site.run(&["deploy"]).done().says("nothing to change");
    site.run(&["plan", "--revert-drift"]).done().says("demo-origin  to update");
    site.run(&["deploy", "--yes", "--revert-drift"]).done().says("demo-origin updated");
    site.run(&["plan", "--revert-drift"]).done().says("nothing to change");
}

#[test]
fn status_shows_stacks_services_and_that_nothing_is_deployed() {
    let site = Site::deployed();
    site.run(&["status"]).done().says("environment demo in eu-central-1").says("2 of 2 tasks running");
    let environment = site.json(&["status"])["environment"].take();
    assert_eq!(environment["stacks"].as_array().unwrap().len(), 9);
    assert_eq!(environment["services"].as_array().unwrap().len(), 3);
    site.configure("environment: other\n");
    site.run(&["status"]).done().says("nothing is deployed");
}

#[test]
fn logs_are_followed_until_interrupted() {
    let site = Site::deployed();
    let group = site.aws.output("demo-cluster", "OriginLogGroup");
    site.aws.logs(&group, "origin/origin/0123456789abcdef", "first");
    let mut logs = site.start(&["logs", "--follow", "origin"]);
    assert!(logs.line(SOON).unwrap().ends_with("origin/01234567  first"));
    site.aws.logs(&group, "origin/origin/0123456789abcdef", "second");
    assert!(logs.line(SOON).unwrap().ends_with("origin/01234567  second"), "each line once");
    logs.signal(Signal::INT);
    assert_eq!(super::ended(&mut logs), Some(0));
    assert_eq!(logs.line(SOON), None);
}

#[test]
fn doctor_tells_of_credentials_and_of_what_is_deployed() {
    let site = Site::deployed();
    let checks =
        |site: &Site| site.json(&["doctor", "--port-base", "0"])["checks"].as_array().unwrap().clone();
    let of = |checks: &[serde_json::Value], name: &str| {
        let found = checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {checks:?}")).clone()
    };
    let seen = checks(&site);
    assert_eq!(of(&seen, "mobz.yaml")["verdict"], "ok");
    assert!(of(&seen, "aws").to_string().contains("user/test in account 123456789012, eu-central-1"));
    assert!(of(&seen, "cloudformation").to_string().contains("demo-network is in place"));
    site.aws.expires(true);
    let seen = checks(&site);
    assert_eq!(of(&seen, "aws")["verdict"], "fail");
    assert!(of(&seen, "aws").to_string().contains("log in again"), "{seen:?}");
}

/// A program of this name that notes how it was called, and what was typed into it.
fn program(site: &Site, name: &str) -> (PathBuf, PathBuf) {
    let (folder, log) = (site.path().join("bin"), site.path().join("called"));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let text = "#!/bin/sh\necho \"$(basename \"$0\") $*\" >> \"$CALLED\"\n\
                case \"$*\" in *--password-stdin*) cat >> \"$CALLED\"; echo >> \"$CALLED\";; esac\n";
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, log)
}

fn with_program(site: &Site, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (folder, log) = program(site, name);
    let _ = fs::remove_file(&log);
    let mut command = site.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("CALLED", &log);
    let output = command.output().unwrap();
    let called = fs::read_to_string(&log).unwrap_or_default();
    (output.status.code(), called + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn images_are_built_by_the_engine_that_is_named_and_pushed_once() {
    let site = Site::with(Aws::start());
    site.run(&["deploy", "--yes"]).failed(4);
    let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let build = ["image", "build", "origin", "coturn", "--engine", "podman", "--checkout", checkout];
    let (code, called) = with_program(&site, "podman", &build);
    assert_eq!(code, Some(0), "{called}");
    let tag = env!("CARGO_PKG_VERSION");
    let line = format!(
        "podman build --tag mobz/origin:{tag} --format docker --file {checkout}/templates/images/origin/Dockerfile {checkout}"
    );
    assert!(called.contains(&line), "{called}");
    assert!(called.contains(&format!("podman build --tag mobz/coturn:{tag} ")), "{called}");

    let registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    site.aws.has_image("demo/regulator", tag);
    let push = ["image", "push", "--engine", "buildah"];
    let (code, told) = with_program(&site, "buildah", &push);
    assert_eq!(code, Some(4), "{told}");
    let (code, called) = with_program(&site, "buildah", &[&push[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{called}");
    assert!(
        called.contains(&format!("buildah login --username AWS --password-stdin {registry}\npassword\n"))
    );
    for image in IMAGES.into_iter().filter(|image| *image != "regulator") {
        let tagged = format!("buildah tag mobz/{image}:{tag} {registry}/demo/{image}:{tag}");
        let pushed = format!("buildah push {registry}/demo/{image}:{tag}");
        assert!(called.contains(&tagged) && called.contains(&pushed), "{called}");
    }
    assert!(!called.contains("demo/regulator"), "a tag that is there stays what it is: {called}");
}

#[test]
fn images_without_an_engine_or_a_registry_say_what_is_missing() {
    let site = Site::with(Aws::start());
    site.run(&["image", "push", "--yes"]).failed(3).says("has no registry yet");
    site.run(&["image", "build", "--checkout", "."])
        .failed(3)
        .says("name a checkout of MobZ with --checkout");
}
