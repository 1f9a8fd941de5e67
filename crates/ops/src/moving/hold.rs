//! Keeping writes held, for as short as can be.

use std::future::Future;
use std::time::{Duration, Instant};

use mainstay_core::backend::Backend;
use mainstay_core::transfer::Hold;

use super::doing;
use crate::error::Error;

/// How long a hold stands by itself: a mover that is gone holds writes up for no longer.
const STANDS: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(2);

/// The longest that writes are held. What was not done by then is not done, and they go on.
const HELD_MAX: Duration = Duration::from_secs(60);

/// Holds writes.
pub async fn take(source: &dyn Backend) -> Result<Hold, Error> {
    source
        .transfer()
        .leaving()
        .hold(STANDS)
        .await
        .map_err(doing("holding writes"))
}

/// Does `work` while writes are held, and lets them go on if it fails. Afterwards the hold stands for a few seconds more,
/// which is for [`Move::confirm`](super::Move::confirm).
///
/// Errors: those of the work, `HeldTooLong`, a hold that was lost.
pub async fn while_held<T, E: From<Error>>(
    source: &dyn Backend,
    hold: &Hold,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    // Both go on at once: what the work has locked must not wait for the renewal, nor the other way round.
    let keep = async {
        loop {
            tokio::time::sleep(RENEWED).await;
            if begun.elapsed() >= HELD_MAX {
                return Error::HeldTooLong(HELD_MAX);
            }
            if let Err(error) = source.transfer().leaving().renew(hold, STANDS).await {
                return doing("holding writes")(error);
            }
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result,
        error = keep => Err(error.into()),
    };
    if result.is_err() {
        let_go(source, hold).await;
    }
    result
}

/// Lets writes go on. If that fails they do when the hold's time is over.
pub async fn let_go(source: &dyn Backend, hold: &Hold) {
    if let Err(error) = source.transfer().leaving().release(hold).await {
        tracing::warn!(%error, "writes are held for up to {} s more", STANDS.as_secs());
    }
}
