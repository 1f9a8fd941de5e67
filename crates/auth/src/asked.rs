//! From where the request came that is being answered: what hooks and the audit log say of it.
//!
//! It goes with the task, for it is needed deep inside transactions that know nothing of requests.

use std::future::Future;
use std::net::IpAddr;

tokio::task_local! {
    static ASKED: Asked;
}

/// Who sent the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub address: Option<IpAddr>,
}

impl Asked {
    /// The request that this task answers; empty outside of one.
    pub fn now() -> Self {
        ASKED.try_with(|asked| *asked).unwrap_or_default()
    }

    /// Runs `answer` as the answer to this request.
    pub async fn during<F: Future>(self, answer: F) -> F::Output {
        ASKED.scope(self, answer).await
    }

    /// The address as text; empty if nobody asked.
    pub fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }
}
