//! An environment from nothing to nothing.

use super::{IMAGES, Site};
use mobz_tests::Aws;

#[test]
fn an_environment_comes_up_from_nothing_and_a_second_deployment_changes_nothing() {
    let site = Site::new();
    let plan = site.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, 10, "{plan:?}");
    plan.says("demo-network  to create")
        .says("  + Vpc")
        .says(" to add, 0 to change, 0 to replace, 0 to remove");
    assert_eq!((site.aws.stacks().len(), site.aws.change_sets()), (0, 0), "a plan leaves nothing behind");

    let deployed = site.run(&["deploy", "--yes"]);
    deployed.done().says("demo-munit created").says("demo is as mobz.yaml says").says("SignalUrl");
    let lines: Vec<&str> = deployed.err.lines().filter(|line| line.contains("demo-cluster  ")).collect();
    assert!(lines.contains(&"demo-cluster  Cluster  AWS::ECS::Cluster  creating"), "{lines:#?}");
    assert!(lines.contains(&"demo-cluster  Cluster  AWS::ECS::Cluster  created"), "{lines:#?}");
    let parts = [
        "network",
        "secrets",
        "redis",
        "registry",
        "cluster",
        "origin",
        "signaling-daemon",
        "munit",
        "watch",
    ];
    assert_eq!(site.aws.stacks(), parts.map(|part| format!("demo-{part}")));
    for part in parts {
        assert_eq!(site.aws.status(&format!("demo-{part}")), "CREATE_COMPLETE");
    }
    let image = site.aws.parameter("demo-munit", "RegulatorImage");
    assert!(image.contains("/demo/regulator@sha256:"), "{image}");
    assert_eq!(site.aws.parameter("demo-redis", "VpcId"), site.aws.output("demo-network", "VpcId"));

    let executed = site.aws.asked("ExecuteChangeSet");
    let again = site.run(&["deploy"]);
    again.done().says("nothing to change: demo is as mobz.yaml says");
    assert_eq!(site.aws.asked("ExecuteChangeSet"), executed, "nothing was executed");
    let plan = site.run(&["plan", "--detailed-exitcode"]);
    plan.done().says("nothing to change in demo");
    assert_eq!(site.aws.change_sets(), 0);
}

#[test]
fn what_stands_is_shown_by_outputs_and_logs() {
    let site = Site::deployed();
    let url = site.aws.output("demo-signaling-daemon", "SignalUrl");
    assert_eq!(site.run(&["outputs", "SignalUrl"]).done().out.trim(), url);
    assert_eq!(site.json(&["outputs"])["SignalUrl"], url);
    site.run(&["outputs", "Nothing"]).failed(3);
    let group = site.aws.output("demo-cluster", "MunitLogGroup");
    site.aws.logs(&group, "regulator/regulator/0123456789abcdef", "munit load");
    site.run(&["logs", "munit"]).done().says("regulator/01234567  munit load");
    let line = site.json(&["logs", "munit"]);
    assert_eq!((line["service"].as_str(), line["text"].as_str()), (Some("munit"), Some("munit load")));
    site.configure("environment: other\n");
    site.run(&["outputs"]).failed(3).says("environment other has no outputs");
    site.run(&["logs"]).failed(3);
}

#[test]
fn a_change_of_the_configuration_is_planned_property_by_property_and_only_that_is_deployed() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunits:\n  max: 20\n");
    let plan = site.json(&["plan"]);
    let scaling =
        plan["changes"].as_array().unwrap().iter().find(|change| change["resource"] == "Scaling").unwrap();
    assert_eq!(scaling["action"], "change");
    assert_eq!((&scaling["stack"], &scaling["replacement"]), (&"demo-munit".into(), &"False".into()));
    assert_eq!(scaling["properties"][0]["path"], "/Properties/MaxCapacity");
    assert_eq!(
        (&scaling["properties"][0]["before"], &scaling["properties"][0]["after"]),
        (&"10".into(), &"20".into())
    );
    site.run(&["plan"]).done().says("  ~ Scaling").says("MaxCapacity: 10 -> 20");
    let executed = site.aws.asked("ExecuteChangeSet");
    let report = site.json(&["deploy", "--yes"]);
    assert_eq!(site.aws.asked("ExecuteChangeSet"), executed + 1);
    let munit =
        report["stacks"].as_array().unwrap().iter().find(|line| line["stack"] == "demo-munit").unwrap();
    assert_eq!((&munit["outcome"], &report["changed"]), (&"updated".into(), &true.into()));
    assert_eq!(site.aws.status("demo-munit"), "UPDATE_COMPLETE");
}

