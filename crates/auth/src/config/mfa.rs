//! Settings of second factors: `[auth.mfa]`.

use jiff::SignedDuration;

/// What second factors there may be.
#[derive(Clone, Debug)]
pub struct MfaRules {
    /// Who asks for the code, as authenticator apps show it; a request may name another.
    pub issuer: String,
    /// Factors that a user may have, verified or not.
    pub enrolled_max: usize,
    pub totp: Switches,
    pub phone: Switches,
    pub webauthn: Switches,
    pub recovery_codes: Switches,
}

/// What may be done with factors of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub enroll: bool,
    pub verify: bool,
}

/// How long a challenge can be answered.
pub const CHALLENGE_LIFETIME: SignedDuration = SignedDuration::from_secs(300);
