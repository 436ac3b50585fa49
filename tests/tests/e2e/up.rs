//! `mobzctl up` as an operator meets it: OPERATIONS.md.

use std::net::TcpListener;
use std::time::Duration;

use mobz_tests::{SOON, Signal, Stack, mobzctl};
use reqwest::StatusCode;

#[test]
fn it_ends_all_it_started_and_exits_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut stack = Stack::up();
        stack.process.signal(signal);
        let ended = stack.process.wait(SOON);
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{signal:?}");
        assert_eq!(stack.process.strays(), Vec::<u32>::new());
    }
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once_with_130() {
    let mut stack = Stack::up();
    let held = stack.join("demo", "p2p", "ann").await;
    stack.process.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(50));
    stack.process.signal(Signal::INT);
    assert_eq!(stack.process.wait(SOON).code, Some(130));
    drop(held);
}

#[tokio::test]
async fn it_serves_the_demo_site_and_the_origin() {
    let stack = Stack::up();
    let demo = stack.fetch(&stack.demo).await;
    assert_eq!(demo.status(), StatusCode::OK);
    assert!(demo.text().await.unwrap().to_lowercase().contains("<!doctype html>"));
    let nothing = stack.fetch(&format!("{}/hls/nowhere/index.m3u8", stack.origin)).await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = mobzctl().args(["up", "--munits", "0", "--listen", &address]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code == 1 || code == 4), "{said}");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let output = mobzctl()
        .args(["up", "--munits", "0", "--port-base", "0", "--redis", "redis://127.0.0.1:1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("127.0.0.1:1"), "{said}");
}
