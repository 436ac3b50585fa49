//! How playlists are written (§4.1, §4.2), by their text alone: stricter than any reader.

use std::collections::BTreeSet;

use super::judge::Judge;
use super::rules;

/// Tags with an attribute list.
const LISTS: [&str; 13] = [
    "EXT-X-DATERANGE",
    "EXT-X-I-FRAME-STREAM-INF",
    "EXT-X-KEY",
    "EXT-X-MAP",
    "EXT-X-MEDIA",
    "EXT-X-PART",
    "EXT-X-PART-INF",
    "EXT-X-PRELOAD-HINT",
    "EXT-X-RENDITION-REPORT",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-SKIP",
    "EXT-X-START",
    "EXT-X-STREAM-INF",
];
/// Tags of multivariant playlists alone (§4.4.6).
const OF_MULTIVARIANT: [&str; 6] = [
    "EXT-X-CONTENT-STEERING",
    "EXT-X-I-FRAME-STREAM-INF",
    "EXT-X-MEDIA",
    "EXT-X-SESSION-DATA",
    "EXT-X-SESSION-KEY",
    "EXT-X-STREAM-INF",
];
/// Tags of media playlists alone (§4.4.3 to §4.4.5).
const OF_MEDIA: [&str; 21] = [
    "EXT-X-BITRATE",
    "EXT-X-BYTERANGE",
    "EXT-X-DATERANGE",
    "EXT-X-DISCONTINUITY",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-GAP",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-KEY",
    "EXT-X-MAP",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-PART",
    "EXT-X-PART-INF",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-PRELOAD-HINT",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXT-X-RENDITION-REPORT",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-SKIP",
    "EXT-X-TARGETDURATION",
    "EXTINF",
];
/// Attributes whose value is YES where they are (§4.4.3.8, §4.4.4.9, §4.4.5.1).
const YES_ONLY: [&str; 5] = ["CAN-BLOCK-RELOAD", "CAN-SKIP-DATERANGES", "END-ON-NEXT", "GAP", "INDEPENDENT"];

/// What an attribute's value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Quoted,
    Integer,
    Decimal,
    Word,
    Resolution,
    /// Anything an attribute may be.
    Any,
}

/// Looks at a playlist's text, multivariant or media.
pub(super) fn look(judge: &mut Judge, text: &str) {
    characters(judge, text);
    let mut worst = None;
    let mut other_than_yes = None;
    for line in text.lines() {
        let Some((name, list)) = line.trim_end().strip_prefix('#').and_then(|tag| tag.split_once(':')) else {
            continue;
        };
        if !LISTS.contains(&name) {
            continue;
        }
        match attributes(list) {
            Ok(attributes) => {
                let odd = attributes.iter().find(|(name, value)| YES_ONLY.contains(name) && *value != "YES");
                other_than_yes =
                    other_than_yes.or_else(|| odd.map(|(key, value)| format!("{name}: {key}={value}")));
            }
            Err(why) => worst = worst.or_else(|| Some(format!("{name}: {why}"))),
        }
    }
    let seen = worst.clone().unwrap_or_else(|| "every list is well formed".to_owned());
    judge.check(&rules::ATTRIBUTES, worst.is_none(), seen);
    let seen = other_than_yes.clone().unwrap_or_else(|| "YES, or not there".to_owned());
    judge.check(&rules::YES_ONLY, other_than_yes.is_none(), seen);
    kinds(judge, text);
}

/// Whether the target duration is a whole number of seconds, one at least (§4.4.3.1).
pub(super) fn target(judge: &mut Judge, text: &str) {
    let Some(value) = text.lines().find_map(|line| line.trim_end().strip_prefix("#EXT-X-TARGETDURATION:"))
    else {
        return;
    };
    let holds = is_integer(value) && value.bytes().any(|byte| byte != b'0');
    judge.check(&rules::TARGET_INTEGER, holds, format!("EXT-X-TARGETDURATION:{value}"));
}

fn characters(judge: &mut Judge, text: &str) {
    let is_control = |letter: char| {
        letter != '\n'
            && letter != '\r'
            && letter != '\t'
            && (letter < ' ' || ('\u{7f}'..='\u{9f}').contains(&letter))
    };
    let fault = text.lines().zip(1..).find_map(|(line, number): (&str, u32)| {
        if let Some(letter) = line.chars().find(|letter| is_control(*letter)) {
            return Some(format!("line {number} has the control character U+{:04X}", u32::from(letter)));
        }
        let is_bare = line.trim() != line && !line.starts_with("#EXTINF:") && !line.trim().is_empty();
        let is_comment = line.starts_with('#') && !line.starts_with("#EXT");
        (is_bare && !is_comment).then(|| format!("line {number} has white space at an end"))
    });
    let seen = fault.clone().unwrap_or_else(|| "none but line ends".to_owned());
    judge.check(&rules::CHARACTERS, fault.is_none(), seen);
}

