//! Prints `timestamptz` in the zone that `Prefer: timezone` asks for. Stored forms are in UTC.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use mainstay_core::error::DatabaseError;

use crate::values::datetime::parse;
use crate::values::json;

/// A time zone that a request chose.
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name, or `+05:30` in the POSIX sense: so far behind UTC.
    ///
    /// Source: PostgreSQL manual, appendix B.5. Errors: 22023.
    pub fn find(name: &str) -> Result<Self, DatabaseError> {
        time_zone(name).map(Zone)
    }

    /// The names that a request may give, as the catalog lists them.
    pub fn names() -> Arc<HashSet<String>> {
        static NAMES: LazyLock<Arc<HashSet<String>>> =
            LazyLock::new(|| Arc::new(jiff::tz::db().available().map(|name| name.to_string()).collect()));
        Arc::clone(&NAMES)
    }

    /// A stored timestamp as `to_json` prints it here: `2024-03-01T12:00:00.5+02:00`.
    pub fn json(&self, stored: &[u8]) -> Option<String> {
        self.print(stored, 'T', false)
    }

    /// A stored timestamp as its output function prints it here: `2024-03-01 12:00:00.5+02`.
    pub fn text(&self, stored: &[u8]) -> Option<String> {
        self.print(stored, ' ', true)
    }

    /// A stored array of timestamps as JSON.
    pub fn json_array(&self, stored: &str) -> String {
        let items = json::elements(stored).map(|item| match self.json(item.trim_matches('"').as_bytes()) {
            Some(local) => format!("\"{local}\""),
            None => item.to_owned(),
        });
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    }

    /// A stored array of timestamps as its output function prints it.
    pub fn text_array(&self, stored: &str) -> String {
        let items = json::elements(stored).map(|item| match self.text(item.trim_matches('"').as_bytes()) {
            Some(local) => format!("\"{local}\""),
            None => "NULL".to_owned(),
        });
        format!("{{{}}}", items.collect::<Vec<_>>().join(","))
    }

    fn print(&self, stored: &[u8], separator: char, short: bool) -> Option<String> {
        let instant: Timestamp = std::str::from_utf8(stored).ok()?.parse().ok()?;
        let local = instant.to_zoned(self.0.clone());
        let (date, time) = (local.date(), local.time());
        let mut text = format!(
            "{date}{separator}{:02}:{:02}:{:02}",
            time.hour(),
            time.minute(),
            time.second()
        );
        let micros = time.subsec_nanosecond() / 1_000;
        if micros != 0 {
            text.push_str(format!(".{micros:06}").trim_end_matches('0'));
        }
        let offset = local.offset().seconds();
        let (hours, minutes) = (offset.abs() / 3_600, offset.abs() % 3_600 / 60);
        text.push_str(&format!("{}{hours:02}", if offset < 0 { '-' } else { '+' }));
        if minutes != 0 || !short {
            text.push_str(&format!(":{minutes:02}"));
        }
        Some(text)
    }
}

/// As [`Zone::find`].
pub fn time_zone(name: &str) -> Result<TimeZone, DatabaseError> {
    let invalid = || DatabaseError::new("22023", format!("invalid value for parameter \"TimeZone\": \"{name}\""));
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return TimeZone::get(name).map_err(|_| invalid());
    }
    let fixed = |east: i64| {
        let seconds = i32::try_from(east).ok();
        seconds
            .and_then(|seconds| Offset::from_seconds(seconds).ok())
            .map(TimeZone::fixed)
            .ok_or_else(invalid)
    };
    // A bare number is hours, and those count east.
    if let Ok(hours) = name.parse::<f64>()
        && hours.is_finite()
    {
        return fixed((hours * 3_600.0) as i64);
    }
    let digits = name.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || name.len() > digits.len() + 1 {
        return Err(invalid());
    }
    let signed = if digits.len() == name.len() {
        format!("+{name}")
    } else {
        name.to_owned()
    };
    let west = parse::offset(&signed).map_err(|_| invalid())?;
    if west % 60 != 0 {
        let message = format!("time zone \"{name}\" appears to use leap seconds");
        return Err(DatabaseError::new("22023", message).detail("PostgreSQL does not support leap seconds."));
    }
    fixed(-west)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_printed_in_the_zone_asked_for() {
        let zone = Zone::find("Asia/Kolkata").unwrap();
        assert_eq!(
            zone.json(b"2024-03-01T10:00:00.5+00:00").unwrap(),
            "2024-03-01T15:30:00.5+05:30"
        );
        let zone = Zone::find("+05:30").unwrap();
        assert_eq!(
            zone.json(b"2023-10-18T12:37:59.611+00:00").unwrap(),
            "2023-10-18T07:07:59.611-05:30"
        );
        let zone = Zone::find("-3.5").unwrap();
        assert_eq!(
            zone.text(b"2024-07-01T10:00:00+00:00").unwrap(),
            "2024-07-01 06:30:00-03:30"
        );
        let refused = |name: &str| Zone::find(name).err().map(|error| error.message);
        assert_eq!(
            refused("Invalid/Timezone").unwrap(),
            "invalid value for parameter \"TimeZone\": \"Invalid/Timezone\""
        );
        assert_eq!(
            refused("05:30:15").unwrap(),
            "time zone \"05:30:15\" appears to use leap seconds"
        );
        let zone = Zone::find("America/New_York").unwrap();
        assert_eq!(
            zone.text(b"2024-07-01T10:00:00+00:00").unwrap(),
            "2024-07-01 06:00:00-04"
        );
        assert_eq!(
            zone.json(b"2024-07-01T10:00:00+00:00").unwrap(),
            "2024-07-01T06:00:00-04:00"
        );
    }
}
