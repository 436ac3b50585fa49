//! YAML as JSON, CloudFormation's functions in their long form: `!Sub a` becomes `{"Fn::Sub": "a"}`.
//!
//! Read from the parser's events, because serde's data model has no tags: `serde_yaml` loses that of a sequence's first
//! item where the sequence has one too, as in `!Not [!Equals […]]`, and knows no line of a key. The stand-in for AWS in
//! the tests reads by this file as well.

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

/// Reads a document; an error ends with the line it is on.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum may grow by what is no data, as comments are"
)]
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let mut document = Value::Null;
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("{} (line {})", error.info(), error.marker().line()))?;
        let line = span.start.line();
        let done = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain { scalar(&text) } else { Value::String(text.into_owned()) };
                called(name(tag.as_deref()), value)
            }
            Event::SequenceStart(_, _, tag) => {
                open.push(Open { function: name(tag.as_deref()), items: Vec::new(), is_mapping: false });
                continue;
            }
            Event::MappingStart(_, _, tag) => {
                open.push(Open { function: name(tag.as_deref()), items: Vec::new(), is_mapping: true });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.value().map_err(|error| format!("{error} (before line {line})"))?,
                None => continue,
            },
            Event::Alias(_) => return Err(format!("aliases are not taken (line {line})")),
            _ => continue,
        };
        match open.last_mut() {
            Some(outer) => outer.items.push(done),
            None => document = done,
        }
    }
    Ok(document)
}

/// A collection that has begun.
struct Open {
    function: Option<String>,
    /// Keys and values in turns where it is a mapping.
    items: Vec<Value>,
    is_mapping: bool,
}

impl Open {
    fn value(self) -> Result<Value, String> {
        if !self.is_mapping {
            return Ok(called(self.function, Value::Array(self.items)));
        }
        let mut map = Map::new();
        let mut items = self.items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            let key = match key {
                Value::String(key) => key,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    key.to_string()
                }
            };
            if map.contains_key(&key) {
                return Err(format!("the key {key} is there twice"));
            }
            map.insert(key, value);
        }
        Ok(called(self.function, Value::Object(map)))
    }
}

/// The function that a tag calls.
fn name(tag: Option<&Tag>) -> Option<String> {
    let name = tag.filter(|tag| tag.handle() == "!")?.suffix();
    Some(if matches!(name, "Ref" | "Condition") { name.to_owned() } else { format!("Fn::{name}") })
}

fn called(function: Option<String>, argument: Value) -> Value {
    let Some(function) = function else { return argument };
    let path = argument.as_str().filter(|_| function == "Fn::GetAtt");
    let argument = match path.map(|path| path.split_once('.').unwrap_or((path, ""))) {
        Some((resource, attribute)) => Value::from(vec![resource, attribute]),
        None => argument,
    };
    Value::Object(Map::from_iter([(function, argument)]))
}

/// A scalar without quotes and tag, by YAML's core schema.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => {
            let number = text.parse::<i64>().map(Value::from).ok();
            number.unwrap_or_else(|| Value::String(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn functions_are_written_out_wherever_they_stand() {
        let text = "
# A comment.
A: !Or
  - !And [!Equals [!Ref B, \"\"], !Not [!Condition C]]
  - !GetAtt Key.Arn
D: !If [E, !Ref \"AWS::NoValue\", !Sub ['${x}-1', {x: !Ref F}]]
Port: 443
Version: '2012-10-17'
Text: |
  two
  lines
";
        let expected = json!({
            "A": { "Fn::Or": [
                { "Fn::And": [{ "Fn::Equals": [{ "Ref": "B" }, ""] }, { "Fn::Not": [{ "Condition": "C" }] }] },
                { "Fn::GetAtt": ["Key", "Arn"] },
            ] },
            "D": { "Fn::If": ["E", { "Ref": "AWS::NoValue" }, { "Fn::Sub": ["${x}-1", { "x": { "Ref": "F" } }] }] },
            "Port": 443,
            "Version": "2012-10-17",
            "Text": "two\nlines\n",
        });
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_yaml_or_has_a_key_twice_is_refused() {
        assert!(read("a: [").is_err());
        assert!(read("a: 1\na: 2\n").unwrap_err().contains("twice"));
        assert!(read("a: &x 1\nb: *x\n").unwrap_err().contains("alias"));
    }
}
