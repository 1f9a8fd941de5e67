//! Settings of second factors: `[auth.mfa]`.

use jiff::SignedDuration;

use crate::messages::template::Template;

/// What second factors there may be.
#[derive(Clone, Debug)]
pub struct MfaRules {
    /// Who asks for the code, as authenticator apps show it; a request may name another.
    pub issuer: String,
    /// Factors that a user may have, verified or not.
    pub enrolled_max: usize,
    pub totp: Switches,
    pub phone: Switches,
    pub phone_codes: PhoneCodes,
    pub webauthn: Switches,
    pub recovery_codes: Switches,
}

/// Codes of phone factors.
#[derive(Clone, Debug)]
pub struct PhoneCodes {
    pub digits: usize,
    /// Names `.Code`.
    pub text: Template,
    /// Between two messages to one number.
    pub pause: SignedDuration,
}

/// What may be done with factors of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub enroll: bool,
    pub verify: bool,
}

/// How long a challenge can be answered.
pub const CHALLENGE_LIFETIME: SignedDuration = SignedDuration::from_secs(300);
