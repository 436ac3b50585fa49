//! AWS out of reach, busy, or not letting anybody in.

use super::Site;
use mobz_tests::Signal;

#[test]
fn throttling_is_waited_out_and_told_when_it_does_not_end() {
    let site = Site::deployed();
    site.aws.throttles("DescribeStacks", 3);
    site.run(&["plan"]).done().says("nothing to change");
    site.aws.throttles("DescribeStacks", 1000);
    site.run(&["plan"]).failed(6).says("AWS was asked too much at once");
}

#[test]
fn expired_credentials_are_refused_and_say_what_to_do() {
    let site = Site::deployed();
    site.aws.expires(true);
    for command in [&["plan"][..], &["deploy", "--yes"], &["destroy", "--yes"], &["outputs"], &["logs"]] {
        site.run(command)
            .failed(4)
            .says("AWS does not take the credentials (ExpiredToken)")
            .says("log in again");
    }
}

#[test]
fn no_credentials_and_no_region_are_told_as_such() {
    let site = Site::new();
    let output = |command: &mut std::process::Command| {
        let output = command.output().expect("mobzctl starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut command = site.command(&["plan"]);
    let (code, told) = output(command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("there are no credentials that work"), "{told}");
    let mut command = site.command(&["plan"]);
    let (code, told) = output(command.env_remove("AWS_REGION"));
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("write region: in mobz.yaml, or set AWS_REGION"), "{told}");
}

#[test]
fn credentials_that_expire_on_the_way_leave_a_run_that_goes_on_and_is_taken_up() {
    let site = Site::new();
    site.aws.holds("demo-cluster", "Cluster");
    let mut deploy = site.start(&["deploy", "--yes"]);
    site.becomes("demo-cluster", "CREATE_IN_PROGRESS");
    site.aws.expires(true);
    assert_eq!(super::ended(&mut deploy), Some(4));
    let told = deploy.log();
    assert!(told.contains("meanwhile demo-cluster goes on by itself in AWS"), "{told}");
    site.aws.expires(false);
    site.aws.release();
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-watch"), "CREATE_COMPLETE");
}

#[test]
fn a_lost_connection_is_waited_for_while_aws_goes_on() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    site.aws.holds("demo-munit", "Scaling");
    let mut deploy = site.start(&["deploy", "--yes"]);
    site.becomes("demo-munit", "UPDATE_IN_PROGRESS");
    site.aws.cuts(20);
    super::sync_eventually("the loss is told", || deploy.log().contains("goes on by itself, trying again"));
    site.aws.cuts(0);
    site.aws.release();
    assert_eq!(super::ended(&mut deploy), Some(0), "{}", deploy.log());
    assert_eq!(site.aws.status("demo-munit"), "UPDATE_COMPLETE");
}

#[test]
fn an_endpoint_that_is_not_there_is_exit_code_6() {
    let site = Site::new();
    let mut command = site.command(&["plan"]);
    let output = command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().expect("mobzctl starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(told.contains("AWS cannot be reached") && told.contains("AWS_ENDPOINT_URL"), "{told}");
}

#[test]
fn an_interrupted_creation_is_finished_by_the_same_command() {
    let site = Site::new();
    site.aws.holds("demo-redis", "ReplicationGroup");
    let mut deploy = site.start(&["deploy", "--yes"]);
    site.becomes("demo-redis", "CREATE_IN_PROGRESS");
    deploy.signal(Signal::INT);
    assert_eq!(super::ended(&mut deploy), Some(130));
    assert!(deploy.log().contains("stopped waiting; demo-redis goes on by itself"), "{}", deploy.log());
    let status = site.json(&["status"]);
    let redis = status["environment"]["stacks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stack| stack["stack"] == "demo-redis");
    assert_eq!(redis.unwrap()["status"], "CREATE_IN_PROGRESS");
    site.aws.release();
    site.run(&["status", "--watch"]).done().says("demo-redis");
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-watch"), "CREATE_COMPLETE");
}

#[test]
fn what_takes_too_long_is_exit_code_5_and_what_is_detached_goes_on() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    site.aws.holds("demo-munit", "Scaling");
    let detached = site.json(&["deploy", "--yes", "--detach"]);
    assert_eq!((&detached["complete"], &detached["changed"]), (&false.into(), &true.into()));
    site.becomes("demo-munit", "UPDATE_IN_PROGRESS");
    site.run(&["deploy", "--yes", "--timeout", "1s"]).failed(5).says("go on with `mobzctl deploy`");
    site.aws.release();
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-munit"), "UPDATE_COMPLETE");
}
