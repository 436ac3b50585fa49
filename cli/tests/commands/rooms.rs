//! `room …` and `events` against a stack.

use rustix::process::Signal;

use crate::support::{Home, eventually};

#[test]
fn a_room_is_listed_inspected_and_closed() {
    let home = Home::new();
    let _stack = home.up(&[]);
    assert_eq!(home.run(&["room", "list", "--output", "json"]).json()["rooms"].as_array().unwrap().len(), 0);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");

    let list = home.run(&["room", "list", "--output", "json"]).json();
    assert_eq!((&list["rooms"][0]["room"], &list["rooms"][0]["mode"]), (&"demo".into(), &"p2p".into()));
    assert!(list["cursor"].is_null());
    assert_eq!(
        home.run(&["room", "list", "--mode", "p2m", "--output", "json"]).json()["rooms"][0],
        serde_json::Value::Null
    );
    let all = home.run(&["room", "list", "--all"]);
    assert!(all.out.starts_with("ROOM  MODE  OWNER"), "{}", all.out);

    let room = home.run(&["room", "inspect", "demo", "--output", "json"]).json();
    assert_eq!((&room["owner"], &room["participants"][0]["user"]), (&"ann".into(), &"ann".into()));
    let yaml = home.run(&["room", "inspect", "demo", "--output", "yaml"]);
    assert!(yaml.out.contains("owner: ann"), "{}", yaml.out);

    home.run(&["room", "close", "demo", "--yes"]).done();
    assert_eq!(ann.json()["reason"], "closed");
    assert_eq!(ann.ended(), Some(4));
    home.run(&["room", "inspect", "demo"]).failed(3);
    home.run(&["room", "close", "demo", "--yes"]).failed(3);
    home.run(&["room", "close", "demo", "--yes", "--if-exists"]).done();
}

#[test]
fn a_kicked_user_hears_the_reason() {
    let home = Home::new();
    let _stack = home.up(&[]);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");
    home.run(&["room", "kick", "demo", "bob", "--yes"]).failed(3);
    home.run(&["room", "kick", "demo", "ann", "--reason", "no shouting", "--yes"]).done();
    let kick = ann.json();
    assert_eq!((&kick["type"], &kick["reason"]), (&"Kick".into(), &"no shouting".into()));
    assert_eq!(ann.ended(), Some(4));
}

#[test]
fn a_watched_room_is_told_change_by_change_until_it_ends() {
    let home = Home::new();
    let _stack = home.up(&[]);
    home.run(&["room", "watch", "demo"]).failed(3);
    let mut ann = home.start(&["signal", "demo", "--user", "ann", "--wait"]);
    assert_eq!(ann.json()["type"], "JoinAck");
    let mut watch = home.start(&["room", "watch", "demo", "--output", "json"]);
    // The watch stands when it tells of a change; until then there are more.
    let mut number = 0;
    let told = std::thread::scope(|scope| {
        let first = scope.spawn(|| watch.json());
        eventually("the watch tells of a guest", || {
            number += 1;
            home.run(&["signal", "demo", "--user", &format!("guest-{number}")]).done();
            first.is_finished().then_some(())
        });
        first.join().unwrap()
    });
    assert_eq!(told["room"], "demo");
    assert!(told["seq"].is_u64() && told["at"].is_string() && told["name"].is_string(), "{told}");
    home.run(&["room", "close", "demo", "--yes"]).done();
    while watch.json()["name"] != "room.ended" {}
    assert_eq!(watch.ended(), Some(0));
}

#[test]
fn events_replay_what_is_kept_and_end_with_0_when_interrupted() {
    let home = Home::new();
    let _stack = home.up(&[]);
    home.run(&["signal", "demo", "--user", "ann"]).done();
    let mut events = home.start(&["events", "--since", "0", "--room", "demo", "--output", "json"]);
    assert_eq!(events.json()["name"], "room.created");
    events.signal(Signal::INT);
    assert_eq!(events.ended(), Some(0));
}
