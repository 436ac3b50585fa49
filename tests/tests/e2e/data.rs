//! Data signals and what players get of them: PROTOCOL.md §5 and §6.

use mobz_tests::{Client, Fragments, Media, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::sync;

fn init() -> Value {
    json!({ "type": "Data", "kind": "init", "track": "main" })
}

fn part() -> Value {
    json!({ "type": "Data", "kind": "part", "track": "main" })
}

fn numbered(msn: u64, part: u64) -> Value {
    json!({ "type": "Data", "kind": "part", "track": "main", "msn": msn, "part": part })
}

async fn publisher(stack: &Stack, fragments: &Fragments) -> Client {
    let mut ann = stack.join("live", "p2m", "ann").await;
    let ack = ann.request_data(init(), &fragments.init).await;
    assert_eq!((&ack["type"], &ack["track"]), (&json!("DataAck"), &json!("main")), "{ack}");
    assert!(ack["init"].is_u64(), "{ack}");
    ann
}

async fn get(stack: &Stack, path: &str) -> (StatusCode, Vec<u8>) {
    let response = stack.fetch(&format!("{}/hls/live/{path}", stack.origin)).await;
    (response.status(), response.bytes().await.unwrap().to_vec())
}

async fn playlist(stack: &Stack, query: &str) -> String {
    let (status, body) = get(stack, &format!("main/media.m3u8{query}")).await;
    assert_eq!(status, StatusCode::OK);
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn what_a_publisher_sends_is_what_players_get() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    let mut names = Vec::new();
    for bytes in &fragments.parts[..6] {
        let ack = ann.request_data(part(), bytes).await;
        assert_eq!(ack["type"], "DataAck", "{ack}");
        names.push(format!("main/{}.{}.m4s", ack["msn"], ack["part"]));
    }
    let text = playlist(&stack, "").await;
    assert!(text.starts_with("#EXTM3U"), "{text}");
    for (name, bytes) in names.iter().zip(&fragments.parts) {
        assert!(text.contains(name.trim_start_matches("main/")), "{name} is listed in {text}");
        assert_eq!(get(&stack, name).await, (StatusCode::OK, bytes.clone()), "{name}");
    }
    let init = text.split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(get(&stack, &format!("main/{init}")).await, (StatusCode::OK, fragments.init.clone()));
    let (status, index) = get(&stack, "index.m3u8").await;
    let index = String::from_utf8(index).unwrap();
    assert!(
        status == StatusCode::OK && index.contains("main/media.m3u8") && index.contains("avc1."),
        "{index}"
    );
}

#[tokio::test]
async fn a_blocking_reload_returns_with_the_part_it_waits_for() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    let first = ann.request_data(part(), &fragments.parts[0]).await;
    let (msn, next) = (first["msn"].as_u64().unwrap(), first["part"].as_u64().unwrap() + 1);
    let query = format!("?_HLS_msn={msn}&_HLS_part={next}");
    let waiting = playlist(&stack, &query);
    let sending = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        ann.request_data(part(), &fragments.parts[1]).await
    };
    let (text, ack) = tokio::join!(waiting, sending);
    assert_eq!(ack["type"], "DataAck", "{ack}");
    assert!(text.contains(&format!("{msn}.{next}.m4s")), "{text}");
}

#[tokio::test]
async fn an_acknowledged_part_sent_again_changes_nothing_and_other_bytes_are_stale() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    let first = ann.request_data(part(), &fragments.parts[0]).await;
    let (msn, number) = (first["msn"].as_u64().unwrap(), first["part"].as_u64().unwrap());
    let again = ann.request_data(numbered(msn, number), &fragments.parts[0]).await;
    assert_eq!(
        (&again["type"], &again["msn"], &again["part"]),
        (&json!("DataAck"), &first["msn"], &first["part"])
    );
    let other = ann.request_data(numbered(msn, number), &fragments.parts[1]).await;
    assert_eq!(other["code"], "stale", "{other}");
    let skipped = ann.request_data(numbered(msn, number + 2), &fragments.parts[1]).await;
    assert_eq!(skipped["code"], "bad_signal", "{skipped}");
    let next = ann.request_data(part(), &fragments.parts[1]).await;
    assert_eq!((&next["type"], &next["part"]), (&json!("DataAck"), &json!(number + 1)));
}

