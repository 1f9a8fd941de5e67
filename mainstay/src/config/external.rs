//! `[auth.external.*]`: identity providers, as the Supabase command line writes them, and `[mainstay.external.*]`: OpenID
//! Connect issuers by any name, which clients call `custom:<name>`.

use mainstay_auth::external::{CUSTOM, Provider, described};
use mainstay_core::secret::Secret;

use super::{ConfigError, Reader, split_list};

const NAMED: &str = "auth.external";
const OWN: &str = "mainstay.external";
/// Names of the Supabase command line's that stand for others, and what those are.
const RENAMED: &[(&str, &str)] = &[("linkedin", "linkedin_oidc")];

/// The providers that are switched on. Errors name the setting.
pub fn read(reader: &Reader<'_>) -> Result<Vec<Provider>, ConfigError> {
    let mut found = Vec::new();
    for name in reader.keys(NAMED)? {
        found.extend(provider(reader, &format!("{NAMED}.{name}"), &name)?);
    }
    for name in reader.keys(OWN)? {
        found.extend(provider(reader, &format!("{OWN}.{name}"), &format!("{CUSTOM}{name}"))?);
    }
    Ok(found)
}

fn provider(reader: &Reader<'_>, section: &str, name: &str) -> Result<Option<Provider>, ConfigError> {
    let key = |key: &str| format!("{section}.{key}");
    let is_own = name.starts_with(CUSTOM);
    if !reader.boolean(&key("enabled"))?.unwrap_or(is_own) {
        return Ok(None);
    }
    let Some(description) = described(name) else {
        let hint = RENAMED
            .iter()
            .find(|(old, _)| *old == name)
            .map(|(_, new)| format!("; its successor is `{new}`"));
        let problem = format!("no provider of this name is known here{}", hint.unwrap_or_default());
        return Err(ConfigError::setting(section, problem));
    };
    let filled = |name: &str| reader.text(&key(name)).map(|text| text.filter(|text| !text.is_empty()));
    let flag = |name: &str| reader.boolean(&key(name)).map(|flag| flag.unwrap_or(false));
    let url = match is_own {
        true => filled("issuer")?,
        false => filled("url")?,
    };
    let provider = Provider {
        name: name.to_owned(),
        description,
        client_ids: split_list(&filled("client_id")?.unwrap_or_default()),
        secret: Secret::new(filled("secret")?.unwrap_or_default()),
        redirect_uri: filled("redirect_uri")?,
        url: url.map(|url| url.trim_end_matches('/').to_owned()),
        skip_nonce_check: flag("skip_nonce_check")?,
        email_optional: flag("email_optional")?,
        scopes: reader.list(&key("scopes"))?.unwrap_or_default(),
    };
    provider
        .check()
        .map_err(|problem| ConfigError::setting(section, problem))?;
    Ok(Some(provider))
}
