//! Data on stdout in the format asked for; everything else on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::error::{Failure, Result, os};

/// The formats of `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: aligned columns; plain when piped.
    #[default]
    Table,
    /// One JSON document; one JSON object a line where a command goes on.
    Json,
    /// One YAML document; one after another where a command goes on.
    Yaml,
}

/// Where a command's words go, and how they look.
#[derive(Clone, Debug)]
pub struct Output {
    /// The format of what goes to stdout.
    pub format: Format,
    quiet: bool,
    verbose: u8,
    color: bool,
    live: bool,
}

impl Output {
    /// Decides on colour and progress by the terminal, `NO_COLOR` and the flags.
    pub fn new(format: Format, quiet: bool, verbose: u8) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            format,
            quiet,
            verbose,
            color: !plain && io::stdout().is_terminal(),
            live: !quiet && format == Format::Table && io::stderr().is_terminal(),
        }
    }

    /// Whether progress may move on stderr: a terminal, a table, and not `--quiet`.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// How many `-v` were given.
    pub fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Whether `--quiet` was given.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes the one document of a command.
    pub fn document<T: Serialize>(&self, value: &T, table: impl FnOnce(&Self) -> String) -> Result<()> {
        match self.format {
            Format::Table => self.text(&table(self)),
            Format::Json => self.text(&json(value, true)?),
            Format::Yaml => self.text(&yaml(value)?),
        }
    }

    /// Writes one of many objects, each on a line of its own.
    pub fn object<T: Serialize>(&self, value: &T, line: impl FnOnce(&Self) -> String) -> Result<()> {
        match self.format {
            Format::Table => self.text(&line(self)),
            Format::Json => self.text(&json(value, false)?),
            Format::Yaml => self.text(&format!("---\n{}", yaml(value)?)),
        }
    }

    /// Writes text to stdout and ends the line; a reader that has gone ends the command quietly.
    pub fn text(&self, text: &str) -> Result<()> {
        let text = text.trim_end_matches('\n');
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| unwritable(&error))
    }

    /// Writes text to stdout exactly as it is.
    pub fn raw(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| unwritable(&error))
    }

    /// A hint or a notice on stderr, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// A detail on stderr, with `-v`.
    pub fn detail(&self, text: &str) {
        if self.verbose > 0 {
            self.say(text);
        }
    }

    /// A line on stderr, whatever the flags.
    pub fn say(&self, text: &str) {
        // A stderr that is gone leaves nowhere to tell of it.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A failure, told on stderr.
    pub fn failure(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let word = if color { "\x1b[1;31merror\x1b[0m" } else { "error" };
        self.say(&format!("{word}: {failure}"));
    }

    /// Text in bold where colour is on.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Text in green where colour is on.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Text in yellow where colour is on.
    pub fn warn(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Text in red where colour is on.
    pub fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Text that matters less, dimmed where colour is on.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Rows under a heading, in aligned columns without frames.
    pub fn table<const N: usize>(&self, heading: [&str; N], rows: Vec<[String; N]>) -> String {
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        // Wrapping to the terminal's width would break what people paste and what scripts cut.
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(heading);
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.to_string();
        let mut lines = text.lines().map(str::trim_end);
        let heading = self.bold(lines.next().unwrap_or_default());
        lines.fold(heading, |text, line| format!("{text}\n{line}"))
    }
}

fn unwritable(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::closed_pipe()
    } else {
        Failure::failed("cannot write to stdout", os(error), "check where the output goes")
    }
}

fn json<T: Serialize>(value: &T, pretty: bool) -> Result<String> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_err(|error| Failure::failed("cannot print JSON", error.to_string(), "use --output table"))
}

fn yaml<T: Serialize>(value: &T) -> Result<String> {
    serde_yaml::to_string(value)
        .map_err(|error| Failure::failed("cannot print YAML", error.to_string(), "use --output json"))
}

/// A size in bytes for people: `41.2 KiB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1024.0 => format!("{bytes} B"),
        ..1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        ..1_073_741_824.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes / 1_073_741_824.0),
    }
}

/// How long ago an RFC 3339 time was, for people: `3m12s`; the text itself where it is none.
pub fn age(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(
        |_| time.to_owned(),
        |time| span(u64::try_from(jiff::Timestamp::now().duration_since(time).as_secs()).unwrap_or(0)),
    )
}

/// Seconds for people: `45s`, `3m12s`, `5h03m`, `2d04h`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Output {
        Output { format: Format::Table, quiet: false, verbose: 0, color: false, live: false }
    }

    #[test]
    fn tables_are_aligned_and_without_trailing_space() {
        let text = plain()
            .table(["ROOM", "MODE"], vec![["a".into(), "p2p".into()], ["longer".into(), "p2m".into()]]);
        assert_eq!(text, "ROOM    MODE\na       p2p\nlonger  p2m");
    }

    #[test]
    fn sizes_and_spans_are_for_people() {
        assert_eq!(
            [0, 1023, 1024, 1_048_576, 3 << 30].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "3.0 GiB"]
        );
        assert_eq!([5, 192, 18_180, 187_200].map(span), ["5s", "3m12s", "5h03m", "2d04h"]);
    }

    #[test]
    fn a_time_that_is_none_stays_as_it_is() {
        assert_eq!(age("yesterday"), "yesterday");
    }
}
