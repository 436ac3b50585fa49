//! `mobzctl load hls`: every viewer gets every part, and all of it is reported. Never how fast.

use std::process::Output;

use mobz_tests::{Media, Process, Stack, eventually, mobzctl};
use serde_json::json;

use crate::load::{number, report};

#[test]
fn viewers_of_a_published_file_get_its_parts_and_the_delay_of_each_is_known() {
    let stack = Stack::up();
    let pid = stack.process.id().to_string();
    let file = Media::file().display().to_string();
    let flags = ["--viewers", "20", "--ramp", "1s", "--duration", "4s", "--publish", &file, "--pid", &pid];
    let report = report(&load(&stack, &flags));
    assert_eq!((&report["viewers"], &report["playing"]), (&json!(20), &json!(20)), "{report}");
    assert_eq!((&report["http"], &report["clock"]), (&json!("1.1"), &json!("publisher")), "{report}");
    for count in ["parts", "playlists", "bytes"] {
        assert!(number(&report[count]) >= 20.0, "{count}: {report}");
    }
    for times in ["startupMs", "delayMs", "afterAckMs"] {
        assert!(number(&report[times]["count"]) >= 20.0, "{times}: {report}");
        for percentile in ["p50", "p90", "p99", "p999", "max"] {
            assert!(number(&report[times][percentile]) > 0.0, "{times}: {report}");
        }
    }
    assert_eq!(report["server"]["pid"], stack.process.id(), "{report}");
    for figure in ["memoryBeforeBytes", "memoryPeakBytes"] {
        assert!(number(&report["server"][figure]) > 0.0, "{figure}: {report}");
    }
    for figure in ["cpuCores", "cpuMicrosPerViewerSecond", "cpuMicrosPerPart"] {
        assert!(report["server"][figure].is_number(), "{figure}: {report}");
    }
    assert!(report["series"].as_array().is_some_and(|series| series.len() >= 4), "{report}");
    assert!(report["stalls"].is_u64() && report["client"]["cpuCores"].is_number(), "{report}");
}

#[tokio::test]
async fn viewers_take_hints_over_http_2_and_without_a_publishers_clock_the_playlists_dates_count() {
    let stack = Stack::up();
    let _push = published(&stack).await;
    let flags = ["--viewers", "8", "--ramp", "1s", "--duration", "4s", "--hints", "--http2"];
    let report = report(&load(&stack, &flags));
    assert_eq!(
        (&report["playing"], &report["http"], &report["hints"]),
        (&json!(8), &json!("2"), &json!(true))
    );
    assert_eq!((&report["clock"], &report["unmatched"]), (&json!("capture"), &json!(0)), "{report}");
    assert!(number(&report["delayMs"]["count"]) >= 8.0 && number(&report["parts"]) >= 8.0, "{report}");
    assert_eq!(report["afterAckMs"]["count"], 0, "{report}");
}

#[tokio::test]
async fn a_closed_loop_fetches_parts_as_fast_as_they_come() {
    let stack = Stack::up();
    let _push = published(&stack).await;
    let report = report(&load(&stack, &["--viewers", "4", "--ramp", "1s", "--duration", "3s", "--saturate"]));
    let parts = number(&report["parts"]);
    assert!(parts > 100.0, "{report}");
    assert!((number(&report["fetchMs"]["count"]) - parts).abs() < 0.5, "{report}");
    assert!(number(&report["bytes"]) > parts, "{report}");
}

#[test]
fn what_is_not_there_is_told_and_another_machine_is_not_loaded_by_mistake() {
    let stack = Stack::up();
    let absent = load(&stack, &["--viewers", "1"]);
    assert_eq!(absent.status.code(), Some(3), "{}", String::from_utf8_lossy(&absent.stderr));
    let remote = mobzctl().args(["load", "hls", "http://192.0.2.1/live.m3u8"]).output().unwrap();
    let said = String::from_utf8_lossy(&remote.stderr);
    assert_eq!(remote.status.code(), Some(4), "{said}");
    assert!(said.contains("192.0.2.1") && said.contains("--yes-remote"), "{said}");
    let both =
        mobzctl().args(["load", "hls", "http://127.0.0.1:1/x", "--publish", "x.mp4"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2), "{}", String::from_utf8_lossy(&both.stderr));
}

/// Somebody else publishes to the room.
async fn published(stack: &Stack) -> Process {
    let push = Process::start(stack.mobzctl().args(["hls", "push", "demo", "--loop"]).arg(Media::file()));
    eventually("the room has a stream", async || {
        let room = stack.api().try_get("/v1/rooms/demo").await?;
        room["hls"]["tracks"][0]["part"].as_u64()
    })
    .await;
    push
}

fn load(stack: &Stack, flags: &[&str]) -> Output {
    let mut command = stack.mobzctl();
    command.args(["load", "hls", "demo", "--output", "json"]).args(flags);
    command.output().unwrap()
}
