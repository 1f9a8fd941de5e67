//! The room's settings.

mod mfa;
mod pages;
mod webauthn;

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::external::Provider;
use mainstay_core::secret::Secret;

use crate::messages::mail::Texts;
use crate::messages::notices::Notices;
use crate::messages::template::Template;
use crate::redirect::Redirects;

use crate::captcha::Captcha;
use crate::hooks::Hooks;
use crate::sealing::Seals;
use crate::webauthn::RelyingParty;

pub use mfa::{CHALLENGE_LIFETIME, MfaRules, PhoneCodes, Switches};
pub use pages::{Accent, Pages, Widget, WidgetKind};
pub use webauthn::PasskeyRules;

/// All of them, as the binary reads them from `config.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `iss` of access tokens: the room's own address.
    pub issuer: String,
    /// Where the room is reached from outside, as links in messages name it: ends in `/auth/v1`.
    pub url: String,
    /// Where browsers may be sent.
    pub redirects: Redirects,
    /// Seconds that an access token is valid.
    pub jwt_expiry_seconds: i64,
    pub signup_enabled: bool,
    pub email_enabled: bool,
    /// New addresses must be confirmed before their users may sign in.
    pub confirmations: bool,
    pub anonymous_enabled: bool,
    /// Users may link and unlink identities.
    pub manual_linking: bool,
    /// `None`: the ready pages are switched off.
    pub pages: Option<Pages>,
    /// Providers that are switched on.
    pub external: Vec<Provider>,
    pub web3: Web3Rules,
    /// `None`: it is no provider.
    pub oauth_server: Option<OAuthServer>,
    /// A refresh token used again after the interval ends its session's whole family.
    pub rotation_enabled: bool,
    pub reuse_interval: SignedDuration,
    /// A password may be changed only within a day of signing in.
    pub secure_password_change: bool,
    /// The project's own secret: codes and links are made with it.
    pub secret: Secret<String>,
    pub mail: MailRules,
    /// Mails that tell of changes.
    pub notices: Notices,
    pub phone: PhoneRules,
    pub passwords: PasswordRules,
    pub leaked: LeakedPasswords,
    /// Who signs up or signs in by password must be a person.
    pub captcha: Option<Captcha>,
    pub sessions: SessionRules,
    pub mfa: MfaRules,
    pub passkeys: PasskeyRules,
    /// Who keys are made for. `None`: there are neither passkeys nor factors that sign.
    pub relying_party: Option<RelyingParty>,
    /// What seals the secrets of second factors.
    pub seals: Seals,
    pub rates: Rates,
    pub hooks: Hooks,
}

impl Config {
    /// True if the room is reached over https, so that its cookies never travel in the clear.
    pub fn is_encrypted(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// The path of the address under which the room is reached from outside.
    pub fn path(&self) -> &str {
        self.url
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
            .unwrap_or_default()
    }
}

/// How addresses are proved by mail.
#[derive(Clone, Debug)]
pub struct MailRules {
    pub texts: Texts,
    /// Between two mails of a kind to one address.
    pub pause: SignedDuration,
    pub code_digits: usize,
    /// How long codes and links hold.
    pub expiry: SignedDuration,
    /// A change of address needs both addresses' consent.
    pub confirms_both: bool,
    /// Mails in an hour, in all. `None`: as many as there are.
    pub per_hour_max: Option<u32>,
}

impl Default for MailRules {
    fn default() -> Self {
        MailRules {
            texts: Texts::built_in(),
            pause: SignedDuration::from_secs(60),
            code_digits: 6,
            expiry: SignedDuration::from_hours(1),
            confirms_both: true,
            per_hour_max: None,
        }
    }
}

/// How numbers are proved by text message.
#[derive(Clone, Debug)]
pub struct PhoneRules {
    /// Signing up and in by number.
    pub is_enabled: bool,
    /// New numbers must be confirmed before their users may sign in.
    pub confirmations: bool,
    /// Names `.Code`.
    pub text: Template,
    /// Between two messages of a kind to one number.
    pub pause: SignedDuration,
    pub code_digits: usize,
    /// How long codes hold.
    pub expiry: SignedDuration,
    /// Codes of numbers that get no message, for tests.
    pub test_codes: BTreeMap<String, String>,
    /// Messages in an hour, in all. `None`: as many as there are.
    pub per_hour_max: Option<u32>,
    /// Who sends, as `GET /settings` names it.
    pub provider: &'static str,
}

impl Default for PhoneRules {
    fn default() -> Self {
        PhoneRules {
            is_enabled: false,
            confirmations: true,
            text: Template::default(),
            pause: SignedDuration::from_secs(60),
            code_digits: 6,
            expiry: SignedDuration::from_secs(60),
            test_codes: BTreeMap::new(),
            per_hour_max: None,
            provider: "",
        }
    }
}

/// Whose wallets may sign in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Web3Rules {
    pub ethereum: bool,
    pub solana: bool,
}

