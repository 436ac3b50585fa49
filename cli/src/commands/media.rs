//! How media fare, as columns of a table.

use serde_json::Value;

use super::room::word;

/// The headings of [`columns`].
pub(super) const HEADING: [&str; 4] = ["BITRATE", "LOST", "CODECS", "LAYERS"];

/// What comes from a publisher: bits a second, packets lost, codecs, and bits a second of each layer.
pub(super) fn columns(media: &Value) -> [String; 4] {
    let streams = || media["streams"].as_array().into_iter().flatten();
    let codecs: Vec<&str> = streams().filter_map(|stream| stream["codec"].as_str()).collect();
    let layers = streams().flat_map(|stream| stream["layers"].as_array().into_iter().flatten());
    let layers: Vec<String> = layers.map(bitrate).collect();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        bitrate(&media["bitrate"]),
        word(&media["packetsLost"]),
        or_dash(codecs.join("+")),
        or_dash(layers.join(", ")),
    ]
}

/// Bits a second for people: `812 kbit/s`.
pub(super) fn bitrate(bits: &Value) -> String {
    let Some(bits) = bits.as_u64() else { return "-".to_owned() };
    match bits {
        0..1000 => format!("{bits} bit/s"),
        1000..1_000_000 => format!("{} kbit/s", bits / 1000),
        _ => format!("{:.1} Mbit/s", bits as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_are_told_for_people() {
        let media = json!({"bitrate": 1_462_000, "packetsLost": 3, "streams": [
            {"codec": "vp8", "layers": [86_056, 160_456]}, {"codec": "opus", "layers": []}]});
        assert_eq!(columns(&media), ["1.5 Mbit/s", "3", "vp8+opus", "86 kbit/s, 160 kbit/s"]);
        assert_eq!(columns(&Value::Null), ["-", "-", "-", "-"]);
    }
}
