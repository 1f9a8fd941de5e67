//! Each signed message is good for one session.
//!
//! Remembered by a digest of the message, not of the signature: to one message there is more than one signature that
//! holds.

use jiff::Timestamp;
use mainstay_core::error::BackendError;

use super::Chain;
use crate::secrets;
use crate::store::{Tx, text};

const USE: &str = "INSERT INTO _mainstay.wallet_messages (digest, expires_at) VALUES ($1::text, $2::timestamptz) \
     ON CONFLICT (digest) DO NOTHING RETURNING digest";

/// A message that may be used once.
#[derive(Clone, Debug)]
pub struct Once {
    digest: String,
    /// From then on it is refused as too old.
    expires_at: Timestamp,
}

impl Once {
    pub fn of(chain: Chain, message: &str, expires_at: Timestamp) -> Self {
        Once {
            digest: secrets::sha256_hex(&format!("{}:{message}", chain.name())),
            expires_at,
        }
    }

    /// Uses it up, with the transaction. False: it was used before.
    pub async fn redeem(&self, tx: &Tx) -> Result<bool, BackendError> {
        let rows = tx.run(USE, vec![text(&self.digest), text(self.expires_at)]).await?;
        Ok(rows.first(|row| row.text())?.is_some())
    }
}
