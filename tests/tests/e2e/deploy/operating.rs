//! Looking after what stands: scaling, drift, doctor.

use mobz_tests::{SOON, Signal};

use super::Site;

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