fn kinds(judge: &mut Judge, text: &str) {
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix('#'))
        .map(|tag| tag.split_once(':').map_or(tag, |(name, _)| name))
        .collect();
    let multivariant = OF_MULTIVARIANT.iter().find(|name| names.contains(*name));
    let media = OF_MEDIA.iter().find(|name| names.contains(*name));
    match (multivariant, media) {
        (Some(one), Some(other)) => {
            judge.check(&rules::KINDS, false, format!("{one} and {other} in one playlist"));
        }
        (Some(_) | None, None) | (None, Some(_)) => {
            judge.check(&rules::KINDS, true, "tags of one kind each");
        }
    }
}

/// An attribute list by the letter of §4.2; what is wrong with it.
fn attributes(list: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let mut rest = list;
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(|| format!("{rest:?} is no attribute"))?;
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!("{name:?} is no attribute name"));
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} twice"));
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').ok_or_else(|| format!("the quote of {name} does not end"))?;
                (&after[..end + 2], &quoted[end + 1..])
            }
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        fits(name, value)?;
        found.push((name, value));
        match after.strip_prefix(',') {
            Some(next) if !next.is_empty() => rest = next,
            Some(_) => return Err("a comma at the end".to_owned()),
            None if after.is_empty() => return Ok(found),
            None => return Err(format!("{after:?} after {name}")),
        }
    }
}

fn fits(name: &str, value: &str) -> Result<(), String> {
    let is_quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let is_bare = !value.is_empty() && !value.contains(['"', ' ', '\t']);
    let (holds, what) = match form(name) {
        Form::Quoted => (is_quoted, "a quoted string"),
        Form::Integer => (is_integer(value), "a decimal integer"),
        Form::Decimal => (is_decimal(value), "a decimal number"),
        Form::Word => (is_bare && !value.contains(','), "a word without quotes"),
        Form::Resolution => (
            value.split_once('x').is_some_and(|(wide, high)| is_integer(wide) && is_integer(high)),
            "a resolution",
        ),
        Form::Any => (is_quoted || is_bare, "a value"),
    };
    if holds { Ok(()) } else { Err(format!("{name}={value} is not {what}")) }
}

fn form(name: &str) -> Form {
    match name {
        "URI"
        | "GROUP-ID"
        | "NAME"
        | "LANGUAGE"
        | "CODECS"
        | "AUDIO"
        | "VIDEO"
        | "SUBTITLES"
        | "CHANNELS"
        | "ID"
        | "CLASS"
        | "START-DATE"
        | "END-DATE"
        | "BYTERANGE"
        | "RECENTLY-REMOVED-DATERANGES" => Form::Quoted,
        "BANDWIDTH" | "AVERAGE-BANDWIDTH" | "LAST-MSN" | "LAST-PART" | "SKIPPED-SEGMENTS"
        | "BYTERANGE-START" | "BYTERANGE-LENGTH" => Form::Integer,
        "DURATION" | "PLANNED-DURATION" | "PART-TARGET" | "HOLD-BACK" | "PART-HOLD-BACK"
        | "CAN-SKIP-UNTIL" | "FRAME-RATE" => Form::Decimal,
        "TYPE"
        | "METHOD"
        | "DEFAULT"
        | "AUTOSELECT"
        | "FORCED"
        | "CAN-BLOCK-RELOAD"
        | "CAN-SKIP-DATERANGES"
        | "END-ON-NEXT"
        | "GAP"
        | "INDEPENDENT" => Form::Word,
        "RESOLUTION" => Form::Resolution,
        _ => Form::Any,
    }
}

/// A decimal integer of §4.2: 1 to 20 digits.
fn is_integer(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A decimal floating point number without sign of §4.2.
fn is_decimal(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(whole) && is_number(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_the_letter() {
        let read = attributes("TYPE=PART,URI=\"a,b=c.m4s\",BYTERANGE-START=5,X-ANY=0xAB").unwrap();
        assert_eq!(
            read.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["TYPE", "URI", "BYTERANGE-START", "X-ANY"]
        );
        for (list, why) in [
            ("", "is no attribute"),
            ("URI=a.m4s", "a quoted string"),
            ("URI=\"a", "does not end"),
            ("DURATION=0.3, URI=\"a\"", "no attribute name"),
            ("DURATION=0.3,", "a comma at the end"),
            ("DURATION=0.3,DURATION=0.3", "twice"),
            ("DURATION=-1", "a decimal number"),
            ("DURATION=\"1\"", "a decimal number"),
            ("BANDWIDTH=1.5", "a decimal integer"),
            ("RESOLUTION=640", "a resolution"),
            ("uri=\"a\"", "no attribute name"),
            ("URI=\"a\"x", "after URI"),
        ] {
            let error = attributes(list).unwrap_err();
            assert!(error.contains(why), "{list}: {error}");
        }
    }
}
