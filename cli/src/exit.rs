//! Exit codes: public interface, by which scripts tell one outcome from another.

use std::process::ExitCode;

/// How a run of `mobzctl` ended (OPERATIONS.md, Manners).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Tried, and failed.
    Failed = 1,
    /// Called wrongly.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// Refused: a precondition, a conflict, or a confirmation that nobody could give.
    Refused = 4,
    /// Timed out waiting.
    TimedOut = 5,
    /// The endpoint cannot be reached, or cannot serve.
    Unreachable = 6,
    /// `plan --detailed-exitcode` found changes.
    Changes = 10,
    /// A second SIGINT ended it at once.
    Interrupted = 130,
}

impl Exit {
    /// All there are.
    const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::Changes,
        Self::Interrupted,
    ];

    /// The outcome that a process of this tool told by its exit code.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_contract() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 10, 130]);
    }
}
