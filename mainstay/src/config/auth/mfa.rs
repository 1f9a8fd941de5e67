//! `[auth.mfa]`: second factors.

use mainstay_auth::config::{MfaRules, PhoneCodes, PhoneRules, Switches};

use crate::config::{ConfigError, Reader, codes, phone};

/// Factors that a user may have, unless the settings say otherwise.
const ENROLLED_MAX: usize = 10;

pub fn read(reader: &Reader<'_>) -> Result<MfaRules, ConfigError> {
    let switches = |kind: &str, default: bool| {
        let flag = |name: &str| reader.boolean(&format!("auth.mfa.{kind}.{name}"));
        Ok::<_, ConfigError>(Switches {
            enroll: flag("enroll_enabled")?.unwrap_or(default),
            verify: flag("verify_enabled")?.unwrap_or(default),
        })
    };
    let usual = PhoneRules::default();
    Ok(MfaRules {
        issuer: authority(&super::site_url(reader)?).to_owned(),
        enrolled_max: reader.integer("auth.mfa.max_enrolled_factors")?.unwrap_or(ENROLLED_MAX),
        totp: switches("totp", true)?,
        phone: switches("phone", false)?,
        phone_codes: PhoneCodes {
            digits: codes::digits(reader, "auth.mfa.phone.otp_length", usual.code_digits)?,
            text: phone::text(reader, "auth.mfa.phone.template")?,
            pause: codes::pause(reader, "auth.mfa.phone.max_frequency", usual.pause)?,
        },
        webauthn: switches("web_authn", false)?,
        recovery_codes: switches("recovery_codes", true)?,
    })
}

/// Host and port of an address, as authenticator apps show whose code it is.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_the_sites_host() {
        for (url, host) in [
            ("https://shop.example/app?x#y", "shop.example"),
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("https://user:pass@shop.example", "shop.example"),
            ("shop.example", "shop.example"),
        ] {
            assert_eq!(authority(url), host);
        }
    }
}
