//! Chance and time of a seed: all of it comes from the dice that the code under test throws too.

use std::time::Duration;

use mobz_runtime::clock::simulated::dice;

/// A number from `least` to `most`, both included.
pub(crate) fn between(least: u64, most: u64) -> u64 {
    least + dice() % (most - least + 1)
}

/// Whether something happens that does `of_thousand` times in a thousand.
pub(crate) fn happens(of_thousand: u64) -> bool {
    dice() % 1000 < of_thousand
}

/// Between so many milliseconds.
pub(crate) fn millis(least: u64, most: u64) -> Duration {
    Duration::from_millis(between(least, most))
}

/// One of them, if there is one.
pub(crate) fn pick<T>(all: &[T]) -> Option<&T> {
    if all.is_empty() { None } else { all.get(usize::try_from(dice() % all.len() as u64).unwrap()) }
}

/// Waits for between so many milliseconds.
pub(crate) async fn pause(least: u64, most: u64) {
    let wait = millis(least, most);
    // A timer for nothing costs as much as one for something, and half of all there is to do is this.
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
