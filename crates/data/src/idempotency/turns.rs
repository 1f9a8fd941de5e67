//! Requests of this process with the same key go one after the other.
//!
//! The database keeps them apart anyway, also those of other processes. Here they wait without holding a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mainstay_core::transaction::KeptKey;
use tokio::sync::OwnedMutexGuard;

use crate::error::Error;

/// How long a request waits for the one before it.
const WAIT_MAX: Duration = Duration::from_secs(5);

type Keys = Mutex<HashMap<KeptKey, Weak<tokio::sync::Mutex<()>>>>;

/// Whose turn it is, by key.
#[derive(Debug, Default)]
pub struct Turns {
    keys: Arc<Keys>,
}

/// It is the holder's turn until this is dropped.
#[derive(Debug)]
pub struct Turn {
    keys: Arc<Keys>,
    key: KeptKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other request with the key is running. Errors: `MS-DATA-010`.
    pub async fn take(&self, key: KeptKey) -> Result<Turn, Error> {
        self.take_within(key, WAIT_MAX).await
    }

    async fn take_within(&self, key: KeptKey, wait_max: Duration) -> Result<Turn, Error> {
        let mutex = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let known = keys.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let mutex = Arc::default();
                keys.insert(key, Arc::downgrade(&mutex));
                mutex
            })
        };
        // Made first, so that one who gives up or goes away tidies too.
        let mut turn = Turn {
            keys: self.keys.clone(),
            key,
            guard: None,
        };
        let guard = tokio::time::timeout(wait_max, mutex.lock_owned()).await;
        turn.guard = Some(guard.map_err(|_| Error::StillRunning)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        if keys.get(&self.key).is_some_and(|mutex| mutex.strong_count() == 0) {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let key = KeptKey([1; 32]);
        let first = turns.take(key).await.unwrap();
        let other = turns.take(KeptKey([2; 32])).await.unwrap();
        let refused = turns.take_within(key, Duration::ZERO).await;
        assert!(matches!(refused, Err(Error::StillRunning)));
        drop(first);
        let second = turns.take(key).await.unwrap();
        drop((second, other));
        assert!(turns.keys.lock().unwrap().is_empty());
    }
}
