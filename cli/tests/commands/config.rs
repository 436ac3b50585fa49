//! `init` and `config check`.

use std::fs;

use crate::support::Home;

#[test]
fn a_file_is_written_once_and_is_good() {
    let home = Home::new();
    let path = home.path().join("mobz.yaml");
    let file = path.to_str().unwrap();
    home.run(&["init", "prod", "--region", "eu-central-1", "--file", file]).done();
    home.run(&["init", "prod", "--file", file]).failed(4);
    let checked = home.run(&["config", "check", "--file", file, "--output", "json"]);
    checked.done();
    assert_eq!(checked.json()["environment"], "prod");
    assert_eq!(checked.json()["region"], "eu-central-1");
    assert_eq!(checked.json()["munits"]["rtpPorts"], "20000-20999");
    let printed = home.run(&["init", "prod", "--region", "eu-central-1", "--print"]);
    assert_eq!(printed.out, fs::read_to_string(&path).unwrap());
}

#[test]
fn the_file_is_found_in_the_folder_and_its_check_says_what_it_asks_for() {
    let home = Home::new();
    fs::write(home.path().join("mobz.yaml"), "environment: demo\nsignaling: serverless\n").unwrap();
    let checked = home.mobzctl(&["config", "check"]).current_dir(home.path()).output().unwrap();
    let told = String::from_utf8(checked.stdout).unwrap();
    let expected = "\
mobz.yaml is good
  environment  demo
  region       the AWS profile's region
  network      10.20.0.0/16
  redis        cache.t4g.small, 1 replicas
  signaling    serverless
  munits       2 to 10
  origin       2
  turn         none
";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_wrong_key_is_a_usage_error_with_line_and_remedy_and_no_file_is_not_found() {
    let home = Home::new();
    let path = home.path().join("other.yaml");
    let file = path.to_str().unwrap();
    home.run(&["config", "check", "--file", file]).failed(3);
    fs::write(&path, "environment: demo\nmunit:\n  min: 1\n").unwrap();
    let ran = home.run(&["config", "check", "--file", file]);
    ran.failed(2);
    assert!(ran.err.contains("line 2: there is no key munit\n"), "{}", ran.err);
    assert!(ran.err.contains("did you mean munits?"), "{}", ran.err);
}

#[test]
fn an_environments_name_that_is_none_is_a_usage_error() {
    let ran = Home::new().run(&["init", "Prod_1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("1 to 16 lowercase letters"), "{}", ran.err);
}
