//! `[auth.passkey]` and `[auth.webauthn]`: keys that sign, and who they are made for.

use mainstay_auth::config::{MfaRules, PasskeyRules};
use mainstay_auth::webauthn::RelyingParty;

use crate::config::{ConfigError, Reader};

/// Passkeys that a user may have, unless the settings say otherwise.
const PER_USER_MAX: usize = 10;

pub fn passkeys(reader: &Reader<'_>) -> Result<PasskeyRules, ConfigError> {
    Ok(PasskeyRules {
        is_enabled: reader.boolean("auth.passkey.enabled")?.unwrap_or(false),
        per_user_max: reader
            .integer("auth.passkey.max_passkeys_per_user")?
            .unwrap_or(PER_USER_MAX),
    })
}

/// Who keys are made for, where there are any: unless the settings say otherwise, the application's own address.
pub fn relying_party(
    reader: &Reader<'_>,
    passkeys: &PasskeyRules,
    mfa: &MfaRules,
) -> Result<Option<RelyingParty>, ConfigError> {
    if !passkeys.is_enabled && !mfa.webauthn.enroll && !mfa.webauthn.verify {
        return Ok(None);
    }
    let site = super::site_url(reader)?;
    let (domain, origin) = RelyingParty::of_site(&site).unwrap_or_default();
    let id = super::filled(reader, "auth.webauthn.rp_id")?.unwrap_or(domain);
    let name = super::filled(reader, "auth.webauthn.rp_display_name")?;
    let origins = reader
        .list("auth.webauthn.rp_origins")?
        .filter(|origins| !origins.is_empty());
    let origins = origins.unwrap_or_else(|| vec![origin]);
    RelyingParty::new(&id, name.as_deref().unwrap_or(&id), &origins)
        .map(Some)
        .map_err(|problem| ConfigError::setting("auth.webauthn.rp_id and auth.webauthn.rp_origins", problem))
}
