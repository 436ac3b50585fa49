//! The `Date` of answers (RFC 9110 §6.6.1), written once a second and shared.

use std::time::{Duration, UNIX_EPOCH};

use hyper::header::HeaderValue;
use mobz_core::time::Timestamp;
use parking_lot::Mutex;

/// The date of the second that it is.
#[derive(Debug)]
pub(crate) struct Date {
    /// Seconds since the Unix epoch, and how they are written.
    written: Mutex<(u64, HeaderValue)>,
}

impl Default for Date {
    fn default() -> Self {
        Self { written: Mutex::new((0, written(0))) }
    }
}

impl Date {
    /// The second of `now`, rounded down. The value is marked so that HPACK leaves it out of its table
    /// (RFC 7541 §7.1.3): it is another one every second, and would fill the table of every connection, at
    /// 100 bytes of ours each, with dates that nobody names again.
    pub(crate) fn of(&self, now: Timestamp) -> HeaderValue {
        let mut written_last = self.written.lock();
        if written_last.0 != now.as_secs() {
            *written_last = (now.as_secs(), written(now.as_secs()));
        }
        written_last.1.clone()
    }
}

fn written(secs: u64) -> HeaderValue {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs));
    // A date has no character that a header may not have.
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second_and_stays_out_of_hpacks_table() {
        let date = Date::default();
        assert_eq!(date.of(Timestamp::from_millis(784_111_777_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.of(Timestamp::from_millis(784_111_778_000)), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert!(date.of(Timestamp::from_millis(784_111_778_000)).is_sensitive());
    }
}
