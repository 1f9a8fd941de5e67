//! Prints `timestamptz` in the zone that `Prefer: timezone` asks for. Stored forms are in UTC.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::values::json;

/// A time zone that a request chose.
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name. `None` for an unknown name, which the request's parser has refused before.
    pub fn find(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Zone)
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