/// Being a provider for applications of others.
#[derive(Clone, Debug)]
pub struct OAuthServer {
    /// Path below the application's own address of the page on which users are asked. `None`: the ready page.
    pub consent_path: Option<String>,
    /// Anybody may register an application.
    pub dynamic_registration: bool,
}

impl OAuthServer {
    /// The page on which users are asked, of the application at `site`, if it has one of its own.
    pub fn consent_page(&self, site: &str) -> Option<String> {
        let bare = site.split(['?', '#']).next().unwrap_or_default();
        let path = self.consent_path.as_ref()?;
        Some(format!(
            "{}/{}",
            bare.trim_end_matches('/'),
            path.trim_start_matches('/')
        ))
    }
}

/// What a password must be.
#[derive(Clone, Debug)]
pub struct PasswordRules {
    /// Characters.
    pub length_min: usize,
    pub required: &'static [Characters],
}

/// Passwords that are known to others and not taken.
#[derive(Clone, Debug, Default)]
pub struct LeakedPasswords {
    /// The thousand commonest.
    pub refuses_common: bool,
    /// Where those of breaches are asked for, as Have I Been Pwned answers.
    pub service: Option<String>,
    /// No password is taken while the service does not answer.
    pub fails_closed: bool,
}

/// Characters of which a password must hold one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    Letters,
    Lower,
    Upper,
    Digits,
    Symbols,
}

impl PasswordRules {
    /// What `password_requirements` of `config.toml` demands; `None` for a word that nobody knows.
    pub fn required(requirements: &str) -> Option<&'static [Characters]> {
        use Characters::{Digits, Letters, Lower, Symbols, Upper};
        match requirements {
            "" => Some(&[]),
            "letters_digits" => Some(&[Letters, Digits]),
            "lower_upper_letters_digits" => Some(&[Lower, Upper, Digits]),
            "lower_upper_letters_digits_symbols" => Some(&[Lower, Upper, Digits, Symbols]),
            _ => None,
        }
    }
}

/// When a session ends by itself.
#[derive(Clone, Debug, Default)]
pub struct SessionRules {
    pub timebox: Option<SignedDuration>,
    pub inactivity_timeout: Option<SignedDuration>,
    /// Only the session that was refreshed last may go on.
    pub single_per_user: bool,
}

/// Requests that one address may make.
#[derive(Clone, Debug)]
pub struct Rates {
    /// In five minutes.
    pub sign_in_sign_ups: u32,
    /// In five minutes.
    pub token_refresh: u32,
    /// In an hour.
    pub anonymous_users: u32,
    /// In five minutes.
    pub web3: u32,
    /// In five minutes.
    pub token_verifications: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            sign_in_sign_ups: 30,
            token_refresh: 150,
            anonymous_users: 30,
            web3: 30,
            token_verifications: 30,
        }
    }
}