#[test]
fn what_would_be_replaced_is_warned_of_and_asked_about() {
    let site = Site::deployed();
    site.configure("environment: demo\nnetwork:\n  cidr: 10.30.0.0/16\n");
    let plan = site.json(&["plan"]);
    let vpc = plan["changes"].as_array().unwrap().iter().find(|change| change["resource"] == "Vpc").unwrap();
    assert_eq!((&vpc["action"], &vpc["replacement"]), (&"replace".into(), &"True".into()));
    let warning =
        plan["warnings"].as_array().unwrap().iter().find(|warning| warning["resource"] == "Vpc").unwrap();
    assert_eq!(warning["loses"], "calls");
    site.run(&["deploy"]).failed(4).says("warning  Vpc in demo-network is replaced").says("add --yes");
    assert_eq!(site.aws.status("demo-network"), "CREATE_COMPLETE", "nobody said yes");
}

#[test]
fn missing_images_stop_a_deployment_that_goes_on_once_they_are_there() {
    let site = Site::with(Aws::start());
    let stopped = site.run(&["deploy", "--yes"]);
    stopped.failed(4).says("mobzctl image push janus-media-server regulator signaling origin");
    assert_eq!(site.aws.status("demo-registry"), "CREATE_COMPLETE");
    for image in IMAGES {
        site.aws.has_image(&format!("demo/{image}"), env!("CARGO_PKG_VERSION"));
    }
    site.run(&["deploy", "--yes"]).done();
    assert_eq!(site.aws.status("demo-watch"), "CREATE_COMPLETE");
}

#[test]
fn a_part_that_is_not_wanted_any_more_is_planned_for_removal_and_removed() {
    let site = Site::deployed();
    site.configure("environment: demo\nsignaling: serverless\n");
    let zip = site.path().join("lambda.zip");
    std::fs::write(&zip, b"zip").unwrap();
    let zip = zip.to_str().unwrap();
    site.run(&["plan"]).done().says("demo-signaling-serverless  to create");
    let plan = site.json(&["plan", "--lambda", zip]);
    let changes = plan["changes"].as_array().unwrap().iter();
    let of_daemons: Vec<_> = changes.filter(|change| change["stack"] == "demo-signaling-daemon").collect();
    assert!(
        of_daemons.len() > 5 && of_daemons.iter().all(|change| change["action"] == "remove"),
        "{of_daemons:?}"
    );
    site.run(&["deploy", "--yes"]).failed(1).says("name the Lambda's zip with --lambda FILE");
    site.run(&["deploy", "--yes", "--lambda", zip]).done();
    assert!(!site.aws.stacks().contains(&"demo-signaling-daemon".to_owned()));
    let key = site.aws.parameter("demo-signaling-serverless", "LambdaKey");
    assert!(key.starts_with("signaling-") && key.len() == "signaling-.zip".len() + 40, "{key}");
    assert_eq!(site.run(&["deploy", "--lambda", zip]).done().code, 0);
}

#[test]
fn destroying_takes_all_of_it_away_and_doing_it_twice_is_no_failure() {
    let site = Site::deployed();
    site.aws.has_object(&site.aws.output("demo-registry", "ArtifactsBucket"), "signaling-1.zip");
    site.run(&["destroy"]).failed(4).says("demo-watch, demo-munit");
    assert_eq!(site.aws.stacks().len(), 9);
    let destroyed = site.json(&["destroy", "--yes"]);
    assert_eq!(destroyed["destroyed"][0], "demo-watch");
    assert_eq!(destroyed["destroyed"].as_array().unwrap().len(), 9);
    assert_eq!(site.aws.stacks(), Vec::<String>::new());
    site.run(&["destroy"]).done().says("nothing to destroy");
}
