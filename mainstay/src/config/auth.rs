//! `[auth]`: the settings of sign-in, as the Supabase command line writes them.

mod keys;
mod mfa;
mod pages;

use std::path::Path;

use jiff::SignedDuration;
use mainstay_auth::Seals;
use mainstay_auth::captcha::Captcha;
use mainstay_auth::config::{Config, LeakedPasswords, OAuthServer, PasswordRules, Rates, SessionRules, Web3Rules};
use mainstay_auth::duration;
use mainstay_auth::hooks::{Function, Hook, Hooks, Point, Web};
use mainstay_auth::redirect::Redirects;
use mainstay_core::secret::Secret;

use super::{ConfigError, DEFAULT_PORT, Reader, external, mail, phone, secret};

/// Seconds that an access token may be valid, at most: a week.
const JWT_EXPIRY_SECONDS_MAX: i64 = 604_800;
/// Characters that a password has at least, whatever the settings say.
const PASSWORD_LENGTH_MIN: usize = 6;

/// Reads the settings. `None`: the room is switched off.
///
/// The project's own secret is not among them: whoever opens the room puts it in. `root` is the project's folder.
pub fn read(reader: &Reader<'_>, root: &Path) -> Result<Option<Config>, ConfigError> {
    if !reader.boolean("auth.enabled")?.unwrap_or(true) {
        return Ok(None);
    }
    let jwt_expiry_seconds = reader.integer("auth.jwt_expiry")?.unwrap_or(3600);
    if !(1..=JWT_EXPIRY_SECONDS_MAX).contains(&jwt_expiry_seconds) {
        let problem = format!("must be between 1 and {JWT_EXPIRY_SECONDS_MAX} seconds");
        return Err(ConfigError::setting("auth.jwt_expiry", problem));
    }
    let requirements = reader.text("auth.password_requirements")?.unwrap_or_default();
    let required = PasswordRules::required(&requirements).ok_or_else(|| {
        let problem = format!(
            "`{requirements}` is none of letters_digits, lower_upper_letters_digits, \
             lower_upper_letters_digits_symbols and the empty text"
        );
        ConfigError::setting("auth.password_requirements", problem)
    })?;
    let flag = |key: &str, default: bool| reader.boolean(key).map(|flag| flag.unwrap_or(default));
    let usual = Rates::default();
    let mfa = mfa::read(reader)?;
    let passkeys = keys::passkeys(reader)?;
    let pages = pages::read(reader, root)?;
    Ok(Some(Config {
        relying_party: keys::relying_party(reader, &passkeys, &mfa)?,
        passkeys,
        issuer: issuer(reader)?,
        url: url(reader)?,
        redirects: redirects(reader)?,
        jwt_expiry_seconds,
        signup_enabled: flag("auth.enable_signup", true)?,
        email_enabled: flag("auth.email.enable_signup", true)?,
        confirmations: flag("auth.email.enable_confirmations", false)?,
        anonymous_enabled: flag("auth.enable_anonymous_sign_ins", false)?,
        manual_linking: flag("auth.enable_manual_linking", false)?,
        oauth_server: oauth_server(reader, pages.is_some())?,
        pages,
        external: external::read(reader)?,
        web3: Web3Rules {
            ethereum: flag("auth.web3.ethereum.enabled", false)?,
            solana: flag("auth.web3.solana.enabled", false)?,
        },
        rotation_enabled: flag("auth.enable_refresh_token_rotation", true)?,
        reuse_interval: SignedDuration::from_secs(
            reader
                .integer::<u32>("auth.refresh_token_reuse_interval")?
                .unwrap_or(10)
                .into(),
        ),
        secure_password_change: flag("auth.email.secure_password_change", false)?,
        secret: Secret::new(String::new()),
        mail: mail::rules(reader, root)?,
        notices: mail::notices(reader, root, &site_url(reader)?, &url(reader)?)?,
        phone: phone::rules(reader)?,
        passwords: PasswordRules {
            length_min: reader
                .integer("auth.minimum_password_length")?
                .unwrap_or(PASSWORD_LENGTH_MIN)
                .max(PASSWORD_LENGTH_MIN),
            required,
        },
        leaked: leaked(reader)?,
        captcha: captcha(reader)?,
        sessions: SessionRules {
            timebox: lifetime(reader, "auth.sessions.timebox")?,
            inactivity_timeout: lifetime(reader, "auth.sessions.inactivity_timeout")?,
            single_per_user: flag("auth.sessions.single_per_user", false)?,
        },
        mfa,
        seals: seals(reader)?,
        rates: Rates {
            sign_in_sign_ups: reader
                .integer("auth.rate_limit.sign_in_sign_ups")?
                .unwrap_or(usual.sign_in_sign_ups),
            token_refresh: reader
                .integer("auth.rate_limit.token_refresh")?
                .unwrap_or(usual.token_refresh),
            anonymous_users: reader
                .integer("auth.rate_limit.anonymous_users")?
                .unwrap_or(usual.anonymous_users),
            web3: reader.integer("auth.rate_limit.web3")?.unwrap_or(usual.web3),
            token_verifications: reader
                .integer("auth.rate_limit.token_verifications")?
                .unwrap_or(usual.token_verifications),
        },
        hooks: hooks(reader)?,
    }))
}

