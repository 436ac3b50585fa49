//! What a data signal of kind `daterange` says: the attributes of an `EXT-X-DATERANGE`
//! (draft-pantos-hls-rfc8216bis-22 §4.4.5.1), each by itself. How they go together, and with other date
//! ranges, is the stream's to judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DataError;

/// The longest id or class, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The longest text or hexadecimal value, in bytes.
const VALUE_BYTES_MAX: usize = 2048;
/// The latest date taken, in milliseconds since the Unix epoch: the end of the year 9999.
const DATE_MAX: u64 = 253_402_300_799_999;
/// The longest duration taken, in seconds: a century.
const DURATION_MAX: f64 = 3_155_760_000.0;
/// Numbers beyond it are no longer whole in JSON.
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

/// What one data signal tells of a date range; what it leaves out stays as it was told before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DateRangeFields {
    /// `ID`, unique in the stream.
    pub id: String,
    /// `CLASS`.
    pub class: Option<String>,
    /// `START-DATE`, in milliseconds since the Unix epoch; the first signal of a date range must have it.
    pub start_date: Option<u64>,
    /// `CUE`.
    pub cue: Vec<Cue>,
    /// `END-DATE`, in milliseconds since the Unix epoch.
    pub end_date: Option<u64>,
    /// `DURATION`, in milliseconds.
    pub duration: Option<u64>,
    /// `PLANNED-DURATION`, in milliseconds.
    pub planned_duration: Option<u64>,
    /// `END-ON-NEXT=YES`.
    pub end_on_next: bool,
    /// `SCTE35-CMD`, as hexadecimal digits.
    pub scte35_cmd: Option<String>,
    /// `SCTE35-OUT`, as hexadecimal digits.
    pub scte35_out: Option<String>,
    /// `SCTE35-IN`, as hexadecimal digits.
    pub scte35_in: Option<String>,
    /// `X-…`: what clients are told beside.
    pub client: BTreeMap<String, ClientValue>,
}

/// When a date range is to be acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cue {
    /// `PRE`: before the playback begins.
    Pre,
    /// `POST`: after it has ended.
    Post,
    /// `ONCE`: once and not again.
    Once,
}

/// The value of a client attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientValue {
    /// A quoted string.
    Text(String),
    /// A hexadecimal sequence, as its digits.
    Hex(String),
    /// A decimal floating-point number, not negative.
    Number(f64),
}

impl DateRangeFields {
    /// Reads the member `dateRange`; keys it does not know are ignored, but for `X-…`.
    ///
    /// # Errors
    ///
    /// [`DataError::Bad`] with the path at fault.
    pub(super) fn parse(said: &Map<String, Value>) -> Result<Self, DataError> {
        let id = name(said, "id")?.filter(|id| !id.is_empty());
        let mut read = Self {
            id: id.ok_or_else(|| bad("id", "a date range needs an id"))?,
            class: name(said, "class")?,
            start_date: date(said, "startDate")?,
            end_date: date(said, "endDate")?,
            duration: seconds(said, "duration")?,
            planned_duration: seconds(said, "plannedDuration")?,
            end_on_next: flag(said, "endOnNext")?,
            cue: cues(said)?,
            scte35_cmd: hexadecimal(said, "scte35Cmd")?,
            scte35_out: hexadecimal(said, "scte35Out")?,
            scte35_in: hexadecimal(said, "scte35In")?,
            client: BTreeMap::new(),
        };
        for (key, value) in said.iter().filter(|(key, _)| key.starts_with("X-")) {
            let is_name = key.len() <= NAME_BYTES_MAX
                && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
            if !is_name || key.len() == 2 {
                return Err(bad(key, "a client attribute is X- and A-Z, 0-9 and -"));
            }
            read.client.insert(key.clone(), client_value(key, value)?);
        }
        Ok(read)
    }
}

fn bad(key: &str, message: &str) -> DataError {
    DataError::bad(format!("dateRange.{key}"), message)
}

/// A key's value; `null` is as none.
fn get<'a>(said: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    said.get(key).filter(|value| !value.is_null())
}

fn name(said: &Map<String, Value>, key: &str) -> Result<Option<String>, DataError> {
    let Some(value) = get(said, key) else { return Ok(None) };
    let text = value.as_str().filter(|text| text.len() <= NAME_BYTES_MAX && is_quotable(text));
    let message = "a text of at most 128 bytes, without quotes, control characters and {$";
    text.map(|text| Some(text.to_owned())).ok_or_else(|| bad(key, message))
}

fn date(said: &Map<String, Value>, key: &str) -> Result<Option<u64>, DataError> {
    let Some(value) = get(said, key) else { return Ok(None) };
    let millis = value.as_u64().filter(|millis| *millis <= DATE_MAX);
    millis.map(Some).ok_or_else(|| bad(key, "milliseconds since the Unix epoch, a whole number"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 0 and a century"
)]
fn seconds(said: &Map<String, Value>, key: &str) -> Result<Option<u64>, DataError> {
    let Some(value) = get(said, key) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=DURATION_MAX).contains(seconds));
    let millis = seconds.map(|seconds| Some((seconds * 1000.0).round() as u64));
    millis.ok_or_else(|| bad(key, "seconds, not negative"))
}

