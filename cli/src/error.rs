//! What a person is told when something did not work: what failed, why, what to do.

use std::fmt;
use std::io;

use crate::exit::Exit;

/// What every command returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure in words for people, with the exit code for scripts.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: String,
    remedy: String,
    exit: Exit,
}

impl Failure {
    /// A failure of the given kind: `what` as "cannot list rooms", `why` as a cause, `remedy` as an advice.
    pub fn new(
        exit: Exit,
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), why: why.into(), remedy: remedy.into(), exit }
    }

    /// Exit code 1.
    pub fn failed(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what, why, remedy)
    }

    /// Exit code 2.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, why, remedy)
    }

    /// Exit code 3.
    pub fn not_found(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, what, why, remedy)
    }

    /// Exit code 4.
    pub fn refused(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what, why, remedy)
    }

    /// Exit code 5.
    pub fn timed_out(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::TimedOut, what, why, remedy)
    }

    /// Exit code 6.
    pub fn unreachable(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what, why, remedy)
    }

    /// The reader of stdout has gone (`mobzctl … | head`): nothing to say, and nothing went wrong.
    pub(crate) fn closed_pipe() -> Self {
        Self::new(Exit::Done, "", "", "")
    }

    /// The same, of something that goes on in AWS all the same.
    pub(crate) fn and_goes_on(mut self, stack: &str) -> Self {
        self.remedy = format!("{}; meanwhile {stack} goes on by itself in AWS", self.remedy);
        self
    }

    /// The exit code.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Why, without what failed and what to do.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Whether there is nothing to tell.
    pub fn is_silent(&self) -> bool {
        self.what.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.why.is_empty() {
            write!(f, "\n  why: {}", self.why)?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\n  do:  {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// A cause and the causes of that cause, on one line, each told once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// What the operating system said, without its error number.
pub fn os(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_three_parts() {
        let failure = Failure::failed("cannot list rooms", "it rains", "wait");
        assert_eq!(failure.to_string(), "cannot list rooms\n  why: it rains\n  do:  wait");
    }

    #[test]
    fn os_errors_lose_their_number() {
        assert_eq!(os(&io::Error::from_raw_os_error(111)), "connection refused");
    }
}
