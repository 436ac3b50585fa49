//! Images: built, pushed, and supplied by a deployment. The engine is made up; the registry notes what it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use mobz_tests::{Aws, Process, Signal};

use super::{IMAGES, Ran, Site, ended, sync_eventually};

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TAG: &str = env!("CARGO_PKG_VERSION");
const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// A container engine of this name that notes how it was called and what was typed into it, gives what it is told to
/// push to the registry, and does not come to an end when told to build what has `STUCK` in its name.
fn program(site: &Site, name: &str) -> (PathBuf, PathBuf) {
    let (folder, log) = (site.path().join("bin"), site.path().join("called"));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, ENGINE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, log)
}

const ENGINE: &str = r#"#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLED"
case "$*" in *--password-stdin*) cat >> "$CALLED"; echo >> "$CALLED" ;; esac
if [[ $1 == build && -n $STUCK && $* == *"$STUCK"* ]]; then
  trap 'echo "asked to end" >> "$CALLED"; exit 1' TERM
  while :; do sleep 0.05; done
fi
[[ $1 == push ]] || exit 0
name=${2#*/}
body="{\"repositoryName\":\"${name%:*}\",\"imageTag\":\"${name##*:}\"}"
target=${AWS_ENDPOINT_URL#http://}
exec 3<> "/dev/tcp/${target%:*}/${target##*:}"
printf 'POST / HTTP/1.1\r\nHost: ecr\r\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.PutImage\r\n' >&3
printf 'Content-Length: %d\r\nConnection: close\r\n\r\n%s' "${#body}" "$body" >&3
cat <&3 > /dev/null
"#;

/// A command that finds the engine of this name and no other.
fn command(site: &Site, name: &str, arguments: &[&str]) -> Command {
    let (folder, log) = program(site, name);
    let _ = fs::remove_file(&log);
    let mut command = site.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("CALLED", &log);
    command
}

/// What the engine was called with.
fn called(site: &Site) -> String {
    fs::read_to_string(site.path().join("called")).unwrap_or_default()
}

fn with_program(site: &Site, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(site, name, arguments).output().unwrap();
    (output.status.code(), called(site) + &String::from_utf8_lossy(&output.stderr))
}

const DEPLOY: [&str; 6] = ["deploy", "--yes", "--engine", "podman", "--checkout", CHECKOUT];

#[test]
fn a_deployment_builds_and_pushes_the_images_that_the_registry_lacks() {
    let site = Site::with(Aws::start());
    site.aws.has_image("demo/regulator", TAG);
    let deployed = Ran::of(&mut command(&site, "podman", &DEPLOY));
    deployed.done().says(&format!("{REGISTRY}/demo/origin:{TAG}  pushed")).says("demo-watch  created");
    let log = called(&site);
    for image in IMAGES.into_iter().filter(|image| *image != "regulator") {
        let built = log.find(&format!("podman build --tag mobz/{image}:{TAG} ")).expect(&log);
        let pushed = log.find(&format!("podman push {REGISTRY}/demo/{image}:{TAG}\n")).expect(&log);
        assert!(built < pushed, "{log}");
    }
    assert!(
        !log.contains("mobz/regulator") && !log.contains("coturn"),
        "only what is lacking and wanted: {log}"
    );
    let image = site.aws.parameter("demo-signaling-daemon", "SignalingImage");
    assert!(image.contains("/demo/signaling@sha256:"), "{image}");
    let again = Ran::of(&mut command(&site, "podman", &DEPLOY));
    again.done().says("nothing to change");
    assert_eq!(called(&site), "", "there was nothing to build");
}

#[test]
fn another_tag_is_built_pushed_and_given_to_the_stacks_once_somebody_agrees() {
    let site = Site::deployed();
    site.configure("environment: demo\nimages:\n  tag: next\n");
    let before = site.aws.parameter("demo-origin", "OriginImage");
    let words =
        "images to build with podman and to push as next: janus-media-server, regulator, signaling, origin";
    let asked = Ran::of(command(&site, "podman", &["deploy"]).args(&DEPLOY[2..]));
    asked.failed(4).says(words).says("add --yes");
    assert!(!called(&site).contains("build"), "nobody agreed");

    let mut begun = command(&site, "podman", &DEPLOY);
    let report = Ran::of(begun.args(["--detach", "--output", "json"]));
    let report: serde_json::Value = serde_json::from_str(&report.done().out).unwrap();
    assert_eq!(report["images"].as_array().unwrap().len(), IMAGES.len());
    assert_eq!(report["images"][1], format!("{REGISTRY}/demo/regulator:next"));
    let stacks = report["stacks"].as_array().unwrap();
    let first = stacks.iter().find(|line| line["outcome"] != "unchanged").unwrap();
    assert_eq!((&first["stack"], &first["outcome"]), (&"demo-origin".into(), &"goingOn".into()));
    site.becomes("demo-origin", "UPDATE_COMPLETE");
    assert_ne!(site.aws.parameter("demo-origin", "OriginImage"), before);
}

#[test]
fn images_that_cannot_be_built_here_let_those_that_run_stay() {
    let site = Site::deployed();
    site.configure("environment: demo\nimages:\n  tag: next\n");
    let before = site.aws.parameter("demo-munit", "RegulatorImage");
    let deployed = site.run(&["deploy"]);
    deployed.done().says("lacks as next").says("those that run stay, for there is no ./templates/images");
    assert_eq!(site.aws.parameter("demo-munit", "RegulatorImage"), before);
}

#[test]
fn without_an_engine_a_new_environment_stops_for_want_of_images() {
    let site = Site::with(Aws::start());
    let stopped =
        Ran::of(site.command(&["deploy", "--yes", "--checkout", CHECKOUT]).env("PATH", site.path()));
    stopped.failed(4).says("none of docker, podman, buildah works here").says("mobzctl image push");
    assert_eq!(site.aws.status("demo-registry"), "CREATE_COMPLETE", "it goes on from there");
}

#[test]
fn an_interrupted_build_is_told_to_end() {
    let site = Site::with(Aws::start());
    let mut deploying = Process::start(command(&site, "podman", &DEPLOY).env("STUCK", "mobz/signaling"));
    sync_eventually("it builds", || called(&site).contains("podman build --tag mobz/signaling"));
    deploying.signal(Signal::INT);
    assert_eq!(ended(&mut deploying), Some(130), "{}", deploying.log());
    assert!(deploying.log().contains("go on with `mobzctl deploy`"), "{}", deploying.log());
    sync_eventually("the engine ends", || called(&site).contains("asked to end"));
    assert_eq!(site.aws.status("demo-cluster"), "", "it comes after the registry");
    Ran::of(&mut command(&site, "podman", &DEPLOY)).done();
}

#[test]
fn images_are_built_for_the_architecture_that_the_environment_has() {
    let site = Site::with(Aws::start());
    for (architecture, platform, here) in
        [("arm64", "linux/arm64", "aarch64"), ("x86_64", "linux/amd64", "x86_64")]
    {
        site.configure(&format!("environment: demo\nimages:\n  architecture: {architecture}\n"));
        let build = ["image", "build", "origin", "--engine", "podman", "--checkout", CHECKOUT];
        let (code, called) = with_program(&site, "podman", &build);
        assert_eq!(code, Some(0), "{called}");
        let is_told = called.contains(&format!("--platform {platform} "));
        assert_eq!(is_told, std::env::consts::ARCH != here, "{called}");
    }
}

#[test]
fn images_are_built_by_the_engine_that_is_named_and_pushed_once() {
    let site = Site::with(Aws::start());
    site.run(&["deploy", "--yes"]).failed(4);
    let build = ["image", "build", "origin", "coturn", "--engine", "podman", "--checkout", CHECKOUT];
    let (code, called) = with_program(&site, "podman", &build);
    assert_eq!(code, Some(0), "{called}");
    let line = format!(
        "podman build --tag mobz/origin:{TAG} --format docker --file {CHECKOUT}/templates/images/origin/Dockerfile {CHECKOUT}"
    );
    assert!(called.contains(&line), "{called}");
    assert!(called.contains(&format!("podman build --tag mobz/coturn:{TAG} ")), "{called}");

    site.aws.has_image("demo/regulator", TAG);
    let push = ["image", "push", "--engine", "buildah"];
    let (code, told) = with_program(&site, "buildah", &push);
    assert_eq!(code, Some(4), "{told}");
    let (code, called) = with_program(&site, "buildah", &[&push[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{called}");
    assert!(
        called.contains(&format!("buildah login --username AWS --password-stdin {REGISTRY}\npassword\n"))
    );
    for image in IMAGES.into_iter().filter(|image| *image != "regulator") {
        let tagged = format!("buildah tag mobz/{image}:{TAG} {REGISTRY}/demo/{image}:{TAG}");
        let pushed = format!("buildah push {REGISTRY}/demo/{image}:{TAG}");
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
