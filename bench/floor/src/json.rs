//! Writes rows as JSON into one byte buffer.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The columns of an order that every operation answers with.
pub struct Order<'a> {
    pub id: i64,
    pub status: &'a str,
    pub placed_at: &'a str,
    pub note: Option<&'a str>,
}

/// Writes an order without its closing brace, so that items can follow.
pub fn open_order(out: &mut Vec<u8>, order: &Order<'_>) {
    let _ = write!(
        out,
        r#"{{"id":{},"status":"{}","placed_at":"{}","note":"#,
        order.id, order.status, order.placed_at
    );
    string(out, order.note);
}

/// Writes one element of `order_items`.
pub fn item(out: &mut Vec<u8>, quantity: i64, unit_price: &str, product: i64, name: &str) {
    let _ = write!(
        out,
        r#"{{"quantity":{quantity},"unit_price":{unit_price},"products":{{"id":{product},"name":"#
    );
    string(out, Some(name));
    out.extend_from_slice(b"}}");
}

/// Writes a string with its escapes, or `null`.
fn string(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        // Writing to a vector cannot fail.
        Some(text) => drop(serde_json::to_writer(out, text)),
        None => out.extend_from_slice(b"null"),
    }
}

/// The present moment in microseconds since 1970.
pub fn now_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

/// Microseconds since 1970 as PostgreSQL prints a `timestamptz` in JSON, UTC, the fraction trimmed.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
pub fn timestamp(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (
        day_of_year - (153 * shifted + 2) / 5 + 1,
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
    );
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text.push_str("+00:00");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_its_instant() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(timestamp(POSTGRES_EPOCH_MICROS), "2000-01-01T00:00:00+00:00");
        assert_eq!(timestamp(1_775_001_600_500_000), "2026-04-01T00:00:00.5+00:00");
    }

    #[test]
    fn an_order_is_written_with_its_escapes() {
        let mut out = Vec::new();
        open_order(
            &mut out,
            &Order {
                id: 7,
                status: "paid",
                placed_at: "2026",
                note: Some("a \"b\""),
            },
        );
        item(&mut out, 2, "16.00", 4, "Mug");
        let text = String::from_utf8(out).unwrap();
        let order = r#"{"id":7,"status":"paid","placed_at":"2026","note":"a \"b\"""#;
        let line = r#"{"quantity":2,"unit_price":16.00,"products":{"id":4,"name":"Mug"}}"#;
        assert_eq!(text, format!("{order}{line}"));
    }
}
