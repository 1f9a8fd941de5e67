//! Durations as `config.toml` and the admin API write them: `24h`, `1h30m`, `300ms`.
//!
//! Source: Go's `time.ParseDuration`, which the protocol uses.

use jiff::SignedDuration;

/// Reads a duration. `None`: it is none, or too long.
pub fn parse(text: &str) -> Option<SignedDuration> {
    let (text, is_negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    if text == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut rest = text;
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let letters = tail
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    if text.is_empty() {
        return None;
    }
    Some(if is_negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let seconds = |text: &str| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("24h"), Some(86_400.0));
        assert_eq!(seconds("1h30m"), Some(5_400.0));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("-1m"), Some(-60.0));
        assert_eq!(seconds("0"), Some(0.0));
        for bad in [
            "",
            "-",
            "5",
            "h",
            "1d",
            "1h5",
            "none",
            "1e9h",
            "9999999999999999999999h",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
