//! `mobzctl room inspect`.

use std::fmt::Write;

use serde_json::Value;

use crate::args::room::Inspect;
use crate::commands::media;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, age, size};

/// Shows one room.
pub(super) async fn run(args: &Inspect, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let room = endpoint.room(&args.room).await?;
    output.document(&room, |output| screen(output, &room))?;
    Ok(Exit::Done)
}

/// A room on one screen: head, participants, stations, stream.
pub(super) fn screen(output: &Output, room: &Value) -> String {
    let mut text = String::new();
    let facts = [("room", "room"), ("mode", "mode"), ("owner", "owner")];
    for (label, key) in facts {
        let _ = writeln!(text, "{label:<10}{}", word(&room[key]));
    }
    let created = room["createdAt"].as_str().unwrap_or("-");
    let _ = writeln!(text, "{:<10}{} ({created})", "age", age(created));
    section(output, &mut text, "participants", &room["participants"], participants);
    section(output, &mut text, "stations", &room["stations"], stations);
    if let Some(url) = room["hls"]["playbackUrl"].as_str() {
        let _ = write!(text, "\n{}\n{:<10}{url}\n", output.bold("stream"), "playback");
        if let Some(tracks) = room["hls"]["tracks"].as_array().filter(|tracks| !tracks.is_empty()) {
            let _ = writeln!(text, "{}", self::tracks(output, tracks));
        }
    }
    text
}

fn section(
    output: &Output,
    text: &mut String,
    title: &str,
    list: &Value,
    table: impl FnOnce(&Output, &[Value]) -> String,
) {
    if let Some(list) = list.as_array().filter(|list| !list.is_empty()) {
        let _ = write!(text, "\n{}\n{}\n", output.bold(title), table(output, list));
    }
}

fn participants(output: &Output, list: &[Value]) -> String {
    let rows = list.iter().map(|who| {
        [
            word(&who["user"]),
            word(&who["name"]),
            word(&who["participantType"]),
            word(&who["video"]),
            word(&who["audio"]),
            who["since"].as_str().map_or_else(|| "-".to_owned(), age),
        ]
    });
    output.table(["USER", "NAME", "TYPE", "VIDEO", "AUDIO", "THERE FOR"], rows.collect())
}

fn stations(output: &Output, found: &[Value]) -> String {
    let rows = found.iter().map(|station| {
        let [bitrate, lost, codecs, layers] = media::columns(&station["media"]);
        [
            word(&station["station"]),
            word(&station["user"]),
            word(&station["munit"]),
            word(&station["state"]),
            word(&station["viewers"]),
            bitrate,
            lost,
            codecs,
            layers,
        ]
    });
    let [bitrate, lost, codecs, layers] = media::HEADING;
    let heading = ["STATION", "USER", "MUNIT", "STATE", "VIEWERS", bitrate, lost, codecs, layers];
    output.table(heading, rows.collect())
}

fn tracks(output: &Output, list: &[Value]) -> String {
    let rows = list.iter().map(|track| {
        [
            word(&track["track"]),
            format!("{}.{}", word(&track["msn"]), word(&track["part"])),
            seconds(&track["partTarget"]),
            seconds(&track["targetDuration"]),
            track["bytesStored"].as_u64().map_or_else(|| "-".to_owned(), size),
            track["lastPartAgeMs"].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        ]
    });
    output.table(["TRACK", "LAST PART", "PART TARGET", "TARGET", "STORED", "LAST PART AGE"], rows.collect())
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))
}

/// A value as a word of a table.
pub(in crate::commands) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Format;

    #[test]
    fn a_room_is_shown_with_its_people_and_its_stream() {
        let room = json!({
            "room": "demo", "mode": "p2m", "owner": "ann", "createdAt": "once",
            "participants": [{"user": "ann", "name": null, "participantType": "publisher",
                              "video": true, "audio": false, "since": "before"}],
            "stations": [],
            "hls": {"playbackUrl": "http://127.0.0.1:7881/hls/demo/index.m3u8",
                    "tracks": [{"track": "main", "msn": 4, "part": 2, "partTarget": 0.334,
                                "targetDuration": 2, "bytesStored": 2048, "lastPartAgeMs": 12}]},
        });
        let text = screen(&Output::new(Format::Json, true, 0), &room);
        let expected = "\
room      demo
mode      p2m
owner     ann
age       once (once)

participants
USER  NAME  TYPE       VIDEO  AUDIO  THERE FOR
ann   -     publisher  yes    no     before

stream
playback  http://127.0.0.1:7881/hls/demo/index.m3u8
TRACK  LAST PART  PART TARGET  TARGET  STORED   LAST PART AGE
main   4.2        0.334 s      2 s     2.0 KiB  12 ms
";
        assert_eq!(text, expected);
    }
}
