//! `[auth.sms]`: how text messages are made and who takes them, as the Supabase command line writes it.

use std::collections::BTreeMap;

use mainstay_auth::config::PhoneRules;
use mainstay_auth::hooks::Point;
use mainstay_auth::messages::template::Template;
use mainstay_auth::messages::twilio;

use super::auth::has_hook;
use super::{ConfigError, Reader, codes, secret};

/// Messages in an hour, in all, unless the settings say otherwise.
const PER_HOUR: u32 = 30;
const TEXT: &str = "Your code is {{ .Code }}";

/// Reads how text messages are made.
pub fn rules(reader: &Reader<'_>) -> Result<PhoneRules, ConfigError> {
    let usual = PhoneRules::default();
    let has_provider = provider(reader)?.is_some();
    let sends = has_provider || has_hook(reader, Point::SendSms)?;
    Ok(PhoneRules {
        is_enabled: reader.boolean("auth.sms.enable_signup")?.unwrap_or(false),
        confirmations: reader.boolean("auth.sms.enable_confirmations")?.unwrap_or(false),
        text: text(reader, "auth.sms.template")?,
        pause: codes::pause(reader, "auth.sms.max_frequency", usual.pause)?,
        code_digits: codes::digits(reader, "auth.sms.otp_length", usual.code_digits)?,
        expiry: codes::expiry(reader, "auth.sms.otp_expiry", usual.expiry)?,
        test_codes: test_codes(reader)?,
        per_hour_max: match sends {
            true => Some(reader.integer("auth.rate_limit.sms_sent")?.unwrap_or(PER_HOUR)),
            false => None,
        },
        provider: if has_provider { "twilio" } else { "" },
    })
}

/// What a message says.
pub fn text(reader: &Reader<'_>, key: &str) -> Result<Template, ConfigError> {
    let text = reader.text(key)?.filter(|text| !text.is_empty());
    Template::parse(text.as_deref().unwrap_or(TEXT)).map_err(|problem| ConfigError::setting(key, problem))
}

/// The account that sends text messages. `None`: there is none.
pub fn provider(reader: &Reader<'_>) -> Result<Option<twilio::Settings>, ConfigError> {
    if !reader.boolean("auth.sms.twilio.enabled")?.unwrap_or(false) {
        return Ok(None);
    }
    let filled = |name: &str| {
        let key = format!("auth.sms.twilio.{name}");
        let text = reader.text(&key)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| ConfigError::setting(&key, "is missing"))
    };
    let token = secret(Some(filled("auth_token")?));
    Ok(Some(twilio::Settings {
        url: match reader.text("mainstay.sms_url")?.filter(|url| !url.is_empty()) {
            Some(url) => url,
            None => twilio::URL.to_owned(),
        },
        account: filled("account_sid")?,
        token: token.ok_or_else(|| ConfigError::setting("auth.sms.twilio.auth_token", "is missing"))?,
        sender: filled("message_service_sid")?,
    }))
}

/// `number = "code"`.
fn test_codes(reader: &Reader<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut codes = BTreeMap::new();
    for number in reader.keys("auth.sms.test_otp")? {
        let key = format!("auth.sms.test_otp.{number}");
        let code = reader.text(&key)?.unwrap_or_default();
        let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
        let digits = number.trim_start_matches('+');
        if !is_code || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ConfigError::setting(
                &key,
                "must be a code of digits for a number of digits",
            ));
        }
        codes.insert(digits.to_owned(), code);
    }
    Ok(codes)
}
