//! Numbers, times and attributes as playlists write them (draft-pantos-hls-rfc8216bis-22 §4.2).

use std::fmt;

use super::data::{ClientValue, Cue};
use super::stream::DateRange;

/// Seconds with three decimals, from milliseconds.
pub(super) struct Millis(pub(super) u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Seconds with five decimals, rounded, from microseconds.
pub(super) struct Micros(pub(super) u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = self.0.saturating_add(5) / 10;
        write!(f, "{}.{:05}", rounded / 100_000, rounded % 100_000)
    }
}

/// A date and time as ISO 8601 writes it in UTC, to the millisecond, from microseconds since the Unix epoch.
pub(super) struct DateTime(pub(super) u64);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1000;
        let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
        // Days of the proleptic Gregorian calendar, counted from 1 March 0000 so that leap days come last.
        let from_march = days + 719_468;
        let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// A date range's tag.
impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = &self.said;
        write!(f, "#EXT-X-DATERANGE:ID=\"{}\"", said.id)?;
        if let Some(class) = &said.class {
            write!(f, ",CLASS=\"{class}\"")?;
        }
        write!(f, ",START-DATE=\"{}\"", DateTime(self.start() * 1000))?;
        if !said.cue.is_empty() {
            let names = said.cue.iter().map(|cue| match cue {
                Cue::Pre => "PRE",
                Cue::Post => "POST",
                Cue::Once => "ONCE",
            });
            write!(f, ",CUE=\"{}\"", names.collect::<Vec<_>>().join(","))?;
        }
        if let Some(end) = said.end_date {
            write!(f, ",END-DATE=\"{}\"", DateTime(end * 1000))?;
        }
        if let Some(duration) = said.duration {
            write!(f, ",DURATION={}", Millis(duration))?;
        }
        if let Some(planned) = said.planned_duration {
            write!(f, ",PLANNED-DURATION={}", Millis(planned))?;
        }
        for (name, value) in &said.client {
            match value {
                ClientValue::Text(text) => write!(f, ",{name}=\"{text}\"")?,
                ClientValue::Hex(digits) => write!(f, ",{name}=0x{digits}")?,
                ClientValue::Number(number) => write!(f, ",{name}={number}")?,
            }
        }
        let scte35 = [("CMD", &said.scte35_cmd), ("OUT", &said.scte35_out), ("IN", &said.scte35_in)];
        for (name, digits) in scte35 {
            if let Some(digits) = digits {
                write!(f, ",SCTE35-{name}=0x{digits}")?;
            }
        }
        if said.end_on_next {
            write!(f, ",END-ON-NEXT=YES")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(DateTime(millis * 1000).to_string(), text);
        }
    }
}
