//! Settings of passkeys: `[auth.passkey]`.

/// What passkeys there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasskeyRules {
    /// People may sign in with them, and make them.
    pub is_enabled: bool,
    /// Passkeys that a user may have.
    pub per_user_max: usize,
}
