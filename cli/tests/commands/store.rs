//! A Redis as the endpoint: the control API's operations straight on the store.

use mobz_store::testing::Redis;

use crate::support::Home;

#[test]
fn a_redis_endpoint_does_what_the_control_api_does() {
    let redis = Redis::start().unwrap();
    let url = redis.url();
    let home = Home::new();
    let stack = home.up(&["--redis", &url]);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");
    let store = |arguments: &[&str]| home.run(&[arguments, &["--endpoint", &url]].concat());

    for command in
        [&["room", "list", "--output", "json"][..], &["room", "inspect", "demo", "--output", "json"]]
    {
        let over_http = home.run(&[command, &["--endpoint", stack.url("control")]].concat());
        assert_eq!(store(command).json(), over_http.json());
    }
    let mut events = home.start(&["events", "--since", "0", "--output", "json", "--endpoint", &url]);
    let is_of_munit = |name: &str| name.starts_with("munit.");
    let first = std::iter::repeat_with(|| events.json()["name"].as_str().unwrap_or_default().to_owned())
        .find(|name| !is_of_munit(name));
    assert_eq!(first.as_deref(), Some("room.created"), "what a munit tells may come before and after");
    store(&["room", "inspect", "nowhere"]).failed(3);
    store(&["room", "kick", "demo", "ann", "--yes"]).done();
    assert_eq!(ann.json()["type"], "Kick");
    store(&["doctor", "--port-base", "0"]).done();
}
