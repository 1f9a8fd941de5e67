//! `[mainstay.limits]`.

use std::str::FromStr;

use mainstay_http::limits::{Network, Rate, Rates};

use super::{ConfigError, Reader};

/// Reads the limits. Errors name the setting.
pub fn rates(reader: &Reader<'_>) -> Result<Rates, ConfigError> {
    Ok(Rates {
        per_address: rate(reader, "mainstay.limits.per_address")?,
        per_user: rate(reader, "mainstay.limits.per_user")?,
        per_key: rate(reader, "mainstay.limits.per_key")?,
        trusted_proxies: networks(reader, "mainstay.limits.trusted_proxies")?,
        exempt: networks(reader, "mainstay.limits.exempt")?,
    })
}

/// A rate, or `"off"`.
fn rate(reader: &Reader<'_>, key: &str) -> Result<Option<Rate>, ConfigError> {
    match reader.text(key)?.as_deref() {
        None | Some("off") => Ok(None),
        Some(text) => read(key, text).map(Some),
    }
}

fn networks(reader: &Reader<'_>, key: &str) -> Result<Vec<Network>, ConfigError> {
    let texts = reader.list(key)?.unwrap_or_default();
    texts.iter().map(|text| read(key, text)).collect()
}

fn read<T>(key: &str, text: &str) -> Result<T, ConfigError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| ConfigError::setting(key, error.to_string()))
}