fn flag(said: &Map<String, Value>, key: &str) -> Result<bool, DataError> {
    let Some(value) = get(said, key) else { return Ok(false) };
    value.as_bool().ok_or_else(|| bad(key, "true or false"))
}

fn cues(said: &Map<String, Value>) -> Result<Vec<Cue>, DataError> {
    let wrong = || bad("cue", "a list of PRE or POST, and ONCE, each once");
    let Some(value) = get(said, "cue") else { return Ok(Vec::new()) };
    let mut cues = Vec::new();
    for cue in value.as_array().ok_or_else(wrong)? {
        let cue = match cue.as_str() {
            Some("PRE") => Cue::Pre,
            Some("POST") => Cue::Post,
            Some("ONCE") => Cue::Once,
            Some(_) | None => return Err(wrong()),
        };
        if cues.contains(&cue) {
            return Err(wrong());
        }
        cues.push(cue);
    }
    if cues.contains(&Cue::Pre) && cues.contains(&Cue::Post) {
        return Err(wrong());
    }
    Ok(cues)
}

fn hexadecimal(said: &Map<String, Value>, key: &str) -> Result<Option<String>, DataError> {
    let Some(value) = get(said, key) else { return Ok(None) };
    let digits = value.as_str().and_then(hex_digits).filter(|digits| digits.len() <= VALUE_BYTES_MAX);
    digits.map(Some).ok_or_else(|| bad(key, "0x and hexadecimal digits"))
}

fn client_value(key: &str, value: &Value) -> Result<ClientValue, DataError> {
    let read = if let Some(text) = value.as_str().filter(|text| text.len() <= VALUE_BYTES_MAX) {
        match hex_digits(text) {
            Some(digits) => Some(ClientValue::Hex(digits)),
            None => is_quotable(text).then(|| ClientValue::Text(text.to_owned())),
        }
    } else {
        let number = value.as_f64().filter(|number| (0.0..=NUMBER_MAX).contains(number));
        number.map(ClientValue::Number)
    };
    read.ok_or_else(|| {
        bad(
            key,
            "a number that is not negative, or a text of at most 2048 bytes (0x… is hexadecimal) without quotes, control characters and {$",
        )
    })
}

/// The digits of `0x…`, in capitals as §4.2 has them.
fn hex_digits(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| digits.to_ascii_uppercase())
}

/// Whether a text can stand in a quoted string (§4.2), and is no variable's reference (§4.3), which no
/// player could resolve.
fn is_quotable(text: &str) -> bool {
    !text.contains(|character: char| character == '"' || character.is_control()) && !text.contains("{$")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(said: &Value) -> Result<DateRangeFields, DataError> {
        DateRangeFields::parse(said.as_object().unwrap())
    }

    #[test]
    fn every_attribute_is_read() {
        let read = parse(&json!({
            "id": "ad-1", "class": "com.example.ad", "startDate": 1_700_000_000_000_u64,
            "endDate": 1_700_000_030_000_u64, "duration": 30, "plannedDuration": 29.97, "cue": ["PRE", "ONCE"],
            "scte35Out": "0xfc30", "X-URL": "https://example.org/a,b", "X-N": 1.5, "X-RAW": "0xAB", "other": [],
        }))
        .unwrap();
        assert_eq!((read.id.as_str(), read.class.as_deref()), ("ad-1", Some("com.example.ad")));
        assert_eq!((read.duration, read.planned_duration), (Some(30_000), Some(29_970)));
        assert_eq!((read.cue, read.end_on_next), (vec![Cue::Pre, Cue::Once], false));
        assert_eq!(read.scte35_out.as_deref(), Some("FC30"));
        let client = [
            ("X-N", ClientValue::Number(1.5)),
            ("X-RAW", ClientValue::Hex("AB".to_owned())),
            ("X-URL", ClientValue::Text("https://example.org/a,b".to_owned())),
        ];
        assert_eq!(read.client, client.map(|(key, value)| (key.to_owned(), value)).into());
    }

    #[test]
    fn what_no_playlist_may_say_names_its_path() {
        for (key, value) in [
            ("id", json!("")),
            ("id", json!("a\tb")),
            ("class", json!("a\"b")),
            ("class", json!("{$x}")),
            ("startDate", json!("2026-01-01T00:00:00Z")),
            ("startDate", json!(-1)),
            ("endDate", json!(1.5)),
            ("duration", json!(-0.1)),
            ("plannedDuration", json!("1")),
            ("endOnNext", json!("YES")),
            ("cue", json!(["PRE", "POST"])),
            ("cue", json!(["ONCE", "ONCE"])),
            ("cue", json!("PRE")),
            ("scte35Cmd", json!("FC30")),
            ("scte35In", json!("0x")),
            ("X-lower", json!(1)),
            ("X-", json!(1)),
            ("X-A", json!(-1)),
            ("X-A", json!(true)),
            ("X-A", json!("a\nb")),
        ] {
            let mut said = json!({"id": "a", "startDate": 1});
            said[key] = value.clone();
            let path = format!("dateRange.{key}");
            assert!(
                matches!(parse(&said), Err(DataError::Bad { path: found, .. }) if found == path),
                "{key} {value}"
            );
        }
    }
}
