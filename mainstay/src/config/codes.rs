//! What is read alike of the codes in mails and in text messages, each by its own key.

use jiff::SignedDuration;
use mainstay_auth::duration;

use super::{ConfigError, Reader};

const DIGITS: std::ops::RangeInclusive<usize> = 6..=10;
/// A day.
const EXPIRY_SECONDS_MAX: i64 = 86_400;

/// Digits of a code.
pub fn digits(reader: &Reader<'_>, key: &str, usual: usize) -> Result<usize, ConfigError> {
    let digits = reader.integer(key)?.unwrap_or(usual);
    match DIGITS.contains(&digits) {
        true => Ok(digits),
        false => Err(ConfigError::setting(key, "must be between 6 and 10")),
    }
}

/// How long a code holds.
pub fn expiry(reader: &Reader<'_>, key: &str, usual: SignedDuration) -> Result<SignedDuration, ConfigError> {
    let seconds: i64 = reader.integer(key)?.unwrap_or(usual.as_secs());
    if !(1..=EXPIRY_SECONDS_MAX).contains(&seconds) {
        let problem = format!("must be between 1 and {EXPIRY_SECONDS_MAX} seconds");
        return Err(ConfigError::setting(key, problem));
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// Between two messages to one address or number.
pub fn pause(reader: &Reader<'_>, key: &str, usual: SignedDuration) -> Result<SignedDuration, ConfigError> {
    let Some(text) = reader.text(key)?.filter(|text| !text.is_empty()) else {
        return Ok(usual);
    };
    let pause = duration::parse(&text).filter(|pause| !pause.is_negative());
    pause.ok_or_else(|| ConfigError::setting(key, format!("`{text}` is no duration such as 60s")))
}
