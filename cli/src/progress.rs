//! What moves on stderr while something is waited for; silent when piped or `--quiet`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// One line on stderr that changes in place; gone when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A spinner that says what is waited for.
    pub fn waiting(output: &Output, text: impl Into<String>) -> Self {
        let target =
            if output.is_live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(text.into());
        if output.is_live() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// A bar that counts down what is left of `total`.
    pub fn counting(output: &Output, total: u64, text: impl Into<String>) -> Self {
        let progress = Self::waiting(output, text);
        progress.bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos} left") {
            progress.bar.set_style(style.progress_chars("=> "));
        }
        progress.left(total);
        progress
    }

    /// How many are left; more than there were at first make the bar longer.
    pub fn left(&self, left: u64) {
        if self.bar.length().is_some_and(|total| left > total) {
            self.bar.set_length(left);
        }
        self.bar.set_position(left);
    }

    /// Changes the text.
    pub fn say(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Does something that writes to the terminal itself.
    pub fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }

    /// Goes away, for a program that writes to the terminal itself, until it is told to come [`Progress::back`].
    pub fn away(&self) {
        self.bar.finish_and_clear();
    }

    /// Moves again.
    pub fn back(&self, output: &Output) {
        self.bar.reset();
        if output.is_live() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Writes a lasting line above the spinner.
    pub fn above(&self, output: &Output, text: &str) {
        self.bar.suspend(|| output.note(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
