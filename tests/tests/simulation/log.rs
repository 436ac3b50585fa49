//! What happened in the seed that this thread plays, for who reads it, and what was wrong.

use std::cell::RefCell;
use std::fmt::Arguments;
use std::sync::Once;

use mobz_runtime::clock::simulated::elapsed;

macro_rules! note {
    ($($words:tt)*) => {
        if crate::log::is_read() {
            crate::log::line(format_args!($($words)*));
        }
    };
}
pub(crate) use note;

thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
}

/// A log.
#[derive(Default)]
pub(crate) struct Log {
    /// How many lines there were.
    pub(crate) lines: u64,
    /// What must not be and was.
    pub(crate) wrong: Vec<String>,
    /// All of them, where they are kept.
    pub(crate) all: String,
    shown: Shown,
}

/// What becomes of lines beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing.
    #[default]
    Not,
    /// They are printed.
    Printed,
    /// They are kept.
    Kept,
}

/// Begins a log.
pub(crate) fn begin(shown: Shown) {
    LOG.set(Log { shown, ..Log::default() });
}

/// A panic anywhere in the seed is wrong, also in a task that nobody waits for.
pub(crate) fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            LOG.with(|log| {
                if let Ok(mut log) = log.try_borrow_mut() {
                    log.wrong.push(panic.to_string());
                }
            });
            before(panic);
        }));
    });
}

/// Ends it.
pub(crate) fn end() -> Log {
    LOG.take()
}

/// Whether somebody reads the lines; one more is counted.
pub(crate) fn is_read() -> bool {
    LOG.with_borrow_mut(|log| {
        log.lines += 1;
        log.shown != Shown::Not
    })
}

/// Notes one line.
#[allow(clippy::print_stderr, reason = "who replays a seed reads it")]
pub(crate) fn line(what: Arguments<'_>) {
    let now = elapsed();
    let line = format!("{:>7}.{:03} {what}", now.as_secs(), now.subsec_millis());
    LOG.with_borrow_mut(|log| match log.shown {
        Shown::Not => {}
        Shown::Printed => eprintln!("{line}"),
        Shown::Kept => {
            log.all.push_str(&line);
            log.all.push('\n');
        }
    });
}

/// Notes what must not be.
pub(crate) fn wrong(what: String) {
    note!("WRONG {what}");
    LOG.with_borrow_mut(|log| log.wrong.push(what));
}

/// Whether something was wrong already.
pub(crate) fn is_wrong() -> bool {
    LOG.with_borrow(|log| !log.wrong.is_empty())
}
