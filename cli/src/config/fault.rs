//! What is wrong with a configuration, in words: the line, the key, the nearest known one.

use crate::error::Failure;

/// How alike two keys must be for one to be taken for a slip of the other.
const LIKENESS_MIN: f64 = 0.7;

const REMEDY: &str = "correct it; `mobzctl init --print` shows a whole one with comments";

/// What is no YAML.
pub(super) fn no_yaml(error: String, name: &str) -> Failure {
    Failure::usage(format!("cannot understand {name}"), error, REMEDY)
}

/// A file without anything in it.
pub(super) fn empty(name: &str) -> Failure {
    Failure::usage(format!("cannot understand {name}"), "it is empty", "write one with `mobzctl init`")
}

/// What does not fit the keys that there are.
pub(super) fn told(error: &serde_path_to_error::Error<serde_json::Error>, text: &str, name: &str) -> Failure {
    let what = format!("cannot understand {name}");
    let (path, message) = (error.path().to_string(), error.inner().to_string());
    let Some(unknown) = Unknown::read(&message) else {
        let (line, key) = match path.as_str() {
            "." => (String::new(), String::new()),
            path => (place(text, path), format!("{path}: ")),
        };
        return Failure::usage(what, format!("{line}{key}{message}"), REMEDY);
    };
    let keys = unknown.known.join(", ");
    let remedy = match nearest(unknown.key, &unknown.known) {
        Some(known) => format!("did you mean {known}? The keys there are {keys}"),
        None => format!("the keys there are {keys}"),
    };
    // The path is that of the key or of the mapping that holds it.
    let within = path.strip_suffix(unknown.key).unwrap_or(&path).trim_end_matches('.');
    let key = [within, unknown.key].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
    Failure::usage(what, format!("{}there is no key {key}", place(text, &key)), remedy)
}

/// Something wrong with the value of this key, `section.key`.
pub(super) fn of_key(text: &str, name: &str, key: &str, why: &str, remedy: &str) -> Failure {
    Failure::usage(format!("cannot use {name}"), format!("{}{why}", place(text, key)), remedy)
}

/// An "unknown field" of serde: which, and which there are.
struct Unknown<'a> {
    key: &'a str,
    known: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    fn read(message: &'a str) -> Option<Self> {
        let (_, rest) = message.split_once("unknown field `")?;
        let (key, rest) = rest.split_once('`')?;
        let known = rest.split('`').skip(1).step_by(2).collect();
        Some(Self { key, known })
    }
}

/// The known key that is most alike, if any is alike at all.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike =
        known.iter().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &key.to_lowercase()), *known));
    alike
        .filter(|(likeness, _)| *likeness > LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// `line 4: `, or nothing where it is not found.
fn place(text: &str, key: &str) -> String {
    line_of(text, key).map_or_else(String::new, |line| format!("line {line}: "))
}

/// The line, from 1, on which `section.key` or `key` stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (section, key) = key.split_once('.').map_or((None, key), |(section, key)| (Some(section), key));
    let is =
        |line: &str, key: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut lines = text.lines().enumerate();
    if let Some(section) = section {
        lines.find(|(_, line)| is(line, section))?;
    }
    lines.find(|(_, line)| is(line.trim_start(), key)).map(|(index, _)| index + 1)
}
