//! `mobzctl station inspect`.

use std::fmt::Write;

use serde_json::Value;

use crate::args::station::Inspect;
use crate::commands::media::bitrate;
use crate::commands::room::word;
use crate::endpoint::{Endpoint, Where};
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

/// Shows one station.
pub(super) async fn run(args: &Inspect, place: &Where, output: &Output) -> Result<Exit> {
    let endpoint = Endpoint::open(place).await?;
    let station = endpoint.station(&args.station).await?;
    output.document(&station, |output| screen(output, &station))?;
    Ok(Exit::Done)
}

/// A station on one screen: where it is, what comes from its publisher, what goes to each viewer.
fn screen(output: &Output, station: &Value) -> String {
    let mut text = super::list::table(output, std::slice::from_ref(station));
    let media = &station["media"];
    if let Some(streams) = media["streams"].as_array().filter(|streams| !streams.is_empty()) {
        let rows = streams.iter().map(|stream| {
            let layers: Vec<String> =
                stream["layers"].as_array().into_iter().flatten().map(bitrate).collect();
            [
                word(&stream["kind"]),
                word(&stream["codec"]),
                word(&stream["muted"]),
                bitrate(&stream["bitrate"]),
                word(&stream["packetsLost"]),
                if layers.is_empty() { "-".to_owned() } else { layers.join(", ") },
            ]
        });
        let table = output.table(["KIND", "CODEC", "MUTED", "BITRATE", "LOST", "LAYERS"], rows.collect());
        let _ = write!(text, "\n\n{}\n{table}", output.bold("streams"));
    }
    if let Some(viewers) = media["viewers"].as_array().filter(|viewers| !viewers.is_empty()) {
        let rows = viewers.iter().map(|viewer| {
            [
                word(&viewer["user"]),
                bitrate(&viewer["bitrate"]),
                word(&viewer["packetsLost"]),
                viewer["roundTripMs"].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
                word(&viewer["substream"]),
                word(&viewer["temporal"]),
            ]
        });
        let heading = ["VIEWER", "BITRATE", "LOST", "ROUND TRIP", "SUBSTREAM", "TEMPORAL"];
        let _ = write!(text, "\n\n{}\n{}", output.bold("viewers"), output.table(heading, rows.collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Format;

    #[test]
    fn a_station_is_shown_with_its_streams_and_its_viewers() {
        let station = json!({
            "station": "m1-1", "room": "demo", "user": "ann", "munit": "m1", "state": "active", "viewers": 1,
            "media": {"streams": [{"mid": "0", "kind": "video", "codec": "vp8", "muted": false,
                                   "bitrate": 246_000, "packetsLost": 2, "layers": [86_000, 160_000]}],
                      "viewers": [{"user": "bob", "bitrate": 160_000, "packetsLost": 0, "roundTripMs": 12,
                                   "substream": 1, "temporal": null}]},
        });
        let expected = "\
STATION  ROOM  USER  MUNIT  STATE   VIEWERS
m1-1     demo  ann   m1     active  1

streams
KIND   CODEC  MUTED  BITRATE     LOST  LAYERS
video  vp8    no     246 kbit/s  2     86 kbit/s, 160 kbit/s

viewers
VIEWER  BITRATE     LOST  ROUND TRIP  SUBSTREAM  TEMPORAL
bob     160 kbit/s  0     12 ms       1          -";
        assert_eq!(screen(&Output::new(Format::Json, true, 0), &station), expected);
    }
}
