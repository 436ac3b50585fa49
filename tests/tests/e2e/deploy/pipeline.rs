//! The commands of the pipeline example, as they stand there.

use std::fs;
use std::path::Path;

use serde_yaml::Value;

use super::Site;

/// A file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The commands of a job of the example.
fn commands(job: &str) -> Vec<String> {
    let example: Value = serde_yaml::from_str(&text("templates/pipelines/github.yml")).unwrap();
    let steps = example["jobs"][job]["steps"].as_sequence().unwrap();
    steps
        .elements
        .iter()
        .filter_map(|step| step.get("run"))
        .map(|run| run.as_str().unwrap().to_owned())
        .collect()
}

/// Runs a job; → its exit code, and the summary it wrote.
fn run(site: &Site, job: &str) -> (Option<i32>, String) {
    let summary = site.path().join("summary.md");
    fs::write(&summary, "").unwrap();
    let mobzctl = site.command(&[]);
    let binaries = Path::new(mobzctl.get_program()).parent().unwrap();
    for text in commands(job) {
        let mut shell = std::process::Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", &text]).current_dir(site.path());
        for (name, value) in mobzctl.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
            .env("PATH", format!("{}:/usr/bin:/bin", binaries.display()))
            .env("GITHUB_STEP_SUMMARY", &summary);
        let status = shell.status().unwrap();
        if !status.success() {
            return (status.code(), fs::read_to_string(&summary).unwrap());
        }
    }
    (Some(0), fs::read_to_string(&summary).unwrap())
}

#[test]
fn a_pull_request_is_planned_and_a_merge_deployed() {
    let site = Site::deployed();
    let (code, summary) = run(&site, "plan");
    assert_eq!(code, Some(0));
    assert!(summary.contains("nothing to change in demo"), "{summary}");
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    let (code, summary) = run(&site, "plan");
    assert_eq!(code, Some(0));
    assert!(summary.contains("MaxCapacity: 10 -> 12"), "{summary}");
    assert_eq!(site.aws.status("demo-munit"), "CREATE_COMPLETE", "a plan changes nothing");
    let (code, summary) = run(&site, "deploy");
    assert_eq!(code, Some(0));
    assert!(summary.contains("SignalUrl"), "{summary}");
    assert_eq!(site.aws.status("demo-munit"), "UPDATE_COMPLETE");
}

#[test]
fn a_pull_request_with_a_wrong_configuration_fails() {
    let site = Site::deployed();
    site.configure("environment: demo\nmunit:\n  max: 12\n");
    assert_eq!(run(&site, "plan").0, Some(2));
    site.configure("environment: demo\nmunits:\n  max: 12\n");
    site.aws.expires(true);
    assert_eq!(run(&site, "plan").0, Some(4));
    assert_eq!(run(&site, "deploy").0, Some(4));
}

#[test]
fn the_readme_shows_the_example_as_it_stands() {
    let readme = text("README.md");
    let blocks = readme.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|block| block.split("\n```\n").next()).collect();
    let example = text("templates/pipelines/github.yml");
    assert_eq!(blocks, [example.trim_end()], "README.md holds templates/pipelines/github.yml");
}
