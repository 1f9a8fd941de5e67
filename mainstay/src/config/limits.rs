//! `[mainstay.limits]` and `[mainstay.outgoing]`.

use std::collections::BTreeMap;
use std::str::FromStr;

use mainstay_core::backend::CostLimits;
use mainstay_core::name::Ident;

use mainstay_http::limits::{Network, Rate, Rates};

use super::{ConfigError, Reader};

const BY_ROLE: &str = "mainstay.limits.query_cost_by_role";

/// Reads the rates. Errors name the setting.
pub fn rates(reader: &Reader<'_>) -> Result<Rates, ConfigError> {
    Ok(Rates {
        per_address: rate(reader, "mainstay.limits.per_address")?,
        per_user: rate(reader, "mainstay.limits.per_user")?,
        per_key: rate(reader, "mainstay.limits.per_key")?,
        trusted_proxies: networks(reader, "mainstay.limits.trusted_proxies")?,
        exempt: networks(reader, "mainstay.limits.exempt")?,
    })
}

/// Networks inside which the server itself may ask.
pub fn outgoing(reader: &Reader<'_>) -> Result<Vec<Network>, ConfigError> {
    networks(reader, "mainstay.outgoing.allow")
}

/// What a statement may cost, by role. Errors name the setting.
pub fn costs(reader: &Reader<'_>) -> Result<CostLimits, ConfigError> {
    let mut by_role = BTreeMap::new();
    for role in reader.keys(BY_ROLE)? {
        let cost = cost(reader, &format!("{BY_ROLE}.{role}"))?;
        by_role.insert(Ident::new(role), cost);
    }
    Ok(CostLimits {
        default: cost(reader, "mainstay.limits.query_cost_max")?,
        by_role,
    })
}

/// A cost, or `"off"`.
fn cost(reader: &Reader<'_>, key: &str) -> Result<Option<u64>, ConfigError> {
    match reader.text(key)?.as_deref() {
        None | Some("off") => Ok(None),
        Some(_) => match reader.integer(key)? {
            Some(0) => Err(ConfigError::setting(key, "must be greater than 0, or \"off\"")),
            cost => Ok(cost),
        },
    }
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
