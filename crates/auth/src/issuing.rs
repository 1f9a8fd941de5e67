//! What access tokens are made with, beside what the database knows.

use crate::hooks::Hooks;

/// Rules by which tokens are issued.
#[derive(Clone, Debug, Default)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// Seconds that a token is valid.
    pub expiry_seconds: i64,
    pub hooks: Hooks,
}

impl Issuing {
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }
}