/// Where leaked passwords are asked for, unless the settings say otherwise.
const LEAKED_PASSWORDS: &str = "https://api.pwnedpasswords.com/range";

fn leaked(reader: &Reader<'_>) -> Result<LeakedPasswords, ConfigError> {
    let flag = |key: &str| reader.boolean(key).map(|flag| flag.unwrap_or(false));
    let url = reader.text("mainstay.passwords.hibp_url")?;
    let service = flag("mainstay.passwords.hibp")?.then(|| url.unwrap_or_else(|| LEAKED_PASSWORDS.to_owned()));
    Ok(LeakedPasswords {
        refuses_common: flag("mainstay.passwords.refuse_common")?,
        service,
        fails_closed: flag("mainstay.passwords.hibp_fail_closed")?,
    })
}

/// The captcha's service. Errors: a provider that nobody knows, no secret.
fn captcha(reader: &Reader<'_>) -> Result<Option<Captcha>, ConfigError> {
    if !reader.boolean("auth.captcha.enabled")?.unwrap_or(false) {
        return Ok(None);
    }
    let provider = reader.text("auth.captcha.provider")?.unwrap_or_default();
    let known = Captcha::url_of(&provider)
        .ok_or_else(|| ConfigError::setting("auth.captcha.provider", "must be hcaptcha or turnstile"))?;
    let secret = reader
        .text("auth.captcha.secret")?
        .filter(|secret| !secret.trim().is_empty());
    let secret = secret.ok_or_else(|| ConfigError::setting("auth.captcha.secret", "is needed"))?;
    let url = reader.text("mainstay.captcha.url")?.unwrap_or_else(|| known.to_owned());
    Ok(Some(Captcha {
        url,
        secret: Secret::new(secret.trim().to_owned()),
    }))
}

/// True if the hook is switched on.
pub fn has_hook(reader: &Reader<'_>, point: Point) -> Result<bool, ConfigError> {
    let is_on = reader.boolean(&format!("auth.hook.{}.enabled", point.setting()))?;
    Ok(is_on.unwrap_or(false))
}

/// The hooks that are switched on. Errors: a URI that is none.
fn hooks(reader: &Reader<'_>) -> Result<Hooks, ConfigError> {
    let mut hooks = Hooks::default();
    for point in Point::ALL {
        let key = |name: &str| format!("auth.hook.{}.{name}", point.setting());
        if !has_hook(reader, point)? {
            continue;
        }
        let uri = reader.text(&key("uri"))?.unwrap_or_default();
        let hook = if uri.starts_with("https://") || uri.starts_with("http://") {
            let secrets = reader.text(&key("secrets"))?.unwrap_or_default();
            Web::new(&uri, &secrets)
                .map(Hook::Web)
                .map_err(|problem| (key("secrets"), problem))
        } else {
            Function::of_uri(&uri)
                .map(Hook::Function)
                .map_err(|problem| (key("uri"), problem))
        };
        hooks.set(
            point,
            hook.map_err(|(key, problem)| ConfigError::setting(&key, problem))?,
        );
    }
    Ok(hooks)
}

/// Settings that only `mainstay dev` can keep, because it catches what would be sent: to serve without them would be to
/// serve less safely than is meant. Each with what it needs.
pub fn unmet_in_production(reader: &Reader<'_>) -> Result<Vec<String>, ConfigError> {
    let is_on = |key: &str, default: bool| reader.boolean(key).map(|flag| flag.unwrap_or(default));
    let mut found = Vec::new();
    if !is_on("auth.enabled", true)? {
        return Ok(found);
    }
    let sends = mail::sends(reader)?;
    for (setting, is_wanted) in [
        (
            "`[auth.email] enable_confirmations`",
            is_on("auth.email.enable_confirmations", false)?,
        ),
        ("`[auth.email.notification]`", mail::has_notices(reader)?),
    ] {
        if is_wanted && !sends {
            found.push(format!(
                "{setting} needs a mail server, `[auth.email.smtp]`, or `[auth.hook.send_email]`"
            ));
        }
    }
    let asks = is_on("auth.oauth_server.enabled", false)?;
    if asks && filled(reader, CONSENT_PATH)?.is_none() && !is_on("mainstay.pages.enabled", false)? {
        let text = "`[auth.oauth_server]` needs `authorization_url_path`, or `[mainstay.pages] enabled = true`";
        found.push(text.to_owned());
    }
    Ok(found)
}

