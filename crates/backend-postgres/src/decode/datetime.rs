//! Dates and times from their binary form, as `to_json` prints them (ISO 8601, UTC).
//!
//! Source: `timestamp_send` and friends: microseconds or days since 2000-01-01; `EncodeDateTime` with XSD style.

use std::io::Write;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY_US: i64 = 86_400_000_000;

/// Writes microseconds since 2000-01-01; `zoned` adds `+00:00`.
pub fn timestamp(out: &mut Vec<u8>, value_us: i64, zoned: bool) {
    if let Some(text) = infinity(value_us == i64::MAX, value_us == i64::MIN) {
        return out.extend_from_slice(text);
    }
    let is_bc = day(out, value_us.div_euclid(DAY_US));
    out.push(b'T');
    time(out, value_us.rem_euclid(DAY_US));
    if zoned {
        out.extend_from_slice(b"+00:00");
    }
    if is_bc {
        out.extend_from_slice(b" BC");
    }
}

/// Writes days since 2000-01-01.
pub fn date(out: &mut Vec<u8>, days: i32) {
    if let Some(text) = infinity(days == i32::MAX, days == i32::MIN) {
        return out.extend_from_slice(text);
    }
    if day(out, i64::from(days)) {
        out.extend_from_slice(b" BC");
    }
}

/// Writes microseconds since midnight.
pub fn time(out: &mut Vec<u8>, value_us: i64) {
    let seconds = value_us / 1_000_000;
    two(out, seconds / 3600);
    out.push(b':');
    two(out, seconds / 60 % 60);
    out.push(b':');
    two(out, seconds % 60);
    let mut fraction = value_us % 1_000_000;
    if fraction != 0 {
        let mut width = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        // Writing to a Vec cannot fail.
        let _ = write!(out, ".{fraction:0width$}");
    }
}

fn infinity(positive: bool, negative: bool) -> Option<&'static [u8]> {
    match (positive, negative) {
        (true, _) => Some(b"infinity"),
        (_, true) => Some(b"-infinity"),
        _ => None,
    }
}

fn two(out: &mut Vec<u8>, value: i64) {
    // Callers pass 0 to 99.
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// Writes `YYYY-MM-DD`; true if the year is before Christ.
fn day(out: &mut Vec<u8>, days_since_2000: i64) -> bool {
    // Howard Hinnant's `civil_from_days`: eras of 400 years that begin on 1 March.
    let shifted = days_since_2000 + EPOCH_DAYS + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (shown, is_bc) = if year <= 0 { (1 - year, true) } else { (year, false) };
    if shown < 10_000 {
        two(out, shown / 100);
        two(out, shown % 100);
    } else {
        let _ = write!(out, "{shown}");
    }
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
    is_bc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(value_us: i64) -> String {
        let mut out = Vec::new();
        timestamp(&mut out, value_us, true);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn instants_print_as_iso_8601() {
        assert_eq!(stamp(0), "2000-01-01T00:00:00+00:00");
        assert_eq!(stamp(-1), "1999-12-31T23:59:59.999999+00:00");
        assert_eq!(stamp(5_097_600_500_000), "2000-02-29T00:00:00.5+00:00");
        assert_eq!(stamp(i64::MAX), "infinity");
    }

    #[test]
    fn dates_reach_both_ends_of_the_calendar() {
        let text = |days| {
            let mut out = Vec::new();
            date(&mut out, days);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(-730_119), "0001-01-01");
        assert_eq!(text(-730_120), "0001-12-31 BC");
        assert_eq!(text(2_921_940), "10000-01-01");
        assert_eq!(text(i32::MIN), "-infinity");
    }
}
