//! What access tokens and messages are made with where only a transaction is at hand, beside what the database knows.

use crate::hooks::Hooks;
use crate::messages::notices::Notices;

/// Rules by which tokens are issued.
#[derive(Clone, Debug, Default)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// Seconds that a token is valid.
    pub expiry_seconds: i64,
    pub hooks: Hooks,
    pub notices: Notices,
}

impl Issuing {
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    pub fn notices(&self) -> &Notices {
        &self.notices
    }
}