/// A text that is not empty.
fn filled(reader: &Reader<'_>, key: &str) -> Result<Option<String>, ConfigError> {
    Ok(reader.text(key)?.filter(|text| !text.is_empty()))
}

/// The address under which tokens are issued.
fn issuer(reader: &Reader<'_>) -> Result<String, ConfigError> {
    match filled(reader, "auth.jwt_issuer")? {
        Some(issuer) => Ok(issuer),
        None => url(reader),
    }
}

/// Where the room is reached from outside.
fn url(reader: &Reader<'_>) -> Result<String, ConfigError> {
    match filled(reader, "auth.external_url")? {
        Some(url) => Ok(url.trim_end_matches('/').to_owned()),
        None => Ok(format!("{}/auth/v1", base(reader)?)),
    }
}

/// True if the settings say where the server is reached from outside.
pub fn has_external_url(reader: &Reader<'_>) -> Result<bool, ConfigError> {
    Ok(filled(reader, "auth.external_url")?.is_some() || filled(reader, "api.external_url")?.is_some())
}

/// Where the server is reached from outside, without a slash at its end.
fn base(reader: &Reader<'_>) -> Result<String, ConfigError> {
    let port: u16 = reader.integer("api.port")?.unwrap_or(DEFAULT_PORT);
    let base = filled(reader, "api.external_url")?.unwrap_or_else(|| format!("http://127.0.0.1:{port}"));
    Ok(base.trim_end_matches('/').to_owned())
}

/// Where browsers may be sent.
fn redirects(reader: &Reader<'_>) -> Result<Redirects, ConfigError> {
    let site = site_url(reader)?;
    let patterns = reader.list("auth.additional_redirect_urls")?.unwrap_or_default();
    Redirects::new(&site, &patterns)
        .map_err(|problem| ConfigError::setting("auth.site_url and auth.additional_redirect_urls", problem))
}

/// The application's own address: without `site_url` the site that is served here.
fn site_url(reader: &Reader<'_>) -> Result<String, ConfigError> {
    match filled(reader, "auth.site_url")? {
        Some(site) => Ok(site),
        None => base(reader),
    }
}

/// The keys that seal secrets: `[mainstay.encryption]`.
fn seals(reader: &Reader<'_>) -> Result<Seals, ConfigError> {
    const SECTION: &str = "mainstay.encryption.keys";
    let mut keys = Vec::new();
    for name in reader.keys(SECTION)? {
        if let Some(key) = secret(reader.text(&format!("{SECTION}.{name}"))?) {
            keys.push((name, key));
        }
    }
    let sealing = reader.text("mainstay.encryption.key_id")?.filter(|id| !id.is_empty());
    Seals::new(&keys, sealing).map_err(|problem| ConfigError::setting("mainstay.encryption", problem))
}

const CONSENT_PATH: &str = "auth.oauth_server.authorization_url_path";

/// Being a provider. Errors: no path of the page on which users are asked, and no ready page.
fn oauth_server(reader: &Reader<'_>, has_pages: bool) -> Result<Option<OAuthServer>, ConfigError> {
    if !reader.boolean("auth.oauth_server.enabled")?.unwrap_or(false) {
        return Ok(None);
    }
    let path = filled(reader, CONSENT_PATH)?;
    if path.is_none() && !has_pages {
        return Err(ConfigError::setting(CONSENT_PATH, "is missing"));
    }
    Ok(Some(OAuthServer {
        consent_path: path,
        dynamic_registration: reader
            .boolean("auth.oauth_server.allow_dynamic_registration")?
            .unwrap_or(false),
    }))
}

/// A duration; zero is the same as none.
fn lifetime(reader: &Reader<'_>, key: &str) -> Result<Option<SignedDuration>, ConfigError> {
    let Some(text) = reader.text(key)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match duration::parse(&text) {
        Some(duration) if !duration.is_negative() => Ok(Some(duration).filter(|duration| !duration.is_zero())),
        _ => Err(ConfigError::setting(
            key,
            format!("`{text}` is no duration such as 24h"),
        )),
    }
}
