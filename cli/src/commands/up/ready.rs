//! What `up` says when everything runs.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::munits::REMEDY;
use crate::error::{Failure, Result};
use crate::output::Output;
use crate::stack::Stack;

/// That a stack is ready: what scripts are told, and what people are told besides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    line: Line,
    words: Words,
}

/// The line of `up --output json`: public interface.
#[allow(clippy::struct_field_names, reason = "the key is the operator's contract")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    ready: bool,
    signal: String,
    control: String,
    origin: String,
    demo: String,
    munits: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Words {
    store: String,
    has_keys: bool,
    is_usual: bool,
}

impl Ready {
    pub(super) fn of(stack: &Stack, turn: Option<String>, has_keys: bool) -> Self {
        let line = Line {
            ready: true,
            signal: stack.signal.clone(),
            control: stack.control.clone(),
            origin: stack.origin.clone(),
            demo: stack.demo.clone(),
            munits: stack.munits.iter().map(|munit| munit.id.clone()).collect(),
            turn,
        };
        let is_usual = stack.port == crate::args::stack::PORT_BASE;
        Self { line, words: Words { store: stack.store.clone(), has_keys, is_usual } }
    }

    /// Prints it as was asked for.
    pub(super) fn print(&self, output: &Output, ending: &str) -> Result<()> {
        output.object(&self.line, |output| self.screen(output, ending))
    }

    /// Prints it for the parent of a detached stack, which prints it as was asked for.
    pub(super) fn hand_over(&self, output: &Output) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|error| {
            Failure::failed("cannot tell that the stack is ready", error.to_string(), "report this as a bug")
        })?;
        output.text(&text)
    }

    /// The same for people, with what to try next.
    fn screen(&self, output: &Output, ending: &str) -> String {
        let mut text = String::new();
        let access = if self.words.has_keys { "tokens required" } else { "no keys: open, loopback only" };
        let _ = writeln!(text, "{} ({} store; {access})\n", output.bold("MobZ is up"), self.words.store);
        let turn = self.line.turn.iter().map(|url| ("turn", url));
        let urls = [
            ("demo", &self.line.demo),
            ("signal", &self.line.signal),
            ("control", &self.line.control),
            ("origin", &self.line.origin),
        ];
        for (name, url) in urls.into_iter().chain(turn) {
            let _ = writeln!(text, "  {name:<9}{url}");
        }
        if self.line.munits.is_empty() {
            let _ = writeln!(text, "\n  p2p and p2m run; group calls (m2m) have no media: {REMEDY}\n");
        } else {
            let _ = writeln!(text, "  {:<9}{}\n", "munits", self.line.munits.join(", "));
        }
        let place =
            if self.words.is_usual { String::new() } else { format!(" --endpoint {}", self.line.control) };
        let demo = self.line.demo.trim_end_matches('/');
        let _ = writeln!(text, "{}", output.bold("Try, with the sample room \"demo\""));
        let tries = [
            ("a call", format!("open {demo}/p2p.html?room=demo in two tabs")),
            ("a live stream", format!("mobzctl{place} hls push demo video.mp4 --loop")),
            ("watch it", format!("open {demo}/p2m.html?room=demo")),
            ("see it arrive", format!("mobzctl{place} hls tail demo")),
            ("see who is there", format!("mobzctl{place} room inspect demo")),
        ];
        if self.words.has_keys {
            let token = "mobzctl token create --keys FILE --room demo --user ann".to_owned();
            let _ = writeln!(text, "  {:<18}{token}", "a token");
        }
        for (what, how) in tries {
            let _ = writeln!(text, "  {what:<18}{how}");
        }
        let _ = write!(text, "\n{ending}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        let stack = Stack {
            pid: 1,
            control: "http://127.0.0.1:7880".into(),
            signal: "ws://127.0.0.1:7880/signal".into(),
            origin: "http://127.0.0.1:7881".into(),
            demo: "http://127.0.0.1:7882/".into(),
            store: "memory".into(),
            keys: None,
            munits: Vec::new(),
            log: None,
            since: String::new(),
            port: 7880,
        };
        Ready::of(&stack, None, false)
    }

    #[test]
    fn the_line_for_scripts_is_the_contracts() {
        assert_eq!(
            serde_json::to_string(&ready().line).unwrap(),
            r#"{"ready":true,"signal":"ws://127.0.0.1:7880/signal","control":"http://127.0.0.1:7880","origin":"http://127.0.0.1:7881","demo":"http://127.0.0.1:7882/","munits":[]}"#
        );
    }
}
