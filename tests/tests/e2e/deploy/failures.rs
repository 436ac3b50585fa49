//! Stacks that do not come about, and the states that they are found in.

use super::Site;
use mobz_tests::Signal;

#[test]
fn a_failed_creation_tells_the_first_cause_with_what_the_tasks_said() {
    let site = Site::new();
    let reason = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.";
    site.aws.fails("demo-munit", "Service", "CREATE", reason);
    site.aws.holds("demo-munit", "Service");
    let mut deploy = site.start(&["deploy", "--yes"]);
    site.becomes("demo-munit", "CREATE_IN_PROGRESS");
    super::sync_eventually("the service has tasks", || !site.aws.running("munit").is_empty());
    let definition = site.aws.resource("demo-munit", "TaskDefinition");
    let group = site.aws.output("demo-cluster", "MunitLogGroup");
    let lines = ["starting", "cannot open the store: connection refused"];
    site.aws.has_stopped_task("munit", &definition, "regulator", (&group, "regulator"), &lines);
    site.aws.release();
    assert_eq!(super::ended(&mut deploy), Some(1));
    let told = deploy.log();
    let told = &told[told.find("error: ").unwrap()..];
    let expected = "\
error: cannot create stack demo-munit
  why: Service (AWS::ECS::Service): Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'
       task stopped: Essential container in task exited
       task stopped: regulator: exit code 1
       | regulator  starting
       | regulator  cannot open the store: connection refused
       what had been created was taken away again; the next deploy begins this stack anew
  do:  the tasks do not stay up: the last lines above say why; mend that, then deploy again
";
    assert_eq!(told, expected);
    assert_eq!(site.aws.status("demo-munit"), "ROLLBACK_COMPLETE");

    let again = site.run(&["deploy", "--yes"]);
    again.done().says("to delete, for its creation failed, and create anew").says("demo-munit created");
    assert_eq!(site.aws.status("demo-munit"), "CREATE_COMPLETE");
}

#[test]
fn a_failed_update_is_rolled_back_and_the_next_deployment_goes_on() {
    let site = Site::deployed();
    site.configure("environment: demo\nredis:\n  replicas: 2\n");
    site.aws.fails(
        "demo-redis",
        "ReplicationGroup",
        "UPDATE",
        "You have exceeded the quota of nodes (Service: ElastiCache)",
    );
    let failed = site.run(&["deploy", "--yes"]);
    failed.failed(1).says("cannot update stack demo-redis").says("the stack is back at what it was before");
    failed.says("raise the quota that is named");
    assert_eq!(site.aws.status("demo-redis"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(site.aws.status("demo-munit"), "CREATE_COMPLETE", "what comes later is left alone");
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-redis"), "UPDATE_COMPLETE");
}

#[test]
fn a_rollback_that_failed_is_finished_first() {
    let site = Site::deployed();
    site.aws.set_status("demo-redis", "UPDATE_ROLLBACK_FAILED");
    site.run(&["plan"]).done().says("to finish a failed rollback of");
    site.run(&["deploy", "--yes"]).done().says("demo-redis: finishing the rollback of an earlier update");
    assert_eq!(site.aws.status("demo-redis"), "UPDATE_ROLLBACK_COMPLETE");
    site.aws.set_status("demo-redis", "UPDATE_ROLLBACK_FAILED");
    site.aws.fails("demo-redis", "*", "ROLLBACK", "the resource is gone");
    site.run(&["deploy", "--yes"]).failed(1).says("cannot finish the rollback of stack demo-redis");
}

#[test]
fn what_somebody_else_does_is_waited_for_by_deploy_and_refused_by_plan() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    site.aws.holds("demo-munit", "Scaling");
    let mut first = site.start(&["deploy", "--yes"]);
    site.becomes("demo-munit", "UPDATE_IN_PROGRESS");
    site.run(&["plan"]).failed(4).says("it is being changed just now");
    let mut second = site.start(&["deploy", "--yes"]);
    super::sync_eventually("the second waits", || second.log().contains("is being changed by somebody"));
    first.signal(Signal::INT);
    assert_eq!(super::ended(&mut first), Some(130));
    let told = first.log();
    assert!(told.contains("demo-munit goes on by itself: see it with `mobzctl status --watch`"), "{told}");
    site.aws.release();
    assert_eq!(super::ended(&mut second), Some(0), "{}", second.log());
    assert_eq!(site.aws.status("demo-munit"), "UPDATE_COMPLETE");
    assert!(site.run(&["deploy"]).done().out.contains("nothing to change"));
}

#[test]
fn a_run_that_was_killed_is_taken_up_by_the_next() {
    let site = Site::new();
    site.aws.holds("demo-network", "Vpc");
    let mut first = site.start(&["deploy", "--yes"]);
    site.becomes("demo-network", "CREATE_IN_PROGRESS");
    first.signal(Signal::KILL);
    super::ended(&mut first);
    site.aws.release();
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-watch"), "CREATE_COMPLETE");
}

#[test]
fn a_proposal_that_somebody_left_behind_is_no_hindrance() {
    let site = Site::new();
    site.aws.leaves_proposal("demo-network", "demo");
    site.run(&["plan"]).done().says("demo-network  to create");
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-network"), "CREATE_COMPLETE");
}

#[test]
fn a_stack_of_that_name_that_is_somebody_elses_is_refused() {
    let site = Site::deployed();
    site.aws.untag("demo-redis");
    site.run(&["plan"]).failed(4).says("it is not of this environment");
    site.run(&["destroy", "--yes"]).failed(4);
    assert_eq!(site.aws.status("demo-redis"), "CREATE_COMPLETE");
}

#[test]
fn a_deletion_that_failed_is_told_and_finished_by_the_next_destroy() {
    let site = Site::deployed();
    site.aws.fails("demo-origin", "Service", "DELETE", "The service has tasks that would not stop");
    let failed = site.run(&["destroy", "--yes"]);
    failed
        .failed(1)
        .says("cannot delete stack demo-origin")
        .says("Service (AWS::ECS::Service): The service has tasks");
    assert_eq!(site.aws.status("demo-origin"), "DELETE_FAILED");
    assert_eq!(site.aws.status("demo-watch"), "", "what is after it is gone already");
    site.run(&["deploy", "--yes"]).failed(4).says("finish that with `mobzctl destroy`");
    site.run(&["destroy", "--yes"]).done();
    assert_eq!(site.aws.stacks(), Vec::<String>::new());
}