#[tokio::test]
async fn bytes_that_are_no_media_are_refused_and_the_stream_is_unharmed() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    for bytes in [&b""[..], b"not a box at all", &fragments.init, &fragments.parts[0][..50]] {
        let refusal = ann.request_data(part(), bytes).await;
        assert_eq!(refusal["code"], "bad_signal", "{refusal}");
    }
    let ack = ann.request_data(part(), &fragments.parts[0]).await;
    assert_eq!(ack["type"], "DataAck", "{ack}");
}

#[tokio::test]
async fn the_json_form_and_pieces_say_the_same() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    let mut signal = part();
    signal["data"] = json!(fragments.base64(0));
    let ack = ann.done(signal).await;
    assert_eq!(ack["type"], "DataAck", "{ack}");
    let name = format!("main/{}.{}.m4s", ack["msn"], ack["part"]);
    assert_eq!(get(&stack, &name).await.1, fragments.parts[0]);

    let (left, right) = fragments.parts[1].split_at(fragments.parts[1].len() / 2);
    for (index, piece) in [left, right].into_iter().enumerate() {
        let mut header = part();
        header["id"] = json!("in two");
        header["chunk"] = json!({ "index": index, "count": 2 });
        ann.send_data(&header, piece).await;
    }
    let ack = ann.answer("in two").await;
    assert_eq!(ack["type"], "DataAck", "{ack}");
    let name = format!("main/{}.{}.m4s", ack["msn"], ack["part"]);
    assert_eq!(get(&stack, &name).await.1, fragments.parts[1]);
}

#[tokio::test]
async fn only_the_publisher_of_a_p2m_room_sends_data() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let _ann = publisher(&stack, &fragments).await;
    let mut bob = stack.join("live", "p2m", "bob").await;
    let refusal = bob.request_data(part(), &fragments.parts[0]).await;
    assert_eq!(refusal["code"], "not_publisher", "{refusal}");
    let mut cem = stack.join("call", "p2p", "cem").await;
    let refusal = cem.request_data(init(), &fragments.init).await;
    assert_eq!(refusal["code"], "mode_mismatch", "{refusal}");
    cem.done(sync()).await;
}

#[tokio::test]
async fn the_end_is_in_the_playlist() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = publisher(&stack, &fragments).await;
    for bytes in &fragments.parts[..3] {
        ann.request_data(part(), bytes).await;
    }
    assert!(!playlist(&stack, "").await.contains("#EXT-X-ENDLIST"));
    ann.done(json!({ "type": "Data", "kind": "end", "track": "main" })).await;
    assert!(playlist(&stack, "").await.contains("#EXT-X-ENDLIST"));
}

#[tokio::test]
async fn a_publisher_that_comes_back_goes_on_at_the_next_part() {
    let stack = Stack::up();
    let fragments = Media::fragments();
    let mut ann = stack.connect().await;
    let joined = ann.join("live", "p2m", "ann").await;
    ann.request_data(init(), &fragments.init).await;
    let before = ann.request_data(part(), &fragments.parts[0]).await;
    ann.cut();
    let mut ann = stack.connect().await;
    ann.join_with(
        json!({ "room": "live", "mode": "p2m", "resume": joined["resume"], "user": { "id": "ann" } }),
    )
    .await;
    let again = ann.request_data(init(), &fragments.init).await;
    assert_eq!(again["type"], "DataAck", "the identical init changes nothing: {again}");
    let after = ann.request_data(part(), &fragments.parts[1]).await;
    assert_eq!(
        (&after["msn"], after["part"].as_u64()),
        (&before["msn"], before["part"].as_u64().map(|part| part + 1))
    );
    assert!(!playlist(&stack, "").await.contains("#EXT-X-DISCONTINUITY\n"));
}

#[tokio::test]
async fn the_limits_of_a_room_are_those_of_the_flags_and_a_refusal_names_its_own() {
    let fragments = Media::fragments();
    for (flag, limit, code) in [
        ("--part-bytes-max", "1k", "too_large"),
        ("--bitrate-max", "1k", "rate_limited"),
        ("--window-bytes-max", "1k", "too_large"),
    ] {
        let stack = Stack::up_with(&[flag, limit]);
        let mut ann = publisher(&stack, &fragments).await;
        let refusal = ann.request_data(part(), &fragments.parts[0]).await;
        assert_eq!(refusal["code"], code, "{flag}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(&flag[2..]), "{flag}: {refusal}");
        assert_eq!(refusal["retryAfter"].is_u64(), code == "rate_limited", "{flag}: {refusal}");
    }
}
